"""Every bad model file that we could think of, in one table: what it is, how it is made, its code.

Each ends in one line on stderr with a code and the documented exit code, without a traceback,
within five seconds and half a gigabyte, and leaves nothing behind. Numbers are those of the list
in the project's notes on peers' failures; several rows share one.
"""

import gzip
import io
import os
import pickle  # noqa: TID251 - the attacks are pickles
import struct
import tarfile
import time
import warnings
import zipfile

import h5py
import nir
import numpy as np
import pytest
import torch
from chains import chain_model, lif

from snndeploy.frontends.nir_file import write
from snndeploy.reading import confined

SECONDS, BYTES = 5.0, 500e6
N_IN, N_OUT = 10, 4


class Attack:
    def __reduce__(self):
        return os.system, ("touch pwned",)


# ---- torch files ----------------------------------------------------------------------------


def saved(content):
    return lambda path: torch.save(content(), path)


def changed(change):
    """Return a maker: the good model.pt with its content changed."""

    def make(path):
        content = torch.load(path.with_name("model.pt"), weights_only=True)
        change(content)
        torch.save(content, path)

    return make


def node(content):
    return next(n for n in content["graph"]["nodes"].values() if n["arrays"])


def with_array(tensor):
    def change(content):
        arrays = node(content)["arrays"]
        arrays[next(iter(arrays))] = tensor()

    return changed(change)


def with_value(kind, field, value):
    def change(content):
        for record in content["graph"]["nodes"].values():
            if record["type"] == kind:
                record["arrays"][field] = torch.full_like(record["arrays"][field], value)

    return changed(change)


def with_edges(*edges):
    return changed(lambda content: content["graph"]["edges"].extend(list(e) for e in edges))


def deep(depth):
    def content():
        inner = {}
        for _ in range(depth):
            inner = {"a": inner}
        return inner

    return content


def in_itself():
    content = {}
    content["a"] = content
    return content


def torch_zip(entries, **options):
    def make(path):
        with zipfile.ZipFile(path, "w", **options) as archive:
            for name, data in entries:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    archive.writestr(name, data)

    return make


def good_with_entry(name, data=b"x"):
    def make(path):
        path.write_bytes(path.with_name("model.pt").read_bytes())
        with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive.writestr(name, data)

    return make


def lying_local_header(path):
    """The central directory and an entry's own header give it different sizes."""
    data = bytearray(path.with_name("model.pt").read_bytes())
    at = data.rfind(b"PK\x03\x04")
    struct.pack_into("<I", data, at + 18, 1 << 30)
    struct.pack_into("<I", data, at + 22, 1 << 30)
    path.write_bytes(bytes(data))


def script(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)


def tar(path):
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("sys_info"))


def some_bytes(data):
    return lambda path: path.write_bytes(data)


TORCH = {
    "1 pickle": ("E1006", some_bytes(pickle.dumps(Attack()))),
    "1 pickle in a torch file": ("E1006", saved(Attack)),
    "2 hidden in a tuple": ("E1006", saved(lambda: {"a": [({"b": Attack()},)]})),
    "2 beside tensors": ("E1006", saved(lambda: {"w": torch.zeros(2), "state": Attack()})),
    "3 whole module": ("E1006", saved(lambda: torch.nn.Linear(2, 2))),
    "4 TorchScript": ("E1008", script),
    "5 legacy": (
        "E1006", lambda p: torch.save({}, p, _use_new_zipfile_serialization=False),
    ),
    "5 tar": ("E1004", tar),
    "6 empty": ("E1002", some_bytes(b"")),
    "6 one byte": ("E1004", some_bytes(b"P")),
    "6 text": ("E1004", some_bytes(b"hello\n")),
    "6 program": ("E1004", some_bytes(b"\x7fELF" + bytes(64))),
    "6 picture": ("E1004", some_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))),
    "6 gzip": ("E1004", some_bytes(gzip.compress(b"hello"))),
    "9 inflating": (
        "E1005",
        torch_zip([("a/data.pkl", bytes(64 << 20))], compression=zipfile.ZIP_DEFLATED),
    ),
    "9 zip in a zip": ("E1004", torch_zip([("a.zip", b"PK\x05\x06" + bytes(18))])),
    "10 one name twice": ("E1003", good_with_entry("archive/data.pkl")),
    "10 two sizes of one entry": ("E1003", lying_local_header),
    "11 a path upwards": ("E1003", good_with_entry("../../evil")),
    "11 an absolute path": ("E1003", good_with_entry("/tmp/evil")),
    "11 a backslash": ("E1003", good_with_entry("..\\evil")),
    "12 stride 0": ("E1011", with_array(lambda: torch.zeros(1).expand(10**6, 10**6))),
    "12 overlapping": ("E1011", with_array(lambda: torch.zeros(9).as_strided((5, 5), (1, 1)))),
    "13 in itself": ("E1009", saved(in_itself)),
    "13 nested": ("E1003 E1009", saved(deep(300))),
    "14 sparse": ("E1010 E1011", with_array(lambda: torch.eye(3).to_sparse())),
    "14 complex": ("E1011", with_array(lambda: torch.zeros(3, dtype=torch.complex64))),
    "14 bool": ("E1011", with_array(lambda: torch.zeros(3, dtype=torch.bool))),
    "14 half": ("E1011", with_array(lambda: torch.zeros(3, dtype=torch.float16))),
    "14 float8": ("E1003 E1011", with_array(lambda: torch.zeros(3).to(torch.float8_e4m3fn))),
    "14 nowhere": ("E1003 E1011", with_array(lambda: torch.zeros(3, device="meta"))),
    "16 NaN weight": ("E1012", with_value("Affine", "weight", float("nan"))),
    "16 infinite bias": ("E1012", with_value("Affine", "bias", float("inf"))),
    "16 NaN threshold": ("E1012", with_value("LIF", "v_threshold", float("nan"))),
    "17 time constant 0": ("E1022", with_value("LIF", "tau", 0.0)),
    "17 negative time constant": ("E1022", with_value("LIF", "tau", -1.0)),
    "17 negative threshold": ("E1051", with_value("LIF", "v_threshold", -1.0)),
    "26 edge from nowhere": ("E1020 E1021 E1022", with_edges(("nobody", "n0"))),
    "26 edge twice": ("E1020 E1021 E1022", with_edges(("n0", "n1"))),
    "26 edge into an input": ("E1020 E1021 E1022", with_edges(("n1", "input"))),
    "27 a loop without a neuron": ("E2021", with_edges(("n0", "n0"))),
    "28 wrong shape": ("E1021", with_array(lambda: torch.zeros(5, 7))),
    "28 no shape": ("E1021", with_array(lambda: torch.zeros(()))),
    "28 zero-sized": ("E1021", with_array(lambda: torch.zeros(0, N_IN))),
    "29 type of Python": (
        "E2020",
        changed(lambda c: node(c).update(type="__class__")),
    ),
    "29 type of the system": ("E2020", changed(lambda c: node(c).update(type="os.system"))),
    "31 version of the future": ("E1009", changed(lambda c: c.update(version=99))),
    "31 no version": ("E1009", changed(lambda c: c.pop("version"))),
}  # fmt: skip


# ---- HDF5 ---------------------------------------------------------------------------------------

WEIGHT = "node/nodes/n0/weight"


def edited(edit):
    """Return a maker: the good model.nir, edited."""

    def make(path):
        path.write_bytes(path.with_name("model.nir").read_bytes())
        with h5py.File(path, "r+") as file:
            edit(file, path)

    return make


def replaced(make_dataset):
    def edit(file, path):
        del file[WEIGHT]
        make_dataset(file, path)

    return edited(edit)


def external(file, path):
    path.with_name("secret").write_bytes(b"TOPSECRET" * 1000)
    shape = (10, N_IN)
    file.create_dataset(
        WEIGHT, shape=shape, dtype="f8", external=[(str(path.with_name("secret")), 0, 960)]
    )


def linked(link):
    def edit(file, path):
        with h5py.File(path.with_name("other.h5"), "w") as other:
            other["weight"] = np.zeros((10, N_IN))
        file[WEIGHT] = link(path)

    return replaced(edit)


def virtual(file, path):
    layout = h5py.VirtualLayout(shape=(10, N_IN), dtype="f8")
    layout[:] = h5py.VirtualSource(str(path.with_name("other.h5")), "weight", shape=(10, N_IN))
    file.create_virtual_dataset(WEIGHT, layout)


def loop_of_groups(file, _):
    file["node/nodes/n0/again"] = file["node/nodes"]


def many_nodes(file, _):
    for i in range(30_000):
        file["node/nodes"].create_group(f"x{i}")


def nested(file, _):
    group = file["node/nodes"].create_group("deep")
    for _ in range(300):
        group["type"] = "NIRGraph"
        group["edges"] = np.zeros((0, 2))
        group = group.create_group("nodes").create_group("deep")


def unknown_filter(file, _):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((10, N_IN))
    plist.set_filter(31_999, h5py.h5z.FLAG_OPTIONAL)
    space = h5py.h5s.create_simple((10, N_IN))
    h5py.h5d.create(file["node/nodes/n0"].id, b"weight", h5py.h5t.NATIVE_DOUBLE, space, plist)


def giant(file, _):
    file.create_dataset(WEIGHT, shape=(5 * 10**7, 5 * 10**7), dtype="f4", chunks=(64, 64))


def inflating(file, _):
    file.create_dataset(
        WEIGHT, data=np.zeros((4096, 16384)), compression="gzip", compression_opts=9
    )


def of_type(values):
    return replaced(lambda file, _: file.create_dataset(WEIGHT, data=values()))


def typed(name):
    def edit(file, _):
        del file["node/nodes/n0/type"]
        file["node/nodes/n0/type"] = name

    return edited(edit)


def with_edge(*pair):
    def edit(file, _):
        old = file["node/edges"][:].astype(str).tolist()
        del file["node/edges"]
        file.create_dataset("node/edges", data=[*old, list(pair)], dtype=h5py.string_dtype())

    return edited(edit)


HDF5 = {
    "6 empty": ("E1002", some_bytes(b"")),
    "6 text": ("E1004", some_bytes(b"hello\n")),
    "6 a signature alone": ("E1003", some_bytes(b"\x89HDF\r\n\x1a\n")),
    "6 gzip": ("E1004", some_bytes(gzip.compress(b"hello"))),
    "19 external storage": ("E1030", replaced(external)),
    "20 external link": (
        "E1030", linked(lambda path: h5py.ExternalLink(str(path.with_name("other.h5")), "weight")),
    ),
    "20 soft link": ("E1030", linked(lambda _: h5py.SoftLink("/node/nodes/n1/tau"))),
    "20 soft link to itself": ("E1030", linked(lambda _: h5py.SoftLink(f"/{WEIGHT}"))),
    "20 group in itself": ("E1030", edited(loop_of_groups)),
    "21 virtual": ("E1030", replaced(virtual)),
    "22 unknown filter": ("E1031", replaced(unknown_filter)),
    "23 giant": ("E1033", replaced(giant)),
    "23 inflating": ("E1033", replaced(inflating)),
    "24 many nodes": ("E1030", edited(many_nodes)),
    "24 nested": ("E1030", edited(nested)),
    "26 edge to nowhere": ("E1020 E1021 E1022 E1034", with_edge("n0", "nobody")),
    "26 edge twice": ("E1020 E1021 E1022 E1034", with_edge("n0", "n1")),
    "27 a loop without a neuron": ("E2021", with_edge("n0", "n0")),
    "29 type of Python": ("E1034 E2020", typed("__class__")),
    "29 type of the system": ("E1034 E2020", typed("os.system")),
    "30 complex": ("E1032", of_type(lambda: np.zeros((10, N_IN), complex))),
    "30 compound": (
        "E1032", of_type(lambda: np.zeros((10, N_IN), [("a", "f4"), ("b", "i4")])),
    ),
    "30 text": ("E1021 E1034 E1012 E1032", of_type(lambda: np.full((10, N_IN), b"a"))),
    "30 opaque": ("E1032", of_type(lambda: np.zeros((10, N_IN), "V8"))),
    "16 NaN": ("E1012", of_type(lambda: np.full((10, N_IN), np.nan))),
    "28 wrong shape": ("E1021 E1034", of_type(lambda: np.zeros((7, 5)))),
    "28 zero-sized": ("E1021 E1034", of_type(lambda: np.zeros((0, N_IN)))),
    "31 version of the future": (
        "E1462", edited(lambda f, _: (f.pop("version"), f.__setitem__("version", "99.0"))),
    ),
}  # fmt: skip


# ---- what is no file ----------------------------------------------------------------------------

PLACES = {
    "42 pipe.pt": ("E1001", os.mkfifo),
    "42 pipe.nir": ("E1001", os.mkfifo),
    "42 link to nothing.nir": ("E1001", lambda path: path.symlink_to("nothing")),
    "42 device.nir": ("E1001 E1002", lambda path: path.symlink_to("/dev/zero")),
}

CASES = (
    *((f"{name}.pt", *case) for name, case in TORCH.items()),
    *((f"{name}.nir", *case) for name, case in HDF5.items()),
    *((name, *case) for name, case in PLACES.items()),
)


@pytest.fixture
def took(monkeypatch):
    """Peak memory and CPU time of every reading process."""
    seen = []
    ask = confined._ask

    def listening(request, path):
        reply = ask(request, path)
        seen.append(confined.unpack(memoryview(reply))[0])
        return reply

    monkeypatch.setattr(confined, "_ask", listening)
    return seen


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    model = chain_model(
        nir.Affine(weight=rng.normal(0.2, 0.4, (10, N_IN)), bias=np.zeros(10)),
        lif((10,), keep=0.75),
        nir.Affine(weight=rng.normal(0, 0.4, (N_OUT, 10)), bias=np.zeros(N_OUT)),
        shape=(N_IN,), out_shape=(N_OUT,), steps=8,
    )  # fmt: skip
    from snndeploy.frontends.checkpoint import write_model

    write_model(model, tmp_path / "model.pt")
    write(model, tmp_path / "model.nir")
    return tmp_path


@pytest.mark.parametrize(("name", "codes", "make"), CASES, ids=[case[0] for case in CASES])
def test_is_refused_in_one_line(name, codes, make, models, took, capsys):
    from snndeploy.cli.main import run

    make(models / name)
    before = sorted(p.name for p in models.iterdir())
    capsys.readouterr()
    start = time.process_time()
    code = run(["compile", name, "-o", "net"])
    seconds = time.process_time() - start + sum(t["cpu_s"] for t in took)
    out, err = capsys.readouterr()
    assert err.startswith("error["), (code, out, err)
    assert err[6:11] in codes.split(), err
    assert code == (4 if err[6:8] == "E2" else 3)
    assert len(err.splitlines()) == 1
    assert "Traceback" not in out + err
    assert "TOPSECRET" not in out + err
    assert sorted(p.name for p in models.iterdir()) == before
    assert not (models / "pwned").exists()
    assert seconds < SECONDS
    assert all(t["peak_bytes"] < BYTES for t in took)


@pytest.mark.parametrize("name", ["model.pt", "model.nir"])
def test_every_sixteenth_and_the_last_byte_missing(name, models, capsys):
    from snndeploy.cli.main import run

    data = (models / name).read_bytes()
    for size in (*(len(data) * i // 16 for i in range(16)), len(data) - 1):
        (models / f"cut-{name}").write_bytes(data[:size])
        assert run(["inspect", f"cut-{name}"]) == 3, size
        assert capsys.readouterr().err.startswith("error[E10")


@pytest.mark.parametrize("name", ["model.pt", "model.nir"])
def test_a_flipped_byte_ends_in_a_model_or_in_a_line(name, models, capsys):
    """Where the format has no checksum a flip may pass; it then gives a model that is checked."""
    from snndeploy.cli.main import run

    data = (models / name).read_bytes()
    rng = np.random.default_rng(1)
    for at in rng.integers(0, len(data), 60):
        flipped = bytearray(data)
        flipped[at] ^= 1 << int(rng.integers(8))
        (models / f"flipped-{name}").write_bytes(bytes(flipped))
        code = run(["inspect", f"flipped-{name}"])
        err = capsys.readouterr().err
        assert code in (0, 3, 4), (at, code, err)
        assert code == 0 or err.startswith("error[E"), err


def test_extreme_weights_compile_or_are_refused(models, capsys):
    """18: denormal, enormous and lone weights, a layer of zeros: no division by zero, no NaN."""
    from snndeploy.cli.main import run

    outlier = np.full((10, N_IN), 0.1)
    outlier[0, 0] = 1e30
    for weight in (np.full((10, N_IN), 1e-310), np.full((10, N_IN), 1e38), outlier,
                   np.zeros((10, N_IN))):  # fmt: skip
        model = chain_model(
            nir.Linear(weight=weight), lif((10,), keep=0.5), nir.Linear(weight=np.ones((4, 10))),
            shape=(N_IN,), out_shape=(4,), steps=4,
        )  # fmt: skip
        write(model, models / "extreme.nir")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            code = run(["compile", "extreme.nir", "-o", "net", "--force"])
        out, err = capsys.readouterr()
        assert code in (0, 3, 4), err
        assert "nan" not in out.lower()


def test_a_buffer_in_memory_is_what_these_tests_write(models):
    """The makers above start from files that are good."""
    from snndeploy.cli.main import run

    assert run(["inspect", "model.pt"]) == run(["inspect", "model.nir"]) == 0
    assert io.BytesIO((models / "model.pt").read_bytes()).getbuffer().nbytes > 1000
