"""`snndeploy export`, and networks alone in files: run, inspected, verified, refused."""

import os
import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from sequences import mixed_sequence

import snndeploy
from snndeploy import npz
from snndeploy.errors import UsageError
from snndeploy.ir.text import print_network
from snndeploy.network_file import read_network
from snndeploy.reading import confined
from tests.cli.test_bad_inputs import check_refused, names


@pytest.fixture
def exported(files, snn):
    """The working folder with net.onnx, step.onnx and net.network."""
    for name, *options in (("net.onnx",), ("step.onnx", "--form", "step", "--inline")):
        ran = snn("export", "model.pt", "--format", "onnx", "-o", name, *options)
        assert ran.code == 0, ran.err
        assert "0 differ" in ran.out
    text = snn("inspect", "model.pt", "--emit", "network").out
    (files / "net.network").write_text(text)
    return files


FILES = ("net.onnx", "step.onnx", "net.network")


@pytest.mark.parametrize("name", FILES)
def test_a_network_alone_answers_what_the_model_does(exported, snn, name):
    want = snn("run", "model.pt", "--backend", "sim", "--input", "data.npz", "--output", "a.npz")
    got = snn("run", name, "--backend", "onnx", "--input", "data.npz", "--output", "b.npz")
    assert (want.code, got.code) == (0, 0), got.err
    first, second = (npz.load_npz((exported / f).read_bytes(), f) for f in ("a.npz", "b.npz"))
    np.testing.assert_array_equal(first["y"], second["y"])
    assert first["y"].any()


@pytest.mark.parametrize("name", FILES)
def test_a_network_alone_is_inspected_and_verified(exported, snn, name):
    shown = snn("inspect", name)
    assert shown.code == 0
    assert "lif" in shown.out
    record = snn("inspect", name, "--json").json()
    assert record["steps"] == 8
    assert snn("inspect", name, "--emit", "network").out == (exported / "net.network").read_text()
    before = names(exported)
    ran = snn("verify", name, "--backends", "sim,onnx")
    assert ran.code == 0, ran.err
    assert "EQUAL: sim, onnx against the reference" in ran.out
    assert names(exported) == before
    assert snn("estimate", name, "--data", "data.npz").code == 0


def test_all_ways_to_a_network_export_the_same_bytes(exported, snn, bundle):
    for source in ("net.network", "net.onnx", bundle):
        ran = snn("export", source, "--format", "onnx", "-o", "again.onnx", "--force")
        assert ran.code == 0, ran.err
        again = read_network(exported / "again.onnx")
        assert again.steps == 8
        if source != bundle:
            assert (exported / "again.onnx").read_bytes() == (exported / "net.onnx").read_bytes()


def test_the_report_is_json_too(files, snn):
    record = snn("export", "model.pt", "--format", "onnx", "-o", "n.onnx", "--json").json()
    assert record["size"] == (files / "n.onnx").stat().st_size
    assert (record["format"], record["notes"]) == ("onnx", [])
    assert len(record["checks"]) == 1


def test_without_a_runtime_the_file_is_written_and_the_report_says_so(files, snn, monkeypatch):
    from hwtargets.onnxruntime import executor

    monkeypatch.setattr(executor, "is_installed", lambda: False)
    ran = snn("export", "model.pt", "--format", "onnx", "-o", "n.onnx")
    assert ran.code == 0
    assert "not run after export" in ran.out
    assert "pip install onnxruntime" in ran.out
    assert (files / "n.onnx").exists()


def test_models_and_bundles_become_nir(files, snn, bundle):
    assert snn("export", "model.pt", "--format", "nir", "-o", "m.nir").code == 0
    assert (files / "m.nir").read_bytes() == (files / "model.nir").read_bytes()
    ran = snn("export", bundle, "--format", "nir", "-o", "b.nir")
    assert ran.code == 0, ran.err
    assert "read back" in ran.out
    for name in ("m.nir", "b.nir"):
        assert snn("run", name, "--backend", "float", "--input", "data.npz").code == 0


def test_netx_takes_what_it_can_and_refuses_the_rest(files, snn):
    network, inputs = mixed_sequence()
    (files / "mixed.network").write_text(print_network(network)[0])
    np.savez(files / "x.npz", x=next(iter(inputs.values())))
    ran = snn("export", "mixed.network", "--format", "netx", "-o", "m.net")
    assert ran.code == 0, ran.err
    assert "reset_interval=12" in ran.out
    answers = []
    for name in ("mixed.network", "m.net"):
        ran = snn("run", name, "--backend", "sim", "--input", "x.npz", "--output", f"{name}.npz")
        assert ran.code == 0, ran.err
        answers.append(npz.load_npz((files / f"{name}.npz").read_bytes(), name)["y"])
    np.testing.assert_array_equal(*answers)
    before = names(files)
    ran = snn("export", "model.pt", "--format", "netx", "-o", "n.net")  # a leak: exponents
    check_refused(ran, files, code=4, before=before)
    assert "E2414" in ran.err


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("--format", "onnx", "-o", "model.pt"), 2, "E5003"),
        (("--format", "onnx", "-o", "nowhere/n.onnx"), 2, "E5004"),
        (("--format", "onnx",), 2, "--output"),
        (("-o", "n.onnx",), 2, "--format"),
        (("--format", "onyx", "-o", "n.onnx"), 2, "--format"),
        (("--format", "nir", "-o", "n.nir", "--inline"), 2, "E5121"),
        (("--format", "netx", "-o", "n.net", "--form", "step"), 2, "E5121"),
        (("--format", "onnx", "-o", "n.onnx", "--target", "lohi2"), 2, "did you mean 'loihi2'"),
    ],
)  # fmt: skip
def test_what_cannot_be_exported_is_one_line(files, snn, args, code, says):
    before = names(files)
    ran = snn("export", "model.pt", *args)
    assert ran.code == code
    assert says in ran.err
    assert len(ran.err.splitlines()) == 1
    assert names(files) == before


@pytest.mark.parametrize("options", [{"format": "onyx"}, {"format": "onnx", "form": "loop"}])
def test_an_unknown_format_or_form_writes_nothing(files, options):
    model = snndeploy.load(files / "model.pt")
    with pytest.raises(UsageError, match=r"E5121\] --form(at)?: unknown form(at)? '(onyx|loop)'"):
        snndeploy.export(snndeploy.compile(model), files / "n.onnx", **options)
    assert not (files / "n.onnx").exists()


@pytest.mark.usefixtures("exported")
def test_a_network_is_no_model(snn):
    for name in FILES:
        for command in (("compile",), ("finetune", "--data", "data.npz", "-o", "tuned.pt")):
            ran = snn(command[0], name, *command[1:])
            assert ran.code == 3
            assert "E1412" in ran.err


@pytest.mark.usefixtures("exported")
def test_options_of_compilation_are_refused_for_a_network(snn):
    for option in (("--steps", "4"), ("--encode", "rate")):
        ran = snn("run", "net.onnx", "--backend", "sim", "--input", "data.npz", *option)
        assert ran.code == 2
        assert "a network is compiled already" in ran.err
    assert snn("run", "net.onnx", "--backend", "float", "--input", "data.npz").code == 2
    assert snn("inspect", "net.network", "--emit", "nir").code == 2


# ---- bad and hostile files ----------------------------------------------------------------


def foreign(path):
    """A float model of any other program."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2, 2], [1.0] * 4)
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["B", 2]) for n in "xy")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weight]
    )
    onnx.save(helper.make_model(graph), path)


def edited(change):
    def write(path):
        shutil.copy(path.with_name("net.onnx"), path)
        model = onnx.load(path)
        change(model)
        path.write_bytes(model.SerializeToString())

    return write


def external(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../etc/passwd"


def nested(path):
    """A protobuf nested far deeper than any parser should follow."""
    data = b""
    for _ in range(3000):
        attribute = b"\x32" + length(data) + data  # g
        node = b"\x2a" + length(attribute) + attribute
        data = b"\x0a" + length(node) + node
    path.write_bytes(b"\x08\x08\x3a" + length(data) + data)


def length(data):
    size, out = len(data), b""
    while size > 127:
        out, size = out + bytes([size & 127 | 128]), size >> 7
    return out + bytes([size])


def lying_length(path):
    """A graph that claims to be 2 GiB long."""
    path.write_bytes(b"\x08\x08\x3a\xff\xff\xff\xff\x07" + bytes(1000))


def huge(path):
    """A sparse file, larger than what is read."""
    with path.open("wb") as file:
        file.truncate(300 << 20)


def edited_text(old, new):
    def write(path):
        text = path.with_name("net.network").read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return write


BAD = {
    "E1401 empty.onnx": lambda path: path.write_bytes(b""),
    "E1401 text.onnx": lambda path: path.write_text("this is no model\n"),
    "E1401 picture.onnx": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "E1401 nested.onnx": nested,
    "E1401 lying.onnx": lying_length,
    "E1402 foreign.onnx": foreign,
    "E1204 huge.onnx": huge,
    "E1212 missing.onnx": lambda _: None,
    "E1212 fifo.onnx": os.mkfifo,
    "E1405 external.onnx": edited(external),
    "E1404 domain.onnx": edited(lambda m: m.graph.node.add(op_type="X", domain="com.evil")),
    "E1407 node.onnx": edited(lambda m: m.graph.node.pop()),
    "E1410 binary.network": lambda path: path.write_bytes(b"snndeploy-network 3\n\xff\xfe"),
    "E1064 empty.network": lambda path: path.write_text(""),
    "E1064 other.txt": lambda path: path.write_text("a b c\n"),
    "E1064 beside.network": edited_text("weight 10x12 :", "weight @elsewhere :"),
    "E1064 number.network": edited_text("weight 10x12 : ", f"weight 10x12 : {10**30} "),
    "E1065 grid.network": edited_text("weight_bits=8", "weight_bits=1"),
    "E1403 neurons.network": edited_text("shape=10 ", "shape=99999999999 "),
    "E1403 exponent.network": edited_text("weight_exp=7", "weight_exp=700000000"),
    "E1401 latin.onnx": lambda path: path.write_bytes(
        path.with_name("net.onnx").read_bytes().replace(b"snndeploy.steps", b"snndeploy\xffsteps")
    ),
    "E1064 stride.network": lambda path: path.write_text(
        print_network(mixed_sequence()[0])[0].replace("stride=2x1", "stride=0x1")
    ),
    "E1065 none.network": edited_text("shape=10 ", "shape=0 "),
    "E1065 less.network": edited_text("shape=10 ", "shape=-10 "),
    "E1403 steps.network": edited_text("steps=8", "steps=99999999999"),
}  # fmt: skip
COMMANDS = (
    ("run", "--backend", "sim", "--input", "data.npz", "--output", "y.npz"),
    ("inspect",),
    ("verify",),
    ("export", "--format", "onnx", "-o", "again.onnx"),
)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_with_its_code(exported, snn, case):
    code, name = case.split()
    BAD[case](exported / name)
    before = names(exported)
    for command, *options in COMMANDS:
        ran = snn(command, name, *options)
        check_refused(ran, exported, before=before)
        assert code in ran.err


@pytest.mark.parametrize("name", ["net.onnx", "net.network"])
def test_a_network_is_read_in_another_process(exported, monkeypatch, opened_here, name):
    """None of the file's bytes comes into this one; what comes is the same network."""
    asked = []
    ask = confined._ask
    monkeypatch.setattr(confined, "_ask", lambda *args: asked.append(args) or ask(*args))
    network = read_network(exported / name)
    assert len(asked) == 1
    assert not [path for path in opened_here if path.endswith(name)]
    assert print_network(network)[0] == (exported / "net.network").read_text()
    (exported / name).read_bytes()
    assert opened_here[-1].endswith(name)


def test_what_the_host_computes_is_read_in_another_process_too(files, snn, opened_here):
    first = ("--host-layers", "1")
    assert snn("compile", "model.pt", *first, "-o", "net").code == 0
    want = snn(
        "run", "model.pt", *first, "--backend", "sim", "--input", "data.npz", "--json"
    ).json()
    opened_here.clear()
    got = snn("run", "net", "--backend", "sim", "--input", "data.npz", "--json").json()
    assert got["outputs"] == want["outputs"]
    opened = [path for path in opened_here if path.endswith("host.nir")]
    assert len(opened) == 1  # for its digest, and not for HDF5
    assert (files / "net" / "host.nir").exists()


def test_the_same_in_python(exported, arrays):
    opened = snndeploy.open_network(exported / "net.onnx")
    answer = snndeploy.run(opened, arrays["x"], backend="onnx", label=arrays["label"])
    model = snndeploy.compile(snndeploy.load(exported / "model.pt"))
    want = snndeploy.run(model, arrays["x"], label=arrays["label"])
    np.testing.assert_array_equal(answer.y["output"], want.y["output"])
    assert answer.accuracy == want.accuracy
    written = snndeploy.export(opened, exported / "py.onnx", form="step")
    assert written.size == (exported / "py.onnx").stat().st_size
    assert snndeploy.verify(opened, ("sim", "onnx")).is_equal
    with pytest.raises(UsageError) as caught:
        snndeploy.export(snndeploy.load(exported / "model.pt"), exported / "float.onnx")
    assert caught.value.code == "E5120"
