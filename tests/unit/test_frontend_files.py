"""Every bad file gets one line that says what it is and what to do; nothing of it is run."""

import io
import zipfile
from collections import OrderedDict

import h5py
import numpy as np
import pytest
import torch
from spikingjelly.activation_based import layer, neuron
from torch import nn

from snndeploy.errors import ModelError, SnnDeployError, UnsupportedError
from snndeploy.frontends import checkpoint, nir_file


def net():
    torch.manual_seed(0)
    return nn.Sequential(layer.Linear(4, 3), neuron.IFNode())


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "model.pt"
    checkpoint.save(net(), path, torch.ones(1, 4))
    return path


@pytest.fixture
def good_nir(tmp_path, good):
    path = tmp_path / "model.nir"
    nir_file.write(checkpoint.load(good), path)
    return path


def refused(read, path, code, *, error=ModelError):
    with pytest.raises(error) as caught:
        read(path)
    assert caught.value.code == code, caught.value
    assert caught.value.exit_code == (3 if error is ModelError else 4)
    line = caught.value.line()
    assert "\n" not in line
    assert path.name in line
    assert len(line) < 400
    return line


def edited(path, change):
    """Write the content of a good file again after a change."""
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


def test_a_missing_file(tmp_path):
    refused(checkpoint.load, tmp_path / "none.pt", "E1001")
    refused(nir_file.read, tmp_path / "none.nir", "E1001")


def test_a_folder(tmp_path):
    refused(checkpoint.load, tmp_path, "E1001")


def test_an_empty_file(tmp_path):
    for read, name in ((checkpoint.load, "a.pt"), (nir_file.read, "a.nir")):
        (tmp_path / name).touch()
        refused(read, tmp_path / name, "E1002")


@pytest.mark.parametrize("keep", [30, 400, 1500])
def test_a_truncated_file(good, good_nir, keep):
    good.write_bytes(good.read_bytes()[:keep])
    refused(checkpoint.load, good, "E1003")
    good_nir.write_bytes(good_nir.read_bytes()[:keep])
    refused(nir_file.read, good_nir, "E1003")


def test_one_flipped_bit_in_a_weight(good):
    weight = checkpoint.load(good).graph.nodes["0"].weight.tobytes()
    content = bytearray(good.read_bytes())
    content[content.index(weight) + 5] ^= 1
    good.write_bytes(content)
    assert "checksum" in refused(checkpoint.load, good, "E1003")


@pytest.mark.parametrize("suffix", ["pt", "nir"])
def test_random_damage_ends_in_an_error_of_ours_or_in_a_model(suffix, good, good_nir):
    path, read = (good, checkpoint.load) if suffix == "pt" else (good_nir, nir_file.read)
    content, rng = path.read_bytes(), np.random.default_rng(5)
    codes, lines = set(), []
    for _ in range(200):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 12)):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            read(path)
        except SnnDeployError as error:
            codes.add(error.code)
            lines.append(error.line())
    assert len(codes) > 1
    assert not any("\n" in line for line in lines)


def test_text_and_each_others_files(tmp_path, good, good_nir):
    text = tmp_path / "notes.txt"
    text.write_text("tau = 2.0\n")
    assert "looks like text" in refused(checkpoint.load, text, "E1004")
    assert "looks like text" in refused(nir_file.read, text, "E1004")
    assert "HDF5" in refused(checkpoint.load, good_nir, "E1004")
    assert "torch" in refused(nir_file.read, good, "E1004")


def test_a_state_dict_needs_its_module(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(net().state_dict(), path)
    assert "snndeploy.save" in refused(checkpoint.load, path, "E1007")
    torch.save({"epoch": 3, "model": OrderedDict(net().state_dict())}, path)
    refused(checkpoint.load, path, "E1007")


def test_a_whole_module_is_never_unpickled(tmp_path):
    path = tmp_path / "module.pt"
    torch.save(net(), path)
    assert "snndeploy.save" in refused(checkpoint.load, path, "E1006")


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("is_zip", [True, False])
def test_code_in_a_pickle_does_not_run(tmp_path, is_zip):
    path, trace = tmp_path / "bomb.pt", tmp_path / "trace"
    torch.save({"format": Bomb(trace)}, path, _use_new_zipfile_serialization=is_zip)
    refused(checkpoint.load, path, "E1006")
    assert not trace.exists()


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_torchscript(tmp_path):
    path = tmp_path / "script.pt"
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)
    refused(checkpoint.load, path, "E1008")


def test_an_exported_program(tmp_path):
    path = tmp_path / "program.pt2"
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),)), path)
    refused(checkpoint.load, path, "E1008")


def test_another_version(good):
    line = refused(checkpoint.load, edited(good, lambda c: c.update(version=2)), "E1009")
    assert "format version 2" in line


def test_another_torch_file(tmp_path):
    torch.save({"results": [1, 2]}, tmp_path / "results.pt")
    refused(checkpoint.load, tmp_path / "results.pt", "E1009")


CHANGES = {
    "no nodes": (lambda c: c["graph"].pop("nodes"), "E1010"),
    "a field more": (lambda c: c.update(code="x"), "E1010"),
    "nodes are a list": (lambda c: c["graph"].update(nodes=[1]), "E1010"),
    "a node without type": (lambda c: c["graph"]["nodes"]["0"].pop("type"), "E1010"),
    "a missing array": (lambda c: c["graph"]["nodes"]["0"]["arrays"].pop("bias"), "E1010"),
    "an array that is text": (
        lambda c: c["graph"]["nodes"]["0"]["arrays"].update(bias="zero"),
        "E1010",
    ),
    "edges of numbers": (lambda c: c["graph"].update(edges=[[0, 1]]), "E1010"),
    "an edge to nowhere": (lambda c: c["graph"]["edges"].append(["0", "7"]), "E1020"),
    "an edge twice": (lambda c: c["graph"]["edges"].append(["0", "1"]), "E1020"),
    "no input port": (lambda c: c["model"].update(inputs={}), "E1010"),
    "an input range upside down": (
        lambda c: c["model"]["inputs"]["input"].update(low=2.0),
        "E1010",
    ),
    "a decode unknown": (lambda c: c["model"]["outputs"]["output"].update(decode="vote"), "E1010"),
    "steps below one": (lambda c: c["model"].update(steps=0), "E1010"),
    "semantics unknown": (lambda c: c["model"]["semantics"].update(reset="soft"), "E1010"),
    "a note unknown": (lambda c: c["notes"].append({"kind": "x"}), "E1010"),
    "another shape": (
        lambda c: c["graph"]["nodes"]["0"]["arrays"].update(weight=torch.ones(3, 5)),
        "E1021",
    ),
    "stride zero": (
        lambda c: c["graph"]["nodes"]["0"]["arrays"].update(weight=torch.ones(1).expand(3, 4)),
        "E1011",
    ),
    "far too large": (
        lambda c: c["graph"]["nodes"]["0"]["arrays"].update(
            weight=torch.ones(1).expand(1 << 20, 1 << 20)
        ),
        "E1011",
    ),
    "one storage many times": (
        lambda c: [
            c["graph"]["nodes"].__setitem__(f"n{i}", {"arrays": {"weight": BIG}}) for i in range(50)
        ],
        "E1011",
    ),
    "sparse": (
        lambda c: c["graph"]["nodes"]["0"]["arrays"].update(weight=torch.eye(4)[:3].to_sparse()),
        "E1011",
    ),
    "complex": (
        lambda c: c["graph"]["nodes"]["0"]["arrays"].update(weight=torch.ones(3, 4) * 1j),
        "E1011",
    ),
    "NaN": (
        lambda c: c["graph"]["nodes"]["0"]["arrays"]["weight"].fill_(float("nan")),
        "E1012",
    ),
    "infinite": (
        lambda c: c["graph"]["nodes"]["1"]["arrays"]["v_threshold"][0].fill_(float("inf")),
        "E1012",
    ),
}
BIG = torch.ones(1 << 16)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
def test_malformed_content(name, good):
    change, code = CHANGES[name]
    refused(checkpoint.load, edited(good, change), code)


def test_an_unknown_node_type(good):
    path = edited(good, lambda c: c["graph"]["nodes"]["1"].update(type="Izhikevich"))
    refused(checkpoint.load, path, "E2020", error=UnsupportedError)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * (50 << 20))
    assert "compressed" in refused(checkpoint.load, path, "E1005")


def test_entries_that_share_bytes_are_refused(tmp_path):
    path = tmp_path / "overlap.pt"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000)
        archive.filelist = archive.filelist * 50
        archive._didModify = True
    path.write_bytes(buffer.getvalue())
    refused(checkpoint.load, path, "E1005")


def test_another_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(checkpoint.load, tmp_path / "a.zip", "E1004")


def test_a_failed_save_leaves_the_old_file(good):
    before = good.read_bytes()
    broken = net()
    with torch.no_grad():
        broken[0].weight[1, 2] = float("nan")
    with pytest.raises(ModelError, match=r"E1012.*1 of 12 values of weight"):
        checkpoint.save(broken, good, torch.ones(1, 4))
    assert good.read_bytes() == before
    assert [path.name for path in good.parent.iterdir()] == ["model.pt"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="E1001"):
        checkpoint.save(net(), tmp_path / "none" / "model.pt", torch.ones(1, 4))


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        model = checkpoint.save(net(), tmp_path / f"{name}.pt", torch.ones(1, 4))
        nir_file.write(model, tmp_path / f"{name}.nir")
    for suffix in ("pt", "nir"):
        a, b = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab")
        assert a == b


def test_weights_in_column_order_are_saved_in_row_order(good, tmp_path):
    model = checkpoint.load(good)
    node = next(n for n in model.graph.nodes.values() if hasattr(n, "weight"))
    node.weight = np.asfortranarray(node.weight)
    assert not node.weight.flags.c_contiguous
    checkpoint.write_model(model, tmp_path / "columns.pt")
    again = checkpoint.load(tmp_path / "columns.pt")
    for name, old in model.graph.nodes.items():
        if hasattr(old, "weight"):
            assert np.array_equal(again.graph.nodes[name].weight, old.weight)


def with_link(path, link):
    with h5py.File(path, "a") as file:
        del file["node/nodes/0/weight"]
        file["node/nodes/0/weight"] = link
    return path


def replaced(path, make):
    with h5py.File(path, "a") as file:
        group = file["node/nodes/0"]
        del group["weight"]
        make(group)
    return path


def test_links_that_leave_the_file_are_refused(good_nir, tmp_path):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["w"] = np.ones((3, 4))
    refused(nir_file.read, with_link(good_nir, h5py.ExternalLink(other.name, "w")), "E1030")


def test_soft_links_are_refused(good_nir):
    refused(nir_file.read, with_link(good_nir, h5py.SoftLink("/node/nodes/0/bias")), "E1030")


def test_a_group_in_itself_is_refused(good_nir):
    with h5py.File(good_nir, "a") as file:
        file["node/nodes/0/again"] = file["node"]
    refused(nir_file.read, good_nir, "E1030")


def test_values_in_another_file_are_refused(good_nir, tmp_path):
    raw = tmp_path / "raw.bin"
    raw.write_bytes(b"\0" * 48)
    external = [(str(raw), 0, 48)]
    path = replaced(good_nir, lambda g: g.create_dataset("weight", (3, 4), "f4", external=external))
    refused(nir_file.read, path, "E1030")


def test_virtual_datasets_are_refused(good_nir, tmp_path):
    layout = h5py.VirtualLayout((3, 4), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "w", shape=(3, 4))
    refused(
        nir_file.read, replaced(good_nir, lambda g: g.create_virtual_dataset("weight", layout)),
        "E1030",
    )  # fmt: skip


def test_unknown_filters_are_refused(good_nir):
    def make(group):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((3, 4))
        plist.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((3, 4))
        h5py.h5d.create(group.id, b"weight", h5py.h5t.IEEE_F32LE, space, plist)

    refused(nir_file.read, replaced(good_nir, make), "E1031")


@pytest.mark.parametrize(
    "values", [np.ones((3, 4), complex), np.ones(3, dtype=[("a", "f4"), ("b", "i4")])]
)
def test_values_that_are_not_numbers_are_refused(good_nir, values):
    refused(
        nir_file.read,
        replaced(good_nir, lambda g: g.create_dataset("weight", data=values)),
        "E1032",
    )


def test_arrays_of_unwritten_giants_are_refused(good_nir):
    path = replaced(
        good_nir,
        lambda g: g.create_dataset("weight", (1 << 20, 1 << 20), "f8", chunks=(64, 64)),
    )
    assert "claim" in refused(nir_file.read, path, "E1033")


def test_a_compression_bomb_is_refused(good_nir):
    zeros = np.zeros((1 << 14, 1 << 11))
    path = replaced(good_nir, lambda g: g.create_dataset("weight", data=zeros, compression="gzip"))
    refused(nir_file.read, path, "E1033")


def test_one_long_string_many_times_is_refused(good_nir):
    with h5py.File(good_nir, "a") as file:
        strings = np.full((400,), "x" * 100_000, dtype=h5py.string_dtype())
        file["node"].create_dataset("text", data=strings)
    refused(nir_file.read, good_nir, "E1033")


def test_an_hdf5_file_that_is_not_nir(tmp_path):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.ones(3)
    refused(nir_file.read, path, "E1034")


def test_nan_in_a_nir_file(good_nir):
    values = np.full((3, 4), np.nan, dtype=np.float32)
    path = replaced(good_nir, lambda g: g.create_dataset("weight", data=values))
    assert "12 of 12 values of weight" in refused(nir_file.read, path, "E1012")


def test_semantics_that_are_not_ours(good_nir):
    with h5py.File(good_nir, "a") as file:
        file["node/nodes/1/metadata/snndeploy/surprise"] = 1.0
    assert "surprise" in refused(nir_file.read, good_nir, "E1010")
