"""Events, images and data of NIR nodes as samples; small files written here, and broken ones."""

import io
import struct

import flatbuffers
import lz4.frame
import nir
import numpy as np
import pytest
import zstandard
from PIL import Image

from snndeploy.errors import ModelError, UsageError
from snndeploy.npz import dump_npz
from snndeploy.recordings.aedat4 import EVENT, MAGIC, read_aedat4
from snndeploy.samples import read_samples

CAMERA = {"input": (2, 4, 5)}
TONIC = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])


def events(n=50, seed=1, dtype=TONIC, t_max=9000):
    rng = np.random.default_rng(seed)
    found = np.zeros(n, dtype)
    found["t"] = np.sort(rng.integers(1000, 1000 + t_max, n))
    found["x"], found["y"], found["p"] = (rng.integers(0, size, n) for size in (5, 4, 2))
    return found


def counted(found, dt_us, n_steps):
    """Count events with plain loops: the judge."""
    frames = np.zeros((n_steps, 2, 4, 5))
    first = min(int(event["t"]) for event in found)
    for event in found:
        step = (int(event["t"]) - first) // dt_us
        frames[step, int(event["p"]), event["y"], event["x"]] += 1
    return frames


# ---- AEDAT4 ----------------------------------------------------------------------------------


def header(compression, end=-1, kind="EVTS"):
    """Return an IOHeader, written by the flatbuffers package."""
    text = (
        '<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">'
        f'<node name="0"><attr key="typeIdentifier" type="string">{kind}</attr>'
        '<node name="info"><attr key="sizeX" type="int">5</attr>'
        '<attr key="sizeY" type="int">4</attr></node></node>'
        '<node name="1"><attr key="typeIdentifier" type="string">FRME</attr>'
        '<node name="info"><attr key="sizeX" type="int">5</attr>'
        '<attr key="sizeY" type="int">4</attr></node></node></node></dv>'
    )
    builder = flatbuffers.Builder(0)
    info = builder.CreateString(text)
    builder.StartObject(3)
    builder.PrependInt32Slot(0, compression, 0)
    builder.PrependInt64Slot(1, end, -1)
    builder.PrependUOffsetTRelativeSlot(2, info, 0)
    builder.FinishSizePrefixed(builder.EndObject(), b"IOHE")
    return bytes(builder.Output())


def packet(found):
    builder = flatbuffers.Builder(0)
    builder.StartVector(16, len(found), 8)
    for event in found[::-1]:
        builder.Prep(8, 16)
        builder.Pad(3)
        builder.PrependBool(bool(event["p"]))
        builder.PrependInt16(int(event["y"]))
        builder.PrependInt16(int(event["x"]))
        builder.PrependInt64(int(event["t"]))
    vector = builder.EndVector()
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, vector, 0)
    builder.FinishSizePrefixed(builder.EndObject(), b"EVTS")
    return bytes(builder.Output())


PACK = {
    0: bytes,
    1: lz4.frame.compress,
    2: lambda data: lz4.frame.compress(data, compression_level=9),
    3: zstandard.ZstdCompressor().compress,
    4: zstandard.ZstdCompressor(level=9).compress,
}


def aedat4(found, compression=1, *, table=b""):
    parts = [packet(found[:20]), packet(found[20:])]
    body = b""
    for stream, part in ((0, parts[0]), (1, b"a frame"), (0, parts[1])):
        packed = PACK[compression](part) if stream == 0 else part
        body += struct.pack("<ii", stream, len(packed)) + packed
    head = header(compression)
    if table:
        length = len(MAGIC) + len(header(compression, 0)) + len(body)
        head = header(compression, length)
    return MAGIC + head + body + table


@pytest.mark.parametrize("compression", PACK)
def test_an_aedat4_file_gives_its_events_back(compression):
    found = events()
    read = read_aedat4(aedat4(found, compression), "a.aedat4")
    assert set(read.dtype.names) == set(EVENT.names)
    for field in ("t", "x", "y", "p"):
        np.testing.assert_array_equal(read[field], found[field])


def test_what_follows_the_packets_is_not_read():
    assert len(read_aedat4(aedat4(events(), table=b"\xff" * 40), "a")) == 50


@pytest.mark.parametrize("source", ["npy", "npz", "fields", "aedat4"])
def test_events_are_counted_per_step_pixel_and_polarity(source, tmp_path):
    found = events()
    path = tmp_path / f"events.{source}"
    if source == "npy":
        np.save(path, found)
    elif source == "npz":
        path.write_bytes(dump_npz({"events": found, "label": np.array([3])}))
    elif source == "fields":
        path.write_bytes(dump_npz({name: found[name] for name in found.dtype.names}))
    else:
        path.write_bytes(aedat4(found))
    samples = read_samples(path, CAMERA, dt=1e-3)
    want = counted(found, 1000, len(samples.x["input"]))
    assert want.sum() == 50
    assert want.max() > 1
    np.testing.assert_array_equal(samples.x["input"][:, 0], want)
    assert (samples.label is not None) == (source == "npz")


def test_several_recordings_are_samples_padded_to_the_longest(tmp_path):
    lists = {
        "events.0": events(40, 1),
        "events.10": events(30, 2),
        "events.2": events(5, 3, t_max=9),
    }
    path = tmp_path / "all.npz"
    path.write_bytes(dump_npz({**lists, "label": np.array([0, 1, 2])}))
    x = read_samples(path, CAMERA, dt=2e-3).x["input"]
    assert x.shape[1] == 3
    assert x.sum(axis=(0, 2, 3, 4)).tolist() == [40, 5, 30]
    assert not x[1:, 1].any()


def test_one_polarity_counts_both_and_addresses_need_no_pixel(tmp_path):
    found = events()
    np.save(tmp_path / "e.npy", found)
    both = read_samples(tmp_path / "e.npy", {"input": (1, 4, 5)}, dt=1e-3).x["input"]
    two = read_samples(tmp_path / "e.npy", CAMERA, dt=1e-3).x["input"]
    np.testing.assert_array_equal(both, two.sum(axis=2, keepdims=True))
    cochlea = np.zeros(4, [("t", "<i8"), ("x", "<i4")])
    cochlea["t"], cochlea["x"] = [5, 5, 1500, 2600], [6, 6, 0, 3]
    np.save(tmp_path / "c.npy", cochlea)
    x = read_samples(tmp_path / "c.npy", {"input": (7,)}, dt=1e-3).x["input"]
    assert x[:, 0].tolist() == [[0] * 6 + [2], [1] + [0] * 6, [0, 0, 0, 1, 0, 0, 0]]


def broken_events():
    """Yield (file name, bytes, shapes, dt, error)."""
    found = events()
    floats = np.zeros(3, [("t", "<f8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")])
    good = aedat4(found)
    buffers = {name: io.BytesIO() for name in ("good", "floats", "empty", "square")}
    np.save(buffers["good"], found)
    np.save(buffers["floats"], floats)
    np.save(buffers["empty"], found[:0])
    np.save(buffers["square"], found[:4].reshape(2, 2))
    raw = {name: buffer.getvalue() for name, buffer in buffers.items()}
    where = len(MAGIC) + len(header(1))
    return [
        (raw["good"], CAMERA, None, r"E5133.*--dt SECONDS"),
        (raw["good"], CAMERA, -1.0, "E5133"),
        (raw["good"], CAMERA, 1e-12, "E1204.*larger --dt"),
        (raw["good"], CAMERA, 1e-300, "E1204.*larger --dt"),
        (raw["good"], CAMERA, 5e-324, "E1204.*larger --dt"),
        (raw["good"], {"input": (2, 4, 4)}, 1e-3, r"E1443.*x goes from 0 to 4, the input has 4"),
        (raw["good"], {"input": (3, 4, 5)}, 1e-3, "E1443.*two polarities"),
        (raw["good"], {"a": (2,), "b": (3,)}, 1e-3, "E1205"),
        (raw["floats"], CAMERA, 1e-3, "E1442.*field t is float64"),
        (raw["empty"], CAMERA, 1e-3, "E1442.*no events"),
        (raw["square"], CAMERA, 1e-3, "E1442.*not a list"),
        (raw["good"][:-7], CAMERA, 1e-3, "E1202"),
        (MAGIC, CAMERA, 1e-3, "E1441"),
        (MAGIC + header(9), CAMERA, 1e-3, "E1441.*compression 9"),
        (MAGIC + header(0, 1 << 40), CAMERA, 1e-3, "E1441.*table of data"),
        (MAGIC + header(0), CAMERA, 1e-3, "E1441.*no events"),
        (MAGIC + header(0, kind="IMUS") + good[where:], CAMERA, 1e-3, "E1441.*no events"),
        (MAGIC + header(3) + good[where:], CAMERA, 1e-3, "E1441.*does not inflate"),
        (good[:-5], CAMERA, 1e-3, "E1441"),
        (good[:where] + struct.pack("<ii", 0, -5) + good[where + 8 :], CAMERA, 1e-3, "E1441.*-5"),
        (MAGIC + b"\xff\xff\xff\x7f" + good[len(MAGIC) + 4 :], CAMERA, 1e-3, "E1441.*cut short"),
    ]  # fmt: skip


def test_bad_events_end_in_one_line(tmp_path):
    for index, (data, shapes, dt, pattern) in enumerate(broken_events()):
        path = tmp_path / f"{index}.bin"
        path.write_bytes(data)
        with pytest.raises((ModelError, UsageError), match=pattern) as caught:
            read_samples(path, shapes, dt=dt)
        assert "\n" not in caught.value.line()


def test_damaged_aedat4_ends_in_our_error_or_in_events():
    good = bytearray(aedat4(events(), 0))
    rng = np.random.default_rng(4)
    refused = 0
    for _ in range(400):
        data = bytearray(good)
        for place in rng.integers(len(MAGIC), len(data), 3):
            data[place] = rng.integers(256)
        try:
            read_aedat4(bytes(data), "a")
        except ModelError as error:
            refused += error.code == "E1441"
    assert 50 < refused < 400


def test_a_packet_that_inflates_without_end_is_refused():
    huge = zstandard.ZstdCompressor(level=1).compressobj()
    packed = b"".join(huge.compress(b"\0" * (1 << 24)) for _ in range(20)) + huge.flush()
    data = MAGIC + header(3) + struct.pack("<ii", 0, len(packed)) + packed
    assert len(data) < 1 << 16
    with pytest.raises(ModelError, match=r"E1204.*inflates to over"):
        read_aedat4(data, "a")


def test_steps_are_no_events_and_take_no_dt(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(dump_npz({"x": np.zeros((3, 1, 2, 4, 5))}))
    with pytest.raises(UsageError, match=r"E5135.*drop --dt"):
        read_samples(path, CAMERA, dt=1e-3)


# ---- images ------------------------------------------------------------------------------------


def save_image(path, pixels, **options):
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(pixels).save(path, **options)


def test_a_folder_per_class_gives_images_and_labels(tmp_path):
    rng = np.random.default_rng(0)
    pictures = {f"{c}/{i}.png": rng.integers(0, 256, (4, 5), dtype=np.uint8)
                for c in ("cat", "ant") for i in range(2)}  # fmt: skip
    for name, pixels in pictures.items():
        save_image(tmp_path / name, pixels)
    (tmp_path / "ant" / "notes.txt").write_text("no image")
    samples = read_samples(tmp_path, {"input": (1, 4, 5)})
    assert samples.x["input"].shape == (1, 4, 1, 4, 5)
    assert samples.label.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(samples.x["input"][0, 2, 0] * 255, pictures["cat/0.png"])
    flat = read_samples(tmp_path, {"input": (20,)})
    np.testing.assert_array_equal(flat.x["input"].reshape(-1), samples.x["input"].reshape(-1))


def test_colours_come_first_and_jpeg_is_read(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[..., 0] = 255
    save_image(tmp_path / "red" / "a.jpg", pixels, quality=95)
    x = read_samples(tmp_path, {"input": (3, 8, 8)}).x["input"][0, 0]
    assert x[0].min() > 0.9
    assert x[1:].max() < 0.1


@pytest.mark.parametrize(
    ("shape", "pattern"),
    [((1, 4, 5), r"E1445.*\(3, 4, 5\).*takes \(1, 4, 5\)"), ((3, 8, 8), "E1445.*not resized")],
)
def test_images_of_another_kind_are_refused(shape, pattern, tmp_path):
    save_image(tmp_path / "a" / "x.png", np.zeros((4, 5, 3), np.uint8))
    with pytest.raises(ModelError, match=pattern):
        read_samples(tmp_path, {"input": shape})


def test_bad_folders_end_in_one_line(tmp_path):
    with pytest.raises(ModelError, match=r"E1212.*not one of images"):
        read_samples(tmp_path, {"input": (1, 4, 5)})
    save_image(tmp_path / "a" / "x.png", np.zeros((4, 5, 4), np.uint8))
    with pytest.raises(ModelError, match=r"E1445.*mode RGBA"):
        read_samples(tmp_path, {"input": (1, 4, 5)})
    (tmp_path / "a" / "x.png").write_bytes(b"no image at all")
    with pytest.raises(ModelError, match=r"E1446.*x\.png"):
        read_samples(tmp_path, {"input": (1, 4, 5)})
    (tmp_path / "a" / "x.png").unlink()
    (tmp_path / "a" / "x.png").symlink_to("/etc/passwd")
    with pytest.raises(ModelError, match=r"E1446.*not a regular file"):
        read_samples(tmp_path, {"input": (1, 4, 5)})


# ---- data of NIR nodes -------------------------------------------------------------------------


def nir_data(path, **nodes):
    made = {name: nir.NIRNodeData({"spikes": data}) for name, data in nodes.items()}
    nir.write_data(path, nir.NIRGraphData(made))
    return path


def test_values_on_a_grid_are_steps(tmp_path):
    data = np.random.default_rng(0).random((3, 7, 6)) < 0.4
    path = nir_data(tmp_path / "grid.h5", input=nir.TimeGriddedData(data, 1e-3))
    x = read_samples(path, {"input": (2, 3)}).x["input"]
    np.testing.assert_array_equal(x, data.swapaxes(0, 1).reshape(7, 3, 2, 3))
    assert read_samples(path, {"other": (6,)}, dt=1e-3).n == 3
    with pytest.raises(UsageError, match=r"E5135.*0\.001 s, not 0\.01"):
        read_samples(path, {"input": (6,)}, dt=1e-2)


def test_events_of_nir_fall_into_their_steps(tmp_path):
    data = np.random.default_rng(0).random((3, 7, 6)) < 0.4
    grid = nir.TimeGriddedData(data, 1e-3)
    path = nir_data(tmp_path / "events.h5", input=grid.to_event(40, time_shift=5e-4))
    x = read_samples(path, {"input": (6,)}, dt=1e-3).x["input"]
    np.testing.assert_array_equal(x, data.swapaxes(0, 1))
    coarse = read_samples(path, {"input": (6,)}, dt=7e-3).x["input"]
    np.testing.assert_array_equal(coarse[0], data.sum(axis=1))
    with pytest.raises(UsageError, match="E5133"):
        read_samples(path, {"input": (6,)})


def test_bad_data_of_nir_ends_in_one_line(tmp_path):
    ones = nir.TimeGriddedData(np.ones((1, 2, 3)), 1e-3)
    outside = nir.EventData(np.array([[0, 9]]), np.array([[0.0, 0.1]]), 3, 1.0)
    late = nir.EventData(np.array([[0, 1]]), np.array([[0.0, 3.0]]), 3, 1.0)
    graph = nir.NIRGraph({"input": nir.Input({"input": np.array([3])}),
                          "output": nir.Output({"output": np.array([3])})},
                         [("input", "output")], type_check=False)  # fmt: skip
    nir.write(tmp_path / "graph.nir", graph)
    cases = [
        (nir_data(tmp_path / "a.h5", input=ones), (4,), "E1444.*takes .samples, steps, 4"),
        (nir_data(tmp_path / "b.h5", a=ones, b=ones), (3,), "E1444.*data of a, b"),
        (nir_data(tmp_path / "c.h5", input=outside), (3,), "E1444.*events outside"),
        (nir_data(tmp_path / "d.h5", input=late), (3,), "E1444.*events outside"),
        (tmp_path / "graph.nir", (3,), "E1444"),
    ]
    cut = tmp_path / "cut.h5"
    cut.write_bytes((tmp_path / "a.h5").read_bytes()[:900])
    for path, shape, pattern in [*cases, (cut, (3,), "E1444.*damaged")]:
        with pytest.raises(ModelError, match=pattern) as caught:
            read_samples(path, {"input": shape}, dt=1e-3)
        assert "\n" not in caught.value.line()
