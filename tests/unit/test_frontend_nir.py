"""NIR files of other programs: the NIR paper's networks, and what is noted, assumed or refused."""

from itertools import pairwise
from math import inf
from pathlib import Path

import nir
import numpy as np
import pytest
import torch

from snndeploy.errors import ModelError
from snndeploy.frontends import nir_file
from snndeploy.nirgraph.interpret import run_float
from snndeploy.semantics import PRESETS

PAPER = Path(__file__).parents[1] / "data" / "nir_paper"
SINABS = PRESETS["sinabs"]


def written(tmp_path, nodes, edges=None):
    """Write a graph of nodes, a chain unless edges are given, and return its path."""
    names = list(nodes)
    edges = edges or list(pairwise(names))
    path = tmp_path / "graph.nir"
    nir.write(path, nir.NIRGraph(nodes, edges, type_check=False))
    return path


def chain(*nodes, shape=(3,), out=(3,)):
    middle = {f"n{i}": node for i, node in enumerate(nodes)}
    start, end = np.array(shape), np.array(out)
    return {"input": nir.Input({"input": start}), **middle, "output": nir.Output({"output": end})}


def lif(n=3, **changes):
    fields = {"tau": 2e-4, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0} | changes
    return nir.LIF(**{name: np.full(n, value) for name, value in fields.items()})


def test_the_papers_lif_fires_when_it_fired_in_the_paper():
    model = nir_file.read(PAPER / "01_lif" / "lif_norse.nir")
    trace = np.loadtxt(PAPER / "01_lif" / "lif_norse.csv", delimiter=",")
    spikes = run_float(model, {"input": trace[:, 0].reshape(-1, 1, 1)})["output"]
    assert np.flatnonzero(spikes).tolist() == [460, 510, 710, 760]
    for name in ("lif_norse.csv", "lif_exact.csv"):
        expected = np.loadtxt(PAPER / "01_lif" / name, delimiter=",")[:, 2]
        assert np.flatnonzero(expected).tolist() == [460, 510, 710, 760]


def test_the_papers_cnn_follows_sinabs_rules():
    """Judge: the rules of sinabs 2.0 (several spikes, subtract, clamp), written in torch here."""
    path = PAPER / "02_cnn" / "cnn_sinabs.nir"
    model = nir_file.read(path, SINABS)
    assert model.inputs[0].shape == (2, 34, 34)
    x = (torch.rand(10, 2, 2, 34, 34, generator=torch.Generator().manual_seed(3)) < 0.1).double()

    nodes = nir.read(path).nodes
    value = x
    for name in sorted((name for name in nodes if name.isdigit()), key=int):
        value = by_hand(nodes[name], value)
    answer = run_float(model, {"input": x.numpy()}, record=("1", "9"))
    assert np.array_equal(answer["output"], value.numpy())
    assert answer["1"].max() > 1
    assert 0 < (answer["output"] > 0).mean() < 0.9


def by_hand(node, x):
    flat = x.flatten(0, 1)
    match node:
        case nir.Conv2d():
            weight, bias = (torch.as_tensor(a).double() for a in (node.weight, node.bias))
            options = {key: tuple(getattr(node, key)) for key in ("stride", "padding", "dilation")}
            out = torch.nn.functional.conv2d(flat, weight, bias, groups=int(node.groups), **options)
        case nir.Affine():
            out = flat @ torch.as_tensor(node.weight).double().T + torch.as_tensor(node.bias)
        case nir.SumPool2d():
            kernel, stride = tuple(node.kernel_size), tuple(node.stride)
            out = torch.nn.functional.avg_pool2d(flat, kernel, stride, divisor_override=1)
        case nir.Flatten():
            out = flat.flatten(1)
        case nir.IF():
            threshold = torch.as_tensor(node.v_threshold).double()
            v, spikes = torch.zeros_like(x[0]), []
            for frame in x:
                v = v + frame
                spikes.append((v / threshold).trunc().clamp(min=0))
                v = (v - spikes[-1] * threshold).maximum(-threshold)
            return torch.stack(spikes)
    return out.unflatten(0, x.shape[:2])


@pytest.mark.parametrize("name", ["bias_zero", "noBias_subtract"])
def test_the_papers_recurrent_networks_read_and_run(name):
    model = nir_file.read(PAPER / "03_rnn" / f"braille_noDelay_{name}.nir")
    assert model.inputs[0].shape == (12,)
    assert run_float(model, {"input": np.zeros((2, 1, 12))})["output"].shape == (2, 1, 7)


def test_what_a_file_leaves_open_is_assumed_and_noted(tmp_path):
    path = written(tmp_path, chain(lif()))
    model = nir_file.read(path)
    assert model.semantics == PRESETS["nir"]
    assert [(note.kind, note.node) for note in model.notes] == [("assumed", "n0")]
    assert (model.inputs[0].values, model.inputs[0].low, model.inputs[0].high) == (
        "real",
        -inf,
        inf,
    )
    assert model.steps is None


def test_what_the_caller_says_is_not_noted(tmp_path):
    path = written(tmp_path, chain(lif()))
    model = nir_file.read(path, SINABS, values="spikes")
    assert model.semantics == model.semantics_of("n0") == SINABS
    port = model.inputs[0]
    assert (port.values, port.low, port.high) == ("spikes", 0, 1)
    assert model.notes == ()


def test_a_file_that_snndeploy_wrote_says_it_all(tmp_path):
    first = nir_file.read(written(tmp_path, chain(lif())), SINABS, values="spikes")
    nir_file.write(first, tmp_path / "again.nir")
    again = nir_file.read(tmp_path / "again.nir")
    assert again.semantics_of("n0") == SINABS
    assert (again.inputs, again.outputs, again.notes) == (first.inputs, first.outputs, ())
    other = nir_file.read(tmp_path / "again.nir", PRESETS["nir"])
    assert other.semantics_of("n0") == SINABS
    assert [note.kind for note in other.notes] == ["dropped"]


def test_nothing_is_left_of_a_file_that_could_not_be_written(tmp_path, monkeypatch):
    model = nir_file.read(written(tmp_path, chain(lif())))

    def interrupted(name, _graph):
        Path(name).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(nir, "write", interrupted)
    before = set(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        nir_file.write(model, tmp_path / "again.nir")
    assert set(tmp_path.iterdir()) == before


def test_other_programs_read_what_we_write(tmp_path):
    conv = nir.Conv2d(
        (6, 6), np.ones((2, 1, 3, 3), np.float32), 1, "same", 1, 1, np.zeros(2, np.float32)
    )
    nodes = chain(conv, shape=(1, 6, 6), out=(2, 6, 6))
    model = nir_file.read(written(tmp_path, nodes))
    nir_file.write(model, tmp_path / "again.nir")
    graph = nir.read(tmp_path / "again.nir", type_check=True)
    assert graph.check_types()


def test_reading_leaves_the_callers_nodes_alone(tmp_path):
    model = nir_file.read(written(tmp_path, chain(lif())))
    before = {name: dict(vars(node)) for name, node in model.graph.nodes.items()}
    run_float(model, {"input": np.ones((2, 1, 3))}, record=("n0:v",))
    nir_file.write(model, tmp_path / "again.nir")
    for name, node in model.graph.nodes.items():
        assert all(vars(node)[key] is value for key, value in before[name].items())


def test_scalar_parameters_are_one_per_neuron(tmp_path):
    path = tmp_path / "scalar.nir"
    nodes = chain(lif(n=()))
    nir.write(path, nir.NIRGraph(nodes, [("input", "n0"), ("n0", "output")], type_check=False),
              compression=None)  # fmt: skip
    assert nir_file.read(path).graph.nodes["n0"].tau.shape == (3,)


def test_ports_that_nir_adds_are_noted(tmp_path):
    model = nir_file.read(written(tmp_path, {"n0": lif()}))
    assert [(note.kind, note.node) for note in model.notes[:2]] == [
        ("assumed", "input_n0"),
        ("assumed", "output_n0"),
    ]
    assert model.inputs[0].name == "input_n0"


BROKEN = {
    "shapes that do not meet": (chain(lif(4)), None, r"E1021.*n0: gets shape \(3,\), takes \(4,\)"),
    "a time constant of zero": (chain(lif(tau=0.0)), None, "E1022.*n0: tau must be positive"),
    "an edge to nowhere": (chain(lif()), [("input", "n9")], "E1020.*no node 'n9'"),
    "an unread loop": (
        chain(lif(), lif()),
        [("input", "output"), ("n0", "n1"), ("n1", "n0")],
        "E1020.*n0: no path leads here",
    ),
    "groups that do not divide": (
        chain(nir.Conv1d(3, np.ones((3, 1, 1)), 1, 0, 1, 2, np.zeros(3)), shape=(2, 3), out=(3, 3)),
        None,
        "E1022.*n0: 3 channels in 2 groups",
    ),
    "a kernel beyond the image": (
        chain(nir.SumPool2d(*np.array([[5, 5], [5, 5], [0, 0]])), shape=(1, 4, 4), out=(1, 1, 1)),
        None,
        "E1021.*n0: gets shape .1, 4, 4., takes an input that is at least",
    ),
    "a stride of zero": (
        chain(nir.SumPool2d(*np.array([[2, 2], [0, 2], [0, 0]])), shape=(1, 4, 4), out=(1, 2, 2)),
        None,
        "E1022.*n0: stride",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_graph_that_does_not_hold_together(name, tmp_path):
    nodes, edges, pattern = BROKEN[name]
    with pytest.raises(ModelError, match=pattern):
        nir_file.read(written(tmp_path, nodes, edges))
