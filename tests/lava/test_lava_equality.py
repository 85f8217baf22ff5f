"""Real Lava computes what two independent readings of its models say, bit for bit.

Known traps of Lava 0.10.0, and what holds each of them:

 1 without a tag the floating-point model runs silently: every case here would differ
 2 float registers raise in a child, float data are truncated: settings are ints by construction
   (test_lower), the worker refuses inputs that are no integers (test_lava_worker)
 3 after an error or a killed parent the other actors stay: test_lava_supervision
 4 a Monitor overruns its buffer, a ring buffer wraps: neither is used; sources end in zeros, and
   `test_a_long_stream_of_samples` runs far beyond any of Lava's defaults
 5 Loihi2HwCfg without Intel's package is a NameError: the worker knows Loihi2SimCfg only
 6 a process costs start-up time: all cases of this module share one worker
 7 descriptors over many runs: the same worker runs all cases, one after the other
 8 torch hangs inside a process: Lava's environment has no torch (test_lava_worker)
 9 Var.get and Monitor move one element per message: populations write files; that this changes
   nothing is test_lava_worker's comparison with an unmodified LIFReset and Sink
10 a tag and sub-process models select wrongly: only leaf processes are used
11 Conv ignores weight_exp, knows no delay, breaks at 128 groups and at int8 geometry: the `conv_*`
   cases; it wraps at 24 bits: listed synapses then (test_lower, test_lava_sdnn)
12 a nonpositive matrix with -256 becomes -255 in automatic sign mode: the `minus256` case
13 all-zero matrices, an unconnected part, an unused source: cases of these names
14 Lava executes every script beside the one it runs: test_lava_worker
15 a fan-in of virtual and plain ports, two projections between the same two: `residual_fan_in…`
"""

import os

import numpy as np
import pytest
import transcription
from lava_cases import CASES

from hwtargets.loihi.executor import LavaJob, run_jobs
from hwtargets.loihi.lower import lower
from snndeploy.ir.interpret import run_reference

pytestmark = pytest.mark.lava


def job(network, inputs):
    names = tuple(population.name for population in network.populations)
    return LavaJob(program=lower(network), inputs=inputs, record=names)


@pytest.fixture(scope="module")
def answers(lava_python):
    """Run every case in one worker; traces by case name."""
    assert lava_python.exists()
    traces = run_jobs([job(*case) for case in CASES.values()], environ=os.environ)
    return dict(zip(CASES, traces, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_lava_equals_its_transcription(name, answers):
    expected, _ = transcription.run(*CASES[name])
    for population, (spikes, u, v) in expected.items():
        trace = answers[name][population]
        np.testing.assert_array_equal(trace.spikes, spikes, err_msg=f"{population} spikes")
        np.testing.assert_array_equal(trace.states["u"], u, err_msg=f"{population} u")
        np.testing.assert_array_equal(trace.states["v"], v, err_msg=f"{population} v")


@pytest.mark.parametrize("name", CASES)
def test_lava_equals_the_reference(name, answers):
    network, inputs = CASES[name]
    names = tuple(population.name for population in network.populations)
    for population, expected in run_reference(network, inputs, record=names).items():
        trace = answers[name][population]
        np.testing.assert_array_equal(trace.spikes, expected.spikes)
        for state, values in expected.states.items():
            np.testing.assert_array_equal(trace.states[state], values)


@pytest.mark.parametrize("name", CASES)
def test_no_case_is_silent_or_saturated(name, answers):
    for population, trace in answers[name].items():
        if CASES[name][0].population[population].scalar("vth") <= 131071:
            assert 0 < trace.spikes.mean() < 1, population
        else:
            assert not trace.spikes.any()
            assert trace.states["v"].any()


def test_the_cases_wrap_clip_and_reset():
    seen = sum(
        (transcription.run(*case)[1] for case in CASES.values()), start=transcription.Counter()
    )
    assert seen["u wraps"] > 50
    assert seen["v clips"] > 50
    assert seen["resets of a state that was not zero"] > 50


@pytest.mark.usefixtures("lava_python")
def test_a_long_stream_of_samples():
    network, inputs = CASES["dense_two_layers_with_biases_and_resets"]
    many = {name: np.tile(values, (1, 50, 1)) for name, values in inputs.items()}
    (traces,) = run_jobs([job(network, many)], environ=os.environ)
    expected = run_reference(network, inputs, record=("b",))["b"]
    np.testing.assert_array_equal(traces["b"].spikes, np.tile(expected.spikes, (1, 50, 1)))
