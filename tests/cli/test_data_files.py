"""The process that reads files: what it reads, what it holds back, how its end is told."""

import h5py
import nir
import numpy as np
import pytest
from PIL import Image

from snndeploy.errors import ModelError, SnnDeployError
from snndeploy.reading import confined
from snndeploy.reading.transport import give_arrays, pack, take_arrays, unpack
from snndeploy.recordings import nir_data
from snndeploy.samples import read_samples

BAD_READERS = """
import os, signal
from pathlib import Path

import numpy as np

def crash(path, **options):
    os.kill(os.getpid(), signal.SIGSEGV)

def take(path, size):
    return {"took": np.empty(size, np.uint8).nbytes}, []

def flood(path):
    while True:
        os.write(max(int(fd) for fd in os.listdir("/proc/self/fd") if is_pipe(fd)), bytes(1 << 20))

def is_pipe(fd):
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:")
    except OSError:
        return False

def write(path):
    Path(path).write_bytes(b"")
"""
GIB = 1 << 30


@pytest.fixture
def bad_readers(files, monkeypatch):
    """Make the module above one that the reading process can import."""
    (files / "bad_readers.py").write_text(BAD_READERS)
    monkeypatch.setenv("PYTHONPATH", str(files))
    confined._process.end()  # the next one finds it
    yield
    confined._process.end()


def grid(path, n_in=12):
    data = np.random.default_rng(1).random((3, 8, n_in)) < 0.4
    made = {"input": nir.NIRNodeData({"spikes": nir.TimeGriddedData(data, 1e-3)})}
    nir.write_data(path, nir.NIRGraphData(made))
    return data


def forbidden(*_, **__):
    raise AssertionError("a library parsed a file in the user's process")


def test_recordings_are_parsed_in_another_process(files, monkeypatch, opened_here):
    """Of a file only its first bytes are looked at here, of images nothing."""
    data = grid(files / "d.h5", n_in=20)
    pixels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    (files / "images" / "a").mkdir(parents=True)
    Image.fromarray(pixels).save(files / "images" / "a" / "x.png")
    opened_here.clear()
    monkeypatch.setattr(h5py, "File", forbidden)
    monkeypatch.setattr(Image, "open", forbidden)
    asked = []
    ask = confined._ask
    monkeypatch.setattr(confined, "_ask", lambda *args: asked.append(args[1].name) or ask(*args))
    x = read_samples(files / "d.h5", {"input": (20,)}).x["input"]
    np.testing.assert_array_equal(x, data.swapaxes(0, 1))
    image = read_samples(files / "images", {"input": (1, 4, 5)}).x["input"]
    np.testing.assert_array_equal(image[0, 0, 0] * 255, pixels)
    assert asked == ["d.h5", "images"]
    assert len([path for path in opened_here if path.endswith("d.h5")]) == 1
    assert not [path for path in opened_here if path.endswith("x.png")]


@pytest.mark.usefixtures("bad_readers")
def test_a_library_that_crashes_is_one_line(files, snn, monkeypatch):
    grid(files / "d.h5")
    read = confined.read_plain
    crash = "bad_readers:crash"
    command = ("run", "model.pt", "--backend", "sim", "--input", "d.h5")
    with monkeypatch.context() as patch:
        patch.setattr(nir_data, "read_plain", lambda _, *args, **how: read(crash, *args, **how))
        ran = snn(*command)
    assert ran.code == 3
    assert ran.err.startswith("error[E1470] d.h5: makes its reader crash (SIGSEGV)")
    assert len(ran.err.splitlines()) == 1
    assert snn(*command).code == 0


@pytest.mark.usefixtures("bad_readers")
@pytest.mark.parametrize(
    ("reader", "options", "code"),
    [
        ("take", {"size": 2 * GIB}, "E1470.*more memory"),
        ("flood", {}, "E1470.*without end"),
        ("write", {}, "E1471"),
    ],
)
def test_what_a_reader_may_not_take(files, reader, options, code):
    with pytest.raises(SnnDeployError, match=code):
        confined.read_plain(f"bad_readers:{reader}", files / "data.npz", options)
    assert (files / "data.npz").stat().st_size


@pytest.mark.usefixtures("bad_readers")
def test_a_folder_may_take_what_its_files_may_and_a_caller_gives_room(files):
    (files / "images" / "a").mkdir(parents=True)
    ask = ("bad_readers:take", files / "images", {"size": 2 * GIB})
    with pytest.raises(ModelError, match=r"E1470.*more memory"):
        confined.read_plain(*ask)
    assert confined.read_plain(*ask, room=2 * GIB)[0] == {"took": 2 * GIB}
    with (files / "images" / "a" / "x.png").open("wb") as file:
        file.truncate(64 << 20)
    assert confined.read_plain(*ask)[0] == {"took": 2 * GIB}


# ---- transport -----------------------------------------------------------------------------------


def test_arrays_cross_as_they_are():
    sent = [
        np.arange(5, dtype=np.int8), np.float64(3.5), np.zeros((0, 3), np.int64),
        np.arange(6, dtype=">f4").reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array([True, False]), np.arange(8, dtype=np.uint16)[::2], np.ones((), np.float16),
    ]  # fmt: skip
    arrays = []
    header = take_arrays({"a": sent, "n": 3}, arrays)
    data = bytearray(b"".join([*pack(header, arrays), *pack({"next": 1}, [])]))
    found, came, rest = unpack(memoryview(data))
    for old, new in zip(sent, give_arrays(found, came)["a"], strict=True):
        assert np.dtype(old.dtype) == np.asarray(new).dtype or isinstance(old, np.generic)
        np.testing.assert_array_equal(old, new, strict=not isinstance(old, np.generic))
    assert all(array.flags.aligned and array.flags.writeable for array in came)
    assert unpack(rest)[0] == {"next": 1}


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("<f8", [1 << 60]), ("<f8", [3]), ("<f8", [-1]), ("<f8", [-1, -1]), ("|O", [1])],
)
def test_a_block_that_lies_is_none(dtype, shape):
    text = b'{"header": {}, "arrays": [["%s", %s]]}' % (dtype.encode(), str(shape).encode())
    with pytest.raises(ValueError, match=r"array|dimensions"):
        unpack(memoryview(bytearray(len(text).to_bytes(8, "little") + text + bytes(16))))
