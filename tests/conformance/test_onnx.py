"""ONNX Runtime, with and without its optimiser, answers what the reference answers.

Both forms of a file, with functions and without: random networks near all limits, networks with
loops, the trained example models. The executor runs the sequence form in `test_verify` too.
"""

from collections import Counter
from dataclasses import replace

import nir
import numpy as np
import pytest
from chains import chain_model, lif
from onnx.helper import tensor_dtype_to_np_dtype
from onnx.reference import ReferenceEvaluator

import snndeploy
from snndeploy.errors import UnsupportedError
from snndeploy.exporters.onnx import run_sequence, run_steps
from snndeploy.ir.encode import encode
from snndeploy.ir.readout import read_output
from snndeploy.onnxgraph.check import check_onnx
from snndeploy.onnxgraph.file import serialized
from snndeploy.onnxgraph.network import write_network
from snndeploy.registry import find_executor, find_target
from tests.conformance.test_demo_models import DEMO, MODELS, data_of
from tests.generator.case import Case, difference
from tests.generator.coverage import features, missing, table
from tests.generator.loops import random_loops
from tests.generator.networks import random_network
from tests.generator.neurons import ALL_PROGRAMS
from tests.generator.synapses import KINDS

ONNX = find_executor("onnx")
LOIHI2 = find_target("loihi2").chip.numerics
N_NETWORKS, N_LOOPS, N_FULL, N_FULL_LOOPS, N_IMAGES, N_EVALUATED = 20, 8, 150, 60, 2, 8
WANTED = {
    "program": tuple(ALL_PROGRAMS),
    "synapse": (
        *KINDS, "conv stride", "conv padding", "conv dilation", "conv groups", "pool padding",
        "graded input",
    ),
    "construct": ("several projections in", "several sources", "several outputs", "longest delay"),
    "numerics": (
        "mixed", "excitatory", "inhibitory", "exponent < 0", "exponent > 0", "u wraps", "v clips",
        "v at the threshold", "registers per neuron", "24-bit payload", "du -1", "bias_exp 7",
    ),
}  # fmt: skip


def random_case(seed):
    return Case(*random_network(np.random.default_rng(seed), programs=tuple(ALL_PROGRAMS)))


def random_loop(seed):
    """Return a network with feedback, None where no schedule keeps its samples apart."""
    try:
        return Case(*random_loops(np.random.default_rng(seed), LOIHI2))
    except UnsupportedError:
        return None


def check_executor(case):
    got = ONNX.run(case.network, case.inputs, record=case.names).traces
    assert difference(case, got) is None


def check_file(case, form, *, inline, optimised):
    """Run one file of a network; compare its answers, all spikes and all states."""
    written = write_network(case.network, form, record=case.names, inline=inline)
    data = serialized(written.model)
    run = ONNX.load_file(data, optimised=optimised)
    if form == "sequence":
        check_onnx(data)
        got = run_sequence(run, written, case.inputs)
    else:
        got = run_steps(run, written, case.network, case.inputs)
    for name, port in written.spikes.items():
        np.testing.assert_array_equal(got[port.name], case.traces[name].spikes, name)
    for (name, word), port in written.states.items():
        np.testing.assert_array_equal(got[port.name], case.traces[name].states[word], name)
    for output in case.network.outputs:
        want = read_output(output, case.traces[output.population])
        np.testing.assert_array_equal(got[written.answers[output.name].name], want)


WAYS = [
    (form, inline, optimised)
    for form in ("sequence", "step")
    for inline in (False, True)
    for optimised in (False, True)
]


def check_cut(case, seed):
    """Check the executor and one other way to write and run the network, in turn."""
    check_executor(case)
    form, inline, optimised = WAYS[seed % len(WAYS)]
    check_file(case, form, inline=inline, optimised=optimised)


def test_onnx_runtime_equals_the_reference():
    for seed in range(N_NETWORKS):
        check_cut(random_case(seed), seed)


def test_onnx_runtime_equals_the_reference_in_loops():
    found = [case for seed in range(4 * N_LOOPS) if (case := random_loop(seed))][:N_LOOPS]
    assert len(found) == N_LOOPS
    for seed, case in enumerate(found):
        check_cut(case, seed)
        check_executor(Case(replace(case.network, alone=True), case.inputs))


def test_onnx_s_own_evaluator_is_a_second_judge():
    """`onnx.reference` is numpy, and shares no code with ONNX Runtime."""
    for seed in range(N_EVALUATED):
        case = random_case(seed)
        written = write_network(case.network, record=case.names)
        evaluator = ReferenceEvaluator(written.model)
        feeds = {
            port.name: case.inputs[name].astype(tensor_dtype_to_np_dtype(port.type))
            for name, port in written.inputs.items()
        }
        got = dict(zip(evaluator.output_names, evaluator.run(None, feeds), strict=True))
        for name, port in written.spikes.items():
            np.testing.assert_array_equal(got[port.name], case.traces[name].spikes, name)
        for (name, word), port in written.states.items():
            np.testing.assert_array_equal(got[port.name], case.traces[name].states[word], name)


@pytest.mark.full
def test_every_way_equals_the_reference_on_many_more(tell):
    seen = Counter()
    for seed in range(1000, 1000 + N_FULL):
        case = random_case(seed)
        check_executor(case)
        for form, inline, optimised in WAYS:
            check_file(case, form, inline=inline, optimised=optimised)
        seen.update(features(case))
    for line in table(seen):
        tell(f"{N_FULL} networks, ONNX Runtime = reference in {len(WAYS)} ways: {line}")
    assert not missing(seen, WANTED, 4)


@pytest.mark.full
def test_every_way_equals_the_reference_in_many_more_loops(tell):
    found = [case for seed in range(2000, 2000 + N_FULL_LOOPS) if (case := random_loop(seed))]
    for case in found:
        for form, inline, optimised in WAYS:
            check_file(case, form, inline=inline, optimised=optimised)
    tell(f"{len(found)} networks with loops, ONNX Runtime = reference in {len(WAYS)} ways")
    assert len(found) >= N_FULL_LOOPS // 2


def test_biases_that_come_as_spikes():
    """Loihi 1 is reset by the host, so its biases are a source that sends in windows alone."""
    rng = np.random.default_rng(5)
    model = chain_model(
        nir.Affine(weight=rng.normal(0.2, 0.4, (10, 12)), bias=rng.normal(0, 0.2, 10)),
        lif((10,), keep=0.75),
        nir.Affine(weight=rng.normal(0.1, 0.4, (4, 10)), bias=rng.normal(0, 0.2, 4)),
        shape=(12,), out_shape=(4,),
    )  # fmt: skip
    network = snndeploy.compile(model, "loihi1").network
    assert any(source.encoding == "bias" for source in network.sources)
    x = (rng.random((8, 5, 12)) < 0.4).astype(np.int64)
    case = Case(network, {network.inputs[0].name: x})
    assert 0 < case.traces[network.populations[0].name].spikes.mean() < 1
    check_executor(case)
    check_file(case, "step", inline=False, optimised=True)


@pytest.mark.parametrize("name", DEMO)
def test_demo_models(name):
    compiled = snndeploy.compile(snndeploy.load(MODELS / f"{name}.pt"), "loihi")
    network = compiled.network
    x = data_of(name)[0][:, :N_IMAGES]
    (source,) = network.sources
    encoded = encode(source, x, steps=network.steps, rng=np.random.default_rng(0))
    case = Case(network, {source.name: encoded.values})
    assert all(0 < t.spikes.mean() < 1 for t in list(case.traces.values())[:-1])
    check_executor(case)
    for form, optimised in (("sequence", False), ("step", True)):
        check_file(case, form, inline=False, optimised=optimised)
