"""Bad and hostile files: one clear line, exit 3, no traceback, nothing run, nothing written."""

import io
import os
import pickle  # noqa: TID251 - the attacks are pickles
import shutil
import zipfile

import nir
import numpy as np
import pytest
import torch
from chains import chain_model

from snndeploy.frontends.nir_file import write
from snndeploy.npz import dump_npz


class Attack:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


def check_refused(ran, files, *, code=3, before):
    """One line with a code on stderr, nothing run, nothing left."""
    assert ran.code == code, ran.err
    assert ran.err.startswith("error[E")
    assert len(ran.err.splitlines()) == 1
    assert sorted(p.name for p in files.iterdir()) == before
    assert not (files / "pwned").exists()


def names(files):
    return sorted(p.name for p in files.iterdir())


MODELS = {
    "attack.pt": lambda path: path.write_bytes(pickle.dumps(Attack())),
    "torch_attack.pt": lambda path: torch.save({"weights": Attack()}, path),
    "module.pt": lambda path: torch.save(torch.nn.Linear(2, 2), path),
    "state_dict.pt": lambda path: torch.save(torch.nn.Linear(2, 2).state_dict(), path),
    "empty.pt": lambda path: path.write_bytes(b""),
    "empty.nir": lambda path: path.write_bytes(b""),
    "text.pt": lambda path: path.write_text("this is no model\n"),
    "text.nir": lambda path: path.write_text("this is no model\n"),
    "picture.pt": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "program.nir": lambda path: path.write_bytes(b"\x7fELF" + bytes(100)),
    "arrays.pt": lambda path: path.write_bytes(dump_npz({"x": np.zeros(3)})),
    "folder.pt": lambda path: (path.mkdir(), (path / "x").write_text("x")),
}


@pytest.mark.parametrize("name", MODELS)
def test_hostile_or_foreign_model_is_refused(files, snn, name):
    MODELS[name](files / name)
    check_refused(snn("compile", name, "-o", "net"), files, before=names(files))


@pytest.mark.parametrize("name", ["model.pt", "model.nir"])
@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.95])
def test_truncated_model_is_refused(files, snn, name, share):
    data = (files / name).read_bytes()
    (files / name).write_bytes(data[: int(len(data) * share)])
    check_refused(snn("compile", name, "-o", "net"), files, before=names(files))


def test_missing_model_is_refused(files, snn):
    check_refused(snn("compile", "nothing.pt"), files, before=names(files))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("compile", "folder"), "is a folder, not a model file"),
        (("prune", "folder", "--ratio", "0.5"), "is a folder, not a model file"),
        (("compile", "pipe"), "is a device or a pipe, not a model file"),
        (("inspect", "data.npz"), "an .npz file of arrays, but not a torch file"),
        (("verify", "nothing"), "there is no such folder"),
        (("verify", "model.pt"), "a file, not a bundle"),
        (("verify", "folder"), "there is no manifest.json in it"),
    ],
)
def test_what_is_no_model_is_called_what_it_is(files, snn, args, says):
    (files / "folder").mkdir()
    os.mkfifo(files / "pipe")
    ran = snn(*args)
    check_refused(ran, files, before=names(files))
    assert says in ran.err


def test_options_of_a_file_that_has_its_own_are_said_to_be_dropped(snn):
    ran = snn("inspect", "model.nir", "--input-range", "0", "2", "--semantics", "nir")
    assert "the semantics given: the file has its own" in ran.out
    assert "the input range given: the file has its own" in ran.out


def test_nan_weights_are_refused(files, snn):
    weight = np.full((4, 12), np.nan)
    write(chain_model(nir.Linear(weight=weight), shape=(12,), out_shape=(4,)), files / "nan.nir")
    ran = snn("compile", "nan.nir", "-o", "net")
    check_refused(ran, files, before=names(files))
    assert "NaN" in ran.err or "finite" in ran.err


def save(path, **arrays):
    np.savez_compressed(path, **arrays)


def bomb(path):
    """A zip whose array of zeros inflates a thousandfold."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        member = io.BytesIO()
        np.lib.format.write_array(member, np.zeros((1, 1), np.uint8))
        archive.writestr("x.npy", member.getvalue() + bytes(200 << 20))


def lying_header(path):
    """An array header that promises more than memory holds."""
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        member, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**5)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", member.getvalue())


def other_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")


def twice(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x.npy", b"\x93NUMPY")


GOOD = np.zeros((8, 2, 12), np.uint8)
ARRAYS = {
    "E1201 text": lambda path: path.write_text("x = 1\n"),
    "E1201 empty": lambda path: path.write_bytes(b""),
    "E1201 npy": lambda path: path.write_bytes(b"\x93NUMPY\x01\x00"),
    "E1201 zip": other_zip,
    "E1202 lying": lying_header,
    "E1202 twice": twice,
    "E1203 objects": lambda path: save(path, x=np.array([Attack()], dtype=object)),
    "E1204 bomb": bomb,
    "E1205 name": lambda path: save(path, X=GOOD),
    "E1205 unknown": lambda path: save(path, x=GOOD, lable=np.zeros(2, int)),
    "E1206 shape": lambda path: save(path, x=np.zeros((8, 2, 13))),
    "E1206 rank": lambda path: save(path, x=np.zeros((2, 12))),
    "E1207 complex": lambda path: save(path, x=GOOD.astype(complex)),
    "E1207 text": lambda path: save(path, x=np.full((8, 2, 12), "a")),
    "E1208 nan": lambda path: save(path, x=np.full((8, 2, 12), np.nan)),
    "E1209 none": lambda path: save(path, x=np.zeros((8, 0, 12))),
    "E1210 label": lambda path: save(path, x=GOOD, label=np.zeros(3, int)),
    "E1210 float": lambda path: save(path, x=GOOD, label=np.zeros(2)),
    "E1212 missing": lambda _: None,
    "E1212 fifo": os.mkfifo,
    "E1212 folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_bad_data_is_refused_with_its_code(files, snn, case):
    ARRAYS[case](files / "bad.npz")
    before = names(files)
    ran = snn("compile", "model.pt", "--data", "bad.npz", "-o", "net")
    check_refused(ran, files, before=before)
    assert case.split()[0] in ran.err


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_truncated_data_is_refused(files, snn, share):
    data = (files / "data.npz").read_bytes()
    (files / "data.npz").write_bytes(data[: int(len(data) * share)])
    ran = snn("compile", "model.pt", "--data", "data.npz", "-o", "net")
    check_refused(ran, files, before=names(files))


def test_more_frames_than_steps_are_refused(files, snn):
    save(files / "long.npz", x=np.zeros((9, 2, 12)))
    ran = snn("compile", "model.pt", "--data", "long.npz", "-o", "net")
    check_refused(ran, files, before=names(files))


def test_output_that_is_a_file_is_refused(files, snn):
    (files / "net").write_text("mine")
    ran = snn("compile", "model.pt", "-o", "net", "--force")
    check_refused(ran, files, code=2, before=names(files))
    assert (files / "net").read_text() == "mine"


def test_output_that_is_a_link_is_refused(files, snn):
    (files / "real").mkdir()
    (files / "net").symlink_to("real")
    ran = snn("compile", "model.pt", "-o", "net", "--force")
    check_refused(ran, files, code=2, before=names(files))


def test_output_in_no_folder_is_refused(files, snn):
    ran = snn("compile", "model.pt", "-o", "nowhere/net")
    check_refused(ran, files, code=2, before=names(files))


def test_output_in_a_folder_without_permission_is_refused(files, snn, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # root may write everywhere
    ran = snn("compile", "model.pt", "-o", "net")
    check_refused(ran, files, code=2, before=names(files))
    assert "not writable" in ran.err


def test_a_full_disk_leaves_nothing(files, snn, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    before = names(files)
    monkeypatch.setattr(os, "fsync", full)
    ran = snn("compile", "model.pt", "-o", "net")
    check_refused(ran, files, code=2, before=before)
    assert "No space left" in ran.err


def test_a_tampered_bundle_is_refused_by_member(files, snn, bundle):
    for name in ("weights.npz", "network.txt", "report.html"):
        copy = files / f"tampered-{name}"
        shutil.copytree(bundle, copy)
        if not (copy / name).exists():
            continue
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(bytes(data))
        ran = snn("verify", copy)
        assert ran.code == 3
        assert "E1223" in ran.err
        assert name in ran.err


def test_a_folder_that_is_no_bundle_is_refused(files, snn):
    (files / "net").mkdir()
    ran = snn("verify", "net")
    check_refused(ran, files, before=names(files))
    assert "E1220" in ran.err


HOSTILE = "\x1b[31mred\x1b[0m\u202e<script>alert(1)</script>[bold]"


def test_hostile_names_reach_neither_terminal_nor_html(files, snn):
    nodes = {
        "input": nir.Input(input_type={"input": np.array([12])}),
        HOSTILE: nir.Linear(weight=np.eye(12)[:4]),
        "output": nir.Output(output_type={"output": np.array([4])}),
    }
    graph = nir.NIRGraph(
        nodes=nodes, edges=[("input", HOSTILE), (HOSTILE, "output")], type_check=False
    )
    nir.write(str(files / "hostile.nir"), graph)
    for args in (
        ("inspect", "hostile.nir"),
        ("inspect", "hostile.nir", "--emit", "nir"),
        ("compile", "hostile.nir", "--steps", "4", "--encode", "spikes", "-o", "net"),
        ("compile", HOSTILE + ".pt"),
    ):
        ran = snn(*args)
        assert ran.code in (0, 3, 4), ran.err
        assert "\x1b" not in ran.out + ran.err
        assert "\u202e" not in ran.out + ran.err
    if (files / "net").exists():
        assert "<script>" not in (files / "net" / "report.html").read_text()
