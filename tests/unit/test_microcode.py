"""A neuron of the user's own in a model: its program over the reals, its integers, its file."""

from dataclasses import replace

import nir
import numpy as np
import pytest

import snndeploy
from hwtargets.simulator import SIMULATOR
from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.frontends import nir_file
from snndeploy.ir import programs
from snndeploy.ir.interpret import run_reference
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.microcode import Microcode, Parameter
from snndeploy.nirgraph.payload import SPIKES, Payload
from snndeploy.nirgraph.shapes import normalize_graph
from snndeploy.passes.payload import edge_payloads
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target
from snndeploy.report.models import model_record
from tests.chains import graph_model, lif
from tests.generator.neurons import ALIF

N_IN, N, N_OUT, STEPS = 9, 14, 5, 20


def alif(n, *, keep=0.875, recover=0.75, threshold=1.0, cost=0.5):
    """Return adaptive neurons: v decays, every spike makes the next one dearer for a while."""
    values = {
        "dv": (1 - keep, "share"), "dfatigue": (1 - recover, "share"),
        "vth": (np.full(n, threshold), "level"), "cost": (cost, "level"),
    }  # fmt: skip
    parameters = {name: Parameter(np.asarray(v, float), kind) for name, (v, kind) in values.items()}
    return Microcode(program=ALIF, parameters=parameters)


def by_hand(weight, x, *, keep=0.875, recover=0.75, threshold=1.0, cost=0.5):
    """Return the spikes of `alif` for x [T, B, n_in]."""
    v, fatigue = np.zeros((2, x.shape[1], len(weight)))
    spikes = []
    for frame in x:
        v = keep * v + frame @ weight.T
        fatigue = recover * fatigue
        fired = v > threshold + fatigue
        v = np.where(fired, 0, v)
        fatigue = fatigue + cost * fired
        spikes.append(fired)
    return np.array(spikes)


def model(rng, *, neuron=None, bias=0.0):
    weight = rng.normal(0.15, 0.4, (N, N_IN))
    nodes = {
        "w": nir.Affine(weight=weight, bias=np.full(N, bias)) if bias else nir.Linear(weight),
        "own": neuron or alif(N),
        "v": nir.Linear(rng.normal(0.2, 0.4, (N_OUT, N))),
        "top": lif((N_OUT,), keep=0.75),
    }
    edges = [("in", "w"), ("w", "own"), ("own", "v"), ("v", "top"), ("top", "out")]
    return graph_model(
        nodes, edges, inputs={"in": (N_IN,)}, outputs={"out": (N_OUT,)}, steps=STEPS
    ), weight


def spikes(rng):
    return (rng.random((STEPS, 6, N_IN)) < 0.3).astype(np.int64)


def test_the_float_model_is_the_program_over_the_reals():
    rng = np.random.default_rng(0)
    made, weight = model(rng)
    x = spikes(rng).astype(float)
    own = run_float(made, {"in": x}, record=("own",))["own"]
    np.testing.assert_array_equal(own, by_hand(weight, x))
    assert 0.05 < own.mean() < 0.6


@pytest.mark.parametrize("bias", [0.0, 0.07])
def test_its_integers_follow_from_the_kinds_of_its_parameters(bias):
    rng = np.random.default_rng(1)
    made, _ = model(rng, bias=bias)
    compiled = compile_model(made, find_target("loihi2"), CompileOptions())
    network, report = compiled.network, compiled.layers[0]
    assert report.program == "alif"
    assert "its program rounds" in report.why
    params = network.population["own"].params
    assert params["dv"].tolist() == [512]
    assert params["dfatigue"].tolist() == [1024]
    assert np.all(np.abs(params["vth"] * report.unit / 64 - 1) < report.unit)
    assert params["cost"][0] == pytest.approx(params["vth"].max() / 2, abs=1)
    x = {"in": spikes(rng)}
    names = tuple(network.population)
    want = run_reference(network, x, record=names)
    got = SIMULATOR.run(network, x, record=names).traces
    floats = run_float(made, {"in": x["in"].astype(float)}, record=names)
    for name in names:
        np.testing.assert_array_equal(got[name].spikes, want[name].spikes)
        assert np.mean(floats[name] != want[name].spikes) < 0.03
        assert want[name].spikes.any()


def test_it_is_saved_with_its_program_and_refused_as_nir(tmp_path):
    rng = np.random.default_rng(2)
    made, _ = model(rng)
    made = replace(made, graph=normalize_graph(made.graph))
    snndeploy.write_model(made, tmp_path / "own.pt")
    read = snndeploy.load(tmp_path / "own.pt")
    assert read.graph.nodes["own"].program == ALIF
    x = {"in": spikes(rng).astype(float)}
    np.testing.assert_array_equal(run_float(read, x)["out"], run_float(made, x)["out"])
    with pytest.raises(UnsupportedError, match=r"E2020\] own: NIR has no node .*'alif'.*model\.pt"):
        nir_file.write(made, tmp_path / "own.nir")
    assert not (tmp_path / "own.nir").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"dv": None},
        {"dv": Parameter(np.array(1.5), "share")},
        {"vth": Parameter(np.ones(3), "level")},
        {"vth": Parameter(np.array(np.nan), "level")},
        {"extra": Parameter(np.ones(1), "count")},
    ],
)
def test_parameters_that_do_not_fit_are_refused(change):
    neuron = alif(N)
    parameters = {k: v for k, v in {**neuron.parameters, **change}.items() if v is not None}
    made, _ = model(np.random.default_rng(0), neuron=Microcode(program=ALIF, parameters=parameters))
    with pytest.raises(ModelError, match=r"E1023\] own"):
        run_float(made, {"in": np.zeros((2, 1, N_IN))})


def test_it_sends_what_its_program_says_and_is_not_trained():
    made, _ = model(np.random.default_rng(0))
    assert edge_payloads(made)["own", "v"] == SPIKES
    wide = replace(programs.GRADED_SUM, registers={})
    ends = {"low": Parameter(-3, "count"), "high": Parameter(12, "count")}
    graded, _ = model(np.random.default_rng(0), neuron=Microcode(program=wide, parameters=ends))
    assert edge_payloads(graded)["own", "v"] == Payload(-3.0, 12.0, True)
    samples = {"data": np.ones((STEPS, 20, N_IN)), "label": np.arange(20) % N_OUT}
    with pytest.raises(UnsupportedError, match=r"E2303\] own"):
        snndeploy.finetune(made, **samples)


@pytest.mark.parametrize("size", [0.0, 1.0])
def test_a_register_that_no_unit_makes_fit_is_refused(size):
    high = replace(ALIF, registers={**ALIF.registers, "dv": (0, 100)})
    neuron = Microcode(program=high, parameters=alif(N).parameters)
    made, _ = model(np.random.default_rng(0), neuron=neuron)
    made.graph.nodes["w"].weight = made.graph.nodes["w"].weight * size
    with pytest.raises(ModelError, match=r"E1023\] own: .*brings dv into"):
        compile_model(made, find_target("loihi2"), CompileOptions())


def test_a_report_shows_its_parameters_with_their_kinds():
    made, _ = model(np.random.default_rng(0))
    (record,) = [node for node in model_record(made)["nodes"] if node["name"] == "own"]
    assert record["fields"]["program"] == "alif"
    assert record["fields"]["dv (share)"] == "0.125"
    assert record["fields"]["vth (level)"] == f"[{N}] all 1"
