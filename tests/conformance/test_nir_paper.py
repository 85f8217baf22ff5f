"""Networks of the NIR paper: a single neuron everywhere, a trained one with sinabs' neurons."""

from copy import deepcopy
from functools import cache
from pathlib import Path

import nir
import numpy as np
import pytest
from saccades import recordings

from snndeploy.errors import UsageError
from snndeploy.frontends.nir_file import read
from snndeploy.nirgraph.interpret import run_float
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_executor, find_target
from snndeploy.semantics import parse_semantics

PAPER = Path(__file__).parents[1] / "data" / "nir_paper"
FIRES_AT = [460, 510, 710, 760]
N_RECORDINGS = 10


def norse_neuron(**options):
    model = read(PAPER / "01_lif" / "lif_norse.nir", parse_semantics("nir,dt=1e-4"))
    return compile_model(model, find_target("loihi2"), CompileOptions(steps=1000, **options))


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
@pytest.mark.parametrize("executor", ["reference", "sim", "lava"])
def test_the_single_neuron_fires_at_the_published_steps(executor):
    network = norse_neuron(encode="spikes").network
    x = np.loadtxt(PAPER / "01_lif" / "lif_norse.csv", delimiter=",")[:, 0].astype(np.int64)
    (source,), (output,) = network.sources, network.outputs
    result = find_executor(executor).run(
        network, {source.name: x.reshape(1000, 1, 1)}, record=(output.population,)
    )
    assert np.flatnonzero(result.traces[output.population].spikes).tolist() == FIRES_AT


def test_an_input_of_unknown_range_is_asked_for():
    with pytest.raises(UsageError, match=r"^error\[E5016\] input: .*--input-range LOW HIGH"):
        norse_neuron()


@cache
def digits_network():
    """Return the paper's N-MNIST network with sinabs' rules, in float."""
    return read(PAPER / "02_cnn" / "cnn_sinabs.nir", parse_semantics("sinabs"), values="spikes")


@cache
def recorded():
    """Return recordings, their labels and the float network's spikes per population."""
    x, labels = recordings(N_RECORDINGS)
    return x, labels, floats(digits_network(), x)


def floats(model, x):
    spiking = tuple(name for name, node in model.graph.nodes.items() if isinstance(node, nir.IF))
    return run_float(model, {"input": x.astype(float)}, record=spiking)


@cache
def in_integers(steps):
    model = digits_network()
    compiled = compile_model(model, find_target("loihi2"), CompileOptions(steps=steps))
    assert {layer.program for layer in compiled.layers} == {"lif_multi"}
    return compiled


def integer_spikes(x):
    """Return the spikes of the integer network per population, shaped as the float ones."""
    network = in_integers(len(x)).network
    (source,), names = network.sources, tuple(network.population)
    traces = find_executor("sim").run(network, {source.name: x.astype(np.int64)}, record=names)
    return {
        name: trace.spikes.reshape(*x.shape[:2], *network.population[name].shape)
        for name, trace in traces.traces.items()
    }


@cache
def recorded_in_integers():
    return integer_spikes(recorded()[0])


def agreement(got, want):
    """Return per population the share of cells that are equal; none may be silent."""
    assert all(want[name].any() for name in got)
    return {name: float(np.mean(got[name] == want[name])) for name in got}


def line(what, got, want):
    """Return what the run's summary says of a comparison."""
    shares = agreement(got, want)
    output = in_integers(len(got["12"])).network.outputs[0].population
    fires = (got[output] > 0) | (want[output] > 0)
    counts, right = got[output].sum(axis=0), want[output].sum(axis=0)
    return (
        f"sinabs network in integers, {what}: equal cells per layer "
        + ", ".join(f"{name} {share:.2%}" for name, share in shares.items())
        + f"; of output cells that fire {np.mean((got[output] == want[output])[fires]):.1%}"
        + f"; spikes per output off by {np.abs(counts - right).sum() / right.sum():.1%}"
        + f"; equal decisions {np.mean(counts.argmax(axis=1) == right.argmax(axis=1)):.0%}"
    )


def test_the_sinabs_network_recognises_recordings_in_integers(tell):
    """Eight bits keep decisions, spike counts and the first layer's cells; not later cells."""
    _, labels, want = recorded()
    got = recorded_in_integers()
    tell(line("recordings", got, want))
    shares = agreement(got, want)
    counts, right = got["12"].sum(axis=0), want["12"].sum(axis=0)
    assert np.mean(right.argmax(axis=1) == labels) >= 0.9
    assert np.array_equal(counts.argmax(axis=1), right.argmax(axis=1))
    assert np.abs(counts - right).sum() <= 0.06 * right.sum()
    assert shares["1"] >= 0.999
    assert shares["3"] >= 0.985
    assert shares["12"] >= 0.85
    assert max(spikes.max() for spikes in got.values()) > 1


@pytest.mark.xfail(reason="rounding to 16 bits already moves more than 1 % of its output spikes")
def test_99_percent_of_its_output_cells_agree_in_integers():
    _, _, want = recorded()
    assert agreement(recorded_in_integers(), want)["12"] >= 0.99


def test_16_bit_weights_would_not_keep_99_percent_of_its_output_cells():
    """The float network with weights rounded to 16 bits per channel, against itself.

    Without a leak an error stays in the potential until it moves a spike, and every layer inherits
    the moved spikes of the one before. This is why equal cells cannot judge these integers: the
    chip's words would not hold finer weights: 24 bits of state, 6 of them below a weight unit.
    """
    x, _, want = recorded()
    finer = deepcopy(digits_network())
    for node in finer.graph.nodes.values():
        if isinstance(node, nir.Conv2d | nir.Affine):
            rows = node.weight.reshape(len(node.weight), -1).astype(np.float64)
            step = np.abs(rows).max(axis=1, keepdims=True) / 32767
            node.weight = (np.rint(rows / step) * step).reshape(node.weight.shape)
    shares = agreement(floats(finer, x), want)
    assert shares["1"] >= 0.99999
    assert shares["12"] <= 0.98


def test_the_sinabs_network_on_random_events(tell):
    x = (np.random.default_rng(0).random((30, 8, 2, 34, 34)) < 0.01).astype(np.int64)
    want, got = floats(digits_network(), x), integer_spikes(x)
    tell(line("30 steps of random events", got, want))
    shares = agreement(got, want)
    assert shares["1"] >= 0.9995
    assert shares["12"] >= 0.92


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
@pytest.mark.parametrize("one_at_a_time", [False, True])
@pytest.mark.parametrize(
    ("stem", "semantics", "density", "program"),
    [
        ("bias_zero", "spikingjelly", 0.5, "lif"),
        ("bias_zero", "nir", 0.5, "lif"),
        ("noBias_subtract", "spikingjelly", 0.5, "lif"),
        ("noBias_subtract", "snntorch,reset=subtract-delayed", 0.4, "lif_subtract_delayed"),
    ],
)
def test_the_recurrent_networks_are_the_same_in_lava(
    stem, semantics, density, program, one_at_a_time, tell
):
    model = read(
        PAPER / "03_rnn" / f"braille_noDelay_{stem}.nir",
        parse_semantics(semantics),
        values="spikes",
    )
    options = CompileOptions(steps=50, one_at_a_time=one_at_a_time)
    compiled = compile_model(model, find_target("loihi2"), options)
    network = compiled.network
    assert not compiled.violations
    assert {p.program.name for p in network.populations} == {program}
    x = (np.random.default_rng(3).random((50, 3, 12)) < density).astype(np.int64)
    names = tuple(network.population)
    given = {network.inputs[0].name: x}
    reference, *others = (
        find_executor(name).run(network, given, record=names).traces
        for name in ("reference", "sim", "lava")
    )
    rates = []
    for name, trace in reference.items():
        for other in others:
            np.testing.assert_array_equal(other[name].spikes, trace.spikes, name)
            for word, values in trace.states.items():
                np.testing.assert_array_equal(other[name].states[word], values, f"{name}.{word}")
        rates.append(float(trace.spikes.mean()))
    assert all(0 < rate < 1 for rate in rates)
    floats = run_float(model, {"input": x.astype(float)}, record=names)
    differ = [
        np.mean(floats[n].reshape(reference[n].spikes.shape) != reference[n].spikes) for n in names
    ]
    shares = ", ".join(
        f"{n} {r:.1%} fire, {d:.2%} differ from float"
        for n, r, d in zip(names, rates, differ, strict=True)
    )
    how = "alone" if one_at_a_time else f"every {network.period} steps"
    tell(f"braille {stem} {semantics}, {how}: Lava = simulator = reference; {shares}")
