"""Networks as `.nir`: read back, they are the same graph, the same integers, the same spikes."""

from collections import Counter
from dataclasses import replace

import nir
import numpy as np
import pytest
from deployed import small_network
from hypothesis import given, settings
from hypothesis import strategies as st
from sequences import mixed_sequence, random_sequence

import snndeploy
from snndeploy.errors import UnsupportedError
from snndeploy.exporters.nir import model_of, network_file
from snndeploy.frontends.nir_file import read
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.network import Source
from snndeploy.ir.neurons import NEVER, lif
from snndeploy.ir.programs import (
    LIF_CLAMPED,
    LIF_MULTI,
    LIF_SUBTRACT,
    lif_clamped,
    lif_multi,
    lif_subtract,
)
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.rebuild import copy_node, rebuild_graph
from tests.generator.networks import random_network

REFUSALS = ("E2417", "E2418", "E2419")
N_SEQUENCES = 32


def read_back(network, inputs, path):
    """Check a network's file; return cells compared, and layers that fire so in float too."""
    data, checks, _ = network_file(network)
    assert checks
    path.write_bytes(data)
    model = read(path)
    compiled = snndeploy.compile(model, "loihi")
    again = compiled.network
    given = dict(zip([s.name for s in again.sources], inputs.values(), strict=True))
    want = run_reference(network, inputs, record=tuple(network.population))
    got = run_reference(again, given, record=tuple(again.population))
    pairs = list(
        zip(sorted(network.populations, key=lambda p: p.wave), again.populations, strict=True)
    )
    for mine, theirs in pairs:
        for word, values in want[mine.name].states.items():
            np.testing.assert_array_equal(got[theirs.name].states[word], values, word)
    spiking = [theirs.name for _, theirs in pairs if theirs.name in model.graph.nodes]
    spiking = [
        n for n in spiking if isinstance(model.graph.nodes[n], nir.IF | nir.LIF | nir.CubaLIF)
    ]
    floats = {name: frames.astype(float) for name, frames in given.items()}
    answers = run_float(model, floats, record=tuple(spiking))
    for name in spiking:
        spikes = got[name].spikes
        np.testing.assert_array_equal(answers[name].reshape(spikes.shape), spikes, name)
    return sum(trace.spikes.size for trace in want.values()), len(spiking)


def test_all_kinds_of_layers(tmp_path):
    _, spiking = read_back(*mixed_sequence(), tmp_path / "a.nir")
    assert spiking == 4


def test_sequences_read_back(tmp_path, tell):
    codes = Counter()
    cells = layers = 0
    for seed in range(N_SEQUENCES):
        try:
            found = read_back(*random_sequence(seed), tmp_path / "a.nir")
        except UnsupportedError as error:
            codes[error.code] += 1
            continue
        cells, layers = cells + found[0], layers + found[1]
    written = N_SEQUENCES - codes.total()
    tell(
        f"{N_SEQUENCES} sequences: {written} .nir files read back, {cells:,} cells and {layers} "
        f"float layers equal; refused {dict(sorted(codes.items()))}"
    )
    assert set(codes) <= {*REFUSALS, "E2415"}
    assert written >= 12


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_any_graph_is_written_or_refused_by_name(tmp_path_factory, seed):
    network, inputs = random_network(
        np.random.default_rng(seed), programs=("lif", "lif_subtract", "lif_clamped"), extreme=False
    )
    try:
        read_back(network, inputs, tmp_path_factory.mktemp("nir") / "a.nir")
    except UnsupportedError as error:
        assert error.code in (*REFUSALS, "E2415", "E2101", "E2131", "E2132")  # noqa: PT017


SUBTRACTING = (
    (LIF_SUBTRACT, lif_subtract(du=4095, dv=512, threshold=64 * 90)),
    (LIF_SUBTRACT, lif_subtract(du=4095, dv=512, threshold=64 * 90, strict=False)),
    (LIF_SUBTRACT, lif_subtract(du=2000, dv=300, threshold=5001)),
    (LIF_CLAMPED, lif_clamped(du=4095, dv=512, threshold=64 * 90 + 7)),
    (LIF_CLAMPED, lif_clamped(du=4095, dv=512, threshold=64 * 90, v_min=-64 * 90)),
)


@pytest.mark.parametrize(("program", "params"), SUBTRACTING)
def test_resets_and_clamps(tmp_path, program, params):
    network = small_network()
    hidden = replace(network.populations[0], program=program, params=params)
    network = replace(network, populations=(hidden, *network.populations[1:]))
    rng = np.random.default_rng(0)
    inputs = {"in": (rng.random((5, 6, 6)) < 0.5).astype(np.int64)}
    spikes = run_reference(network, inputs, record=("hidden",))["hidden"].spikes
    assert 0 < spikes.mean() < 1
    try:
        read_back(network, inputs, tmp_path / "a.nir")
    except UnsupportedError as error:
        assert (error.code, program) == ("E2415", LIF_CLAMPED)  # noqa: PT017
        assert params["vth_state"][0] % 64  # a plain reset is Loihi's own, whose grid is coarser


def test_the_file_is_plain_nir_that_others_read(tmp_path):
    network, _ = mixed_sequence(width=3)
    (tmp_path / "a.nir").write_bytes(network_file(network)[0])
    graph = nir.read(tmp_path / "a.nir")  # with nir's own type check
    kinds = Counter(type(node).__name__ for node in graph.nodes.values())
    assert kinds == {
        "Input": 1, "Conv2d": 1, "CubaLIF": 1, "LIF": 2, "SumPool2d": 1, "Scale": 1, "Flatten": 1,
        "Affine": 2, "IF": 1, "Output": 1,
    }  # fmt: skip
    conv = next(n for n in graph.nodes.values() if isinstance(n, nir.Conv2d))
    assert tuple(conv.input_shape) == (9, 7)
    neuron = next(n for n in graph.nodes.values() if isinstance(n, nir.CubaLIF))
    assert neuron.tau_mem.shape == neuron.v_threshold.shape == (6, 4, 5)
    np.testing.assert_allclose(neuron.r * 1e-4 / neuron.tau_mem, 1)
    assert all(name.isidentifier() for name in graph.nodes)


def test_what_nir_s_own_check_refuses_is_noted():
    square, other = (network_file(mixed_sequence(width=w)[0])[2] for w in (3, 2))
    assert not any("type_check=False" in note for note in square)
    assert any("type_check=False" in note for note in other)


def per_neuron(network):
    hidden = network.populations[0]
    params = {**lif_subtract(du=4095, dv=0, threshold=np.arange(1, 9) * 64)}
    return replace(
        network,
        populations=(
            replace(hidden, program=LIF_SUBTRACT, params=params),
            *network.populations[1:],
        ),
    )


def multi(network):
    params = lif_multi(du=4095, dv=0, threshold=640, most=3)
    hidden = replace(network.populations[0], program=LIF_MULTI, params=params)
    return replace(network, populations=(hidden, *network.populations[1:]))


def looped(network):
    back = replace(
        network.projections[0], name="back", source="hidden", lag=1,
        synapse=replace(network.projections[0].synapse, weight=2 * np.eye(8, dtype=np.int64)),
    )  # fmt: skip
    return replace(network, projections=(*network.projections, back))


def floored(network):
    first = replace(network.projections[0], weight_exp=-3)
    return replace(network, projections=(first, *network.projections[1:]))


def biased_source(network):
    bias = Source(name="bias", shape=(1,), encoding="bias")
    return replace(network, sources=(*network.sources, bias))


def potential(network):
    return replace(network, outputs=(replace(network.outputs[0], readout="potential"),))


def bias_beside_current(network):
    hidden = replace(
        network.populations[0], params=lif(du=99, dv=0, vth=90, bias_mant=7, bias_exp=3)
    )
    return replace(network, populations=(hidden, *network.populations[1:]))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (multi, "E2417"), (per_neuron, "E2417"), (looped, "E2418"), (floored, "E2418"),
        (biased_source, "E2418"), (potential, "E2419"), (bias_beside_current, "E2419"),
    ],
)  # fmt: skip
def test_what_nir_has_no_form_for_is_refused(change, code):
    with pytest.raises(UnsupportedError) as caught:
        model_of(change(small_network()))
    assert caught.value.code == code
    assert "onnx" in caught.value.remedy


def test_a_readout_never_fires():
    model = model_of(small_network())
    assert small_network().populations[-1].scalar("vth") == NEVER
    assert sum(isinstance(node, nir.IF | nir.LIF) for node in model.graph.nodes.values()) == 1


def test_a_model_of_integers_is_not_trained():
    x = np.ones((5, 8, 6), dtype=np.uint8)
    with pytest.raises(UnsupportedError) as caught:
        snndeploy.finetune(model_of(small_network()), x, label=np.zeros(8, dtype=int))
    assert caught.value.code == "E2303"


def with_neuron(**changes):
    """Return the small network's model with other fields of its spiking node."""
    model = model_of(small_network())
    node = copy_node(model.graph.nodes["hidden"])
    for name, value in changes.items():
        setattr(node, name, value * np.ones(node.v_threshold.shape))
    return replace(model, graph=rebuild_graph(model.graph, {"hidden": node}))


def with_weight(change):
    model = model_of(small_network())
    node = model.graph.nodes["in_to_hidden"]
    changed = copy_node(node, weight=change(np.array(node.weight)))
    return replace(model, graph=rebuild_graph(model.graph, {"in_to_hidden": changed}))


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (lambda: with_neuron(v_threshold=90.5), "threshold"),
        (lambda: with_weight(lambda w: w + 0.5), "grid"),
        (lambda: with_weight(lambda w: w + 1), "grid"),
        (lambda: with_weight(lambda w: 1_000 * w), "may reach|grid"),
    ],
)
def test_integers_that_are_not_the_chip_s_are_refused(model, says):
    with pytest.raises(UnsupportedError, match=says) as caught:
        snndeploy.compile(model(), "loihi")
    assert caught.value.code == "E2415"


def test_a_threshold_between_two_states_is_the_lower_one():
    for between in (90.0, 90.0 + 1 / 128, 90.0 + 1 / 65):
        compiled = snndeploy.compile(with_neuron(v_threshold=between), "loihi")
        assert compiled.network.population["hidden"].scalar("vth") == 90
