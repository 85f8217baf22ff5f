"""Bundles: read what was written, the same bytes every time, every changed byte found and named."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from deployed import N_IN, STEPS, small_compiled, small_samples, too_large

from snndeploy.bundle import read_bundle, write_bundle
from snndeploy.bundle.manifest import sha256
from snndeploy.errors import CapacityError, ModelError, UsageError
from snndeploy.ir.text import print_network
from snndeploy.npz import dump_npz, load_npz, smallest_int
from snndeploy.registry import find_executor


@pytest.fixture
def folder(tmp_path):
    write_bundle(small_compiled(), tmp_path / "net", samples=small_samples())
    return tmp_path / "net"


def test_reading_gives_back_what_was_written(folder):
    compiled, bundle = small_compiled(), read_bundle(folder)
    assert print_network(bundle.network)[0] == print_network(compiled.network)[0]
    assert bundle.placement.slices == compiled.placement.slices
    assert bundle.options == compiled.options
    assert bundle.manifest.layers == compiled.layers
    assert bundle.target is compiled.target
    assert bundle.manifest.verdict.fits


def test_probes_are_the_data_and_three_densities(folder):
    bundle = read_bundle(folder)
    x = bundle.probes["in"]
    assert x.shape == (STEPS, 4 + 6, N_IN)
    np.testing.assert_array_equal(x[:, :4], small_samples().x["in"])
    assert bundle.manifest.probes[:4] == ("data 0", "data 1", "data 2", "data 3")
    assert bundle.manifest.probes[-1] == "random 30 % 1"


def test_at_most_16_samples_become_probes(tmp_path):
    bundle = write_bundle(small_compiled(), tmp_path / "net", samples=small_samples(40))
    assert bundle.probes["in"].shape[1] == 16 + 6


def test_expected_answers_are_the_simulators(folder):
    bundle = read_bundle(folder)
    names = tuple(bundle.network.population)
    run = find_executor("sim").run(bundle.network, bundle.probes, record=names)
    for name in names:
        np.testing.assert_array_equal(bundle.expected[name].spikes, run.traces[name].spikes)
    np.testing.assert_array_equal(bundle.expected["out"].states["v"], run.traces["out"].states["v"])


def test_writing_twice_gives_the_same_bytes(tmp_path, folder):
    write_bundle(small_compiled(), tmp_path / "again", samples=small_samples())
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_the_place_of_the_model_changes_no_byte(tmp_path):
    one = write_bundle(small_compiled(origin="/a/small.pt"), tmp_path / "one")
    two = write_bundle(small_compiled(origin="/b/c/small.pt"), tmp_path / "two")
    assert one.digest == two.digest


def test_every_changed_file_is_named(folder):
    for path in sorted(folder.iterdir()):
        good = path.read_bytes()
        for position in {0, len(good) // 2, len(good) - 1}:
            bad = bytearray(good)
            bad[position] ^= 1
            path.write_bytes(bytes(bad))
            with pytest.raises(ModelError, match=r"E122[123]|E1220") as caught:
                read_bundle(folder)
            assert path.name in caught.value.line()
        path.write_bytes(good)
    read_bundle(folder)


def test_a_missing_and_a_foreign_file_are_named(folder):
    (folder / "extra.txt").write_text("x")
    with pytest.raises(ModelError, match=r"E1224.*extra\.txt"):
        read_bundle(folder)
    (folder / "extra.txt").unlink()
    (folder / "probes.npz").unlink()
    with pytest.raises(ModelError, match=r"E1224.*probes\.npz is missing"):
        read_bundle(folder)


def test_a_link_in_place_of_a_file_is_refused(tmp_path, folder):
    (folder / "probes.npz").rename(tmp_path / "elsewhere")
    (folder / "probes.npz").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=r"E1224.*link"):
        read_bundle(folder)


def resigned(folder, **changes):
    """Write a manifest with changed fields and a digest that matches them."""
    record = json.loads((folder / "manifest.json").read_text())
    record.pop("digest")
    record.update(changes)
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    record["digest"] = sha256(text.encode())
    (folder / "manifest.json").write_text(json.dumps(record))


def test_another_format_version_is_refused_with_both(folder):
    record = json.loads((folder / "manifest.json").read_text())
    record["version"] = 2
    (folder / "manifest.json").write_text(json.dumps(record))
    with pytest.raises(ModelError, match=r"E1222.*format 2.*reads 1"):
        read_bundle(folder)


def test_a_manifest_that_names_files_outside_is_refused(tmp_path, folder):
    (tmp_path / "secret").write_text("s")
    files = json.loads((folder / "manifest.json").read_text())["files"]
    resigned(folder, files={**files, "../secret": sha256(b"s")})
    with pytest.raises(ModelError, match=r"E1224.*outside"):
        read_bundle(folder)


def test_a_bundle_for_another_chip_file_is_refused_when_the_chip_is_needed(folder):
    resigned(folder, chip_digest="0" * 64)
    bundle = read_bundle(folder)
    with pytest.raises(ModelError, match="E1227"):
        _ = bundle.target


def test_what_does_not_fit_is_not_written(tmp_path):
    with pytest.raises(CapacityError, match="E3001"):
        write_bundle(too_large(small_compiled()), tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_needs_force_and_keeps_foreign_files(folder):
    with pytest.raises(UsageError, match=r"E5003.*--force"):
        write_bundle(small_compiled(), folder)
    write_bundle(small_compiled(), folder, force=True)
    (folder / "mine").write_text("x")
    with pytest.raises(UsageError, match=r"E5003.*mine"):
        write_bundle(small_compiled(), folder, force=True)
    assert (folder / "mine").exists()


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "net").mkdir()
    write_bundle(small_compiled(), tmp_path / "net")
    assert [p.name for p in tmp_path.iterdir()] == ["net"]


def test_an_error_while_writing_keeps_the_old_bundle(folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(_):
        raise OSError(28, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="E5004"):
        write_bundle(small_compiled(), folder, force=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert list(folder.parent.iterdir()) == [folder]


def test_hostile_population_names_survive_the_round_trip(tmp_path):
    name = "a/../b \x1b[0m\n\"'"
    bundle = write_bundle(small_compiled(name=name), tmp_path / "net")
    assert name in bundle.network.population
    assert name in bundle.expected


def test_npz_bytes_do_not_depend_on_order_or_time():
    arrays = {"b": np.arange(3), "a": np.eye(2)}
    assert dump_npz(arrays) == dump_npz(dict(reversed(arrays.items())))
    loaded = load_npz(dump_npz(arrays), "x")
    assert sorted(loaded) == ["a", "b"]
    np.testing.assert_array_equal(loaded["a"], np.eye(2))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([0, 1], np.int8), ([-128, 127], np.int8), ([128], np.int16), ([1 << 20], np.int32),
     ([-(1 << 40)], np.int64), ([], np.int8)],
)  # fmt: skip
def test_smallest_int_holds_every_value(values, dtype):
    array = smallest_int(np.array(values, dtype=np.int64))
    assert array.dtype == dtype
    assert array.tolist() == values


def test_a_compiled_value_is_not_changed(tmp_path):
    compiled = small_compiled()
    before = print_network(compiled.network)[0]
    write_bundle(compiled, tmp_path / "net")
    assert print_network(compiled.network)[0] == before
    assert replace(compiled) is not compiled
