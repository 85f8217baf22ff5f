"""Accuracy against steps, and the time to a decision sample by sample, counted by hand."""

from dataclasses import replace

import numpy as np
import pytest
from deployed import small_compiled, small_samples

from snndeploy.decision import MOST_POINTS, early_decisions
from snndeploy.estimation import estimate
from snndeploy.ir.network import Output
from snndeploy.latency import decision_times, latency_of
from snndeploy.measured import measure


def output(decode="sum"):
    return Output(name="y", population="p", shape=(2,), readout="spikes", decode=decode)


Y = np.array(
    [
        [[1.0, 0], [0, 1], [0, 0]],  # decides 0, 1, 0 (the first of equals)
        [[0, 2], [0, 1], [0, 1]],  # sums 1:2, 0:2, 0:1 -> 1, 1, 1
        [[2, 0], [0, 0], [0, 0]],  # sums 3:2, 0:2, 0:1 -> 0, 1, 1
    ]
)


def test_decisions_after_each_step_are_compared_with_labels_and_with_the_last():
    found = early_decisions(output(), Y, np.array([1, 1, 1]))
    assert [point.steps for point in found] == [1, 2, 3]
    assert [point.accuracy for point in found] == pytest.approx([1 / 3, 1, 2 / 3])
    assert [point.agreement for point in found] == pytest.approx([2 / 3, 2 / 3, 1])


def test_without_labels_agreement_is_left():
    found = early_decisions(output(), Y, None)
    assert [point.accuracy for point in found] == [None] * 3
    assert found[-1].agreement == 1.0


def test_long_windows_are_taken_at_even_points_the_last_included():
    found = early_decisions(output("last"), np.ones((1234, 1, 2)), None)
    assert len(found) == MOST_POINTS
    assert found[0].steps == 1
    assert found[-1].steps == 1234


def test_the_last_point_is_the_accuracy_of_the_network():
    measured = estimate(small_compiled(), small_samples(9))
    assert measured.early[-1].accuracy == measured.accuracy
    assert measured.early[-1].steps == measured.steps


def test_times_to_decision_add_up_the_steps_of_each_sample():
    run = measure(small_compiled(), small_samples(3))
    n_steps = run.counts.phase.shape[1]
    assert n_steps == 17  # 3 windows of 5 steps and a pipeline 2 deep
    step_s = np.arange(1, n_steps + 1) * 1e-6
    timing = replace(run.timing, step_s=step_s)
    # steps 1..7, 6..12 and 11..17
    assert decision_times(run.network, 3, timing) == pytest.approx([28e-6, 63e-6, 98e-6])
    latency = latency_of(run.network, run.counts, timing)
    assert latency.decision_p50_s == pytest.approx(63e-6)
    assert latency.decision_p99_s == pytest.approx(98e-6)


def test_percentiles_are_times_of_samples():
    run = measure(small_compiled(), small_samples(200))
    times = np.sort(decision_times(run.network, 200, run.timing))
    latency = latency_of(run.network, run.counts, run.timing)
    assert latency.decision_p50_s == times[99]
    assert latency.decision_p99_s == times[197]
    assert times[0] < times[-1]
