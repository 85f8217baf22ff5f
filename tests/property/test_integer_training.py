"""What training runs is what compile writes: random models, cell for cell, spikes and states.

The judge is the reference interpreter, which shares neither the synapses (composed and listed
there, node by node here) nor the neurons (statements there, torch here) with the training forward.
"""

from collections import Counter

import nir
import numpy as np
import pytest
import torch
from chains import chain_model, lif
from hypothesis import given, settings
from hypothesis import strategies as st

from snndeploy.compress.integer_graph import (
    integer_graph,
    moving_weights,
    write_weights,
)
from snndeploy.compress.integer_run import run_integers
from snndeploy.compress.quantize import quantize
from snndeploy.compress.records import QuantizeOptions
from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.inference import encode_samples
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.neurons import NEVER
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target
from snndeploy.samples import Samples
from tests.generator.model_case import random_inputs
from tests.generator.models import random_model

N_SAMPLES = 4
GRIDS = [(8, "chip"), (6, "chip"), (4, "chip"), (3, "chip"), (2, "chip"), (6, "odd"), (4, "odd"),
         (3, "odd"), (2, "odd")]  # fmt: skip
TARGET = find_target("loihi2")


def traces_of(compiled, samples):
    inputs, _ = encode_samples(compiled, samples)
    record = tuple(p.name for p in compiled.network.populations)
    return inputs, run_reference(compiled.network, inputs, record=record)


def trained_traces(graph, weights, inputs, names):
    tensors = {name: torch.from_numpy(x.astype(np.float32)) for name, x in inputs.items()}
    with torch.no_grad():
        _, traces = run_integers(graph, weights, tensors, record=names)
    return {
        name: {
            "spikes": torch.stack(trace.sent).numpy(),
            "u": torch.stack(trace.u).numpy(),
            "v": torch.stack(trace.v).numpy(),
        }
        for name, trace in traces.items()
    }


def assert_equal(graph, weights, compiled, samples, seen):
    """Compare every population that computes; count what fires, and in which program."""
    inputs, want = traces_of(compiled, samples)
    names = tuple(
        name for name in want if ".relay" not in name and not name.endswith(".sum")
    )  # relays and sums are wiring of the network
    got = trained_traces(graph, weights, inputs, names)
    assert set(got) == set(names)
    for name in names:
        population = compiled.network.population[name]
        for state, values in want[name].states.items():
            mine = got[name][state].reshape(values.shape)
            assert np.array_equal(mine, values), f"{name} {state}"
        if population.params.get("vth", np.zeros(1))[0] != NEVER:
            spikes = got[name]["spikes"].reshape(want[name].spikes.shape)
            assert np.array_equal(spikes, want[name].spikes), f"{name} spikes"
            rate = want[name].spikes.mean()
            seen[population.program.name, "fires" if 0 < rate < 1 else "silent or full"] += 1


def moved(rng, weights):
    """Return weights as training might leave them: moved by a fifth of their size."""
    return {
        key: tensor + 0.2 * float(tensor.std(correction=0) + 1e-3)
        * torch.from_numpy(rng.normal(size=tuple(tensor.shape)))
        for key, tensor in weights.items()
    }  # fmt: skip


def one_case(seed, seen, refused):
    rng = np.random.default_rng(seed)
    model = random_model(rng, grid=False)
    bits, grid = GRIDS[seed % len(GRIDS)]
    granularity = "channel" if rng.random() < 0.4 else "tensor"
    options = QuantizeOptions(
        bits=bits, grid=grid, granularity=granularity, gamma=str(rng.choice(["mse", "max", "mean"]))
    )
    try:
        quantized = quantize(model, TARGET, options).model
        graph = integer_graph(quantized, TARGET.chip.numerics, CompileOptions(), steps=model.steps)
    except UnsupportedError as error:
        refused[error.code] += 1
        return False
    inputs = random_inputs(rng, model, N_SAMPLES)
    samples = Samples(x=inputs, label=None)
    weights = moving_weights(graph)
    assert_equal(graph, weights, compile_model(quantized, TARGET, CompileOptions()), samples, seen)
    changed = moved(rng, weights)
    written = write_weights(graph, changed)
    assert_equal(graph, changed, compile_model(written, TARGET, CompileOptions()), samples, seen)
    again = integer_graph(written, TARGET.chip.numerics, CompileOptions(), steps=model.steps)
    compiled = compile_model(written, TARGET, CompileOptions())
    assert_equal(again, moving_weights(again), compiled, samples, Counter())
    return True


def check_seeds(seeds, tell):
    seen, refused = Counter(), Counter()
    compared = sum(one_case(seed, seen, refused) for seed in seeds)
    fires = {program: n for (program, how), n in seen.items() if how == "fires"}
    tell(
        f"training forward = reference on {compared} random models, moved weights included; "
        f"populations that fire: {fires}; refused: {dict(refused)}"
    )
    assert set(refused) <= {"E2311", "E2312", "E2313", "E2314", "E2316"}
    assert set(fires) == {
        "lif", "lif_clamped", "lif_subtract", "lif_subtract_delayed", "lif_multi"
    }  # fmt: skip
    assert sum(fires.values()) > 4 * sum(n for (_, how), n in seen.items() if how != "fires")
    return compared


def test_training_runs_what_compile_writes(tell):
    assert check_seeds(range(32), tell) > 22


@pytest.mark.full
@pytest.mark.parametrize("part", range(4))
def test_training_runs_what_compile_writes_at_length(part, tell):
    assert check_seeds(range(1000 + 250 * part, 1250 + 250 * part), tell) > 150


SIZES = st.floats(-2, 2)


@given(threshold=SIZES, bias=SIZES, readout=SIZES, kind=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_thresholds_biases_and_resets_of_every_size(threshold, bias, readout, kind):
    """Orders of magnitude between weights, thresholds and biases; both ways of resetting."""
    rng = np.random.default_rng(kind)
    bits, grid = GRIDS[kind % len(GRIDS)]
    target = find_target("loihi1" if kind % 3 == 0 else "loihi2")
    model = chain_model(
        nir.Affine(weight=rng.normal(0.1, 0.4, (7, 5)), bias=rng.normal(0, 10**bias, 7)),
        lif((7,), keep=0.75, threshold=10**threshold),
        nir.Affine(weight=10**readout * rng.normal(0, 1, (3, 7)), bias=rng.normal(0, 1, 3)),
        shape=(5,), out_shape=(3,), compare=str(rng.choice(["gt", "ge"])),
        steps=int(rng.integers(1, 12)),
    )  # fmt: skip
    code = ""
    try:
        quantized = quantize(model, target, QuantizeOptions(bits=bits, grid=grid)).model
    except ModelError as error:
        code = error.code
    if code:  # a bias of hundreds of thresholds has no register
        assert (code, bias - threshold > 2.5) == ("E1053", True)
        return
    options, numerics = CompileOptions(), target.chip.numerics
    graph = integer_graph(quantized, numerics, options, steps=model.steps)
    x = (rng.random((model.steps, N_SAMPLES, 5)) < 0.4).astype(float)
    samples, weights = Samples(x={"input": x}, label=None), moving_weights(graph)
    compiled = compile_model(quantized, target, options)
    assert_equal(graph, weights, compiled, samples, Counter())
    smaller = {key: 0.5 * tensor for key, tensor in weights.items()}
    written = compile_model(write_weights(graph, smaller), target, options)
    assert_equal(graph, smaller, written, samples, Counter())
