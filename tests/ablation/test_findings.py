"""What a study concludes, on numbers small enough to check by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snndeploy.ablation.effects import contrasts_of, effects_of
from snndeploy.ablation.measures import Measures
from snndeploy.ablation.pareto import dominates, front_of, knee_of
from snndeploy.ablation.space import Point
from snndeploy.ablation.statistics import mean_of, student_t

POINT = Point(bits=4, gamma="mean", grid="odd", criterion="svs", ratio=0.5, target="loihi2")


def measures(accuracy, energy=1.0):
    return Measures(
        accuracy=accuracy, control_accuracy=1.0, energy_j=(energy, energy, energy),
        energy_grade="assumed", cores=1, weights=1, synaptic_ops=1.0, spikes=1.0, latency_s=1.0,
        missing=(), n_test=10,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("freedom", "t"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (9, 2.2622), (30, 2.0423)],
)
def test_student_t_is_that_of_the_tables(freedom, t):
    assert student_t(freedom) == pytest.approx(t, abs=1e-4)


def test_an_interval_by_hand():
    """1, 2, 3: standard deviation 1, standard error 1/sqrt 3, t(2) = 4.3027."""
    mean = mean_of([1.0, 2.0, 3.0])
    assert mean.value == 2.0
    assert mean.half == pytest.approx(4.3027 / 3**0.5, abs=1e-4)
    assert mean_of([5.0]).half is None


def test_front_and_knee_by_hand():
    """Costs: (0, 10), (1, 4), (2, 3), (8, 2), (10, 0) are the front; scaled, (2, 3) is nearest."""
    costs = [(0, 10), (1, 4), (2, 3), (8, 2), (10, 0), (2, 4), (1, 4), (11, 11)]
    front = front_of(costs)
    assert front == (0, 1, 2, 3, 4, 6)
    assert costs[knee_of(costs, front)] == (2, 3)  # .2² + .3² < .1² + .4²
    assert knee_of(costs, (0, 4)) is None


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6)), min_size=1))
def test_a_front_is_what_nothing_dominates_and_dominates_the_rest(costs):
    front = front_of(costs)
    assert front
    for i, own in enumerate(costs):
        beaten = [j for j in front if dominates(costs[j], own)]
        assert bool(beaten) == (i not in front)


def test_effects_are_means_over_the_cells_that_all_levels_share():
    """svs: 0.8 and 0.9 in seed 0, 0.6 and 0.9 in seed 1; random is 0.1 lower everywhere."""
    accuracies = {(0, 0.25): 0.8, (0, 0.5): 0.9, (1, 0.25): 0.6, (1, 0.5): 0.9}
    done = {}
    for (seed, ratio), accuracy in accuracies.items():
        for criterion, lost in (("svs", 0.0), ("random", 0.1)):
            point = replace(POINT, criterion=criterion, ratio=ratio)
            done[point, seed] = measures(accuracy - lost)
    lonely = replace(POINT, criterion="svs", ratio=0.75)
    done[lonely, 0] = measures(0.0)  # random was not measured there: must not count
    done[replace(POINT, criterion="none", ratio=0.0), 0] = measures(0.0)
    (effect,) = [e for e in effects_of(done) if e.factor == "criterion"]
    assert effect.n_cells == 2
    assert {e.level: round(e.accuracy.value, 9) for e in effect.levels} == {
        "svs": 0.8, "random": 0.7,
    }  # fmt: skip
    (contrast,) = [c for c in contrasts_of(done) if c.factor == "criterion"]
    assert (contrast.level, contrast.other) == ("svs", "random")
    assert contrast.difference.value == pytest.approx(0.1)
    assert contrast.difference.half == pytest.approx(0.0, abs=1e-9)
    assert contrast.difference.n == 2


def test_bits_are_compared_over_the_clip_points_they_had():
    """4 bits with two clip points (0.8, 0.6) against float weights (0.9), which have none."""
    done = {
        (replace(POINT, gamma="max"), 0): measures(0.8),
        (replace(POINT, gamma="mean"), 0): measures(0.6),
        (replace(POINT, bits="fp32", gamma="", grid=""), 0): measures(0.9),
    }
    (bits,) = [c for c in contrasts_of(done) if c.factor == "bits"]
    assert bits.difference.value == pytest.approx(-0.2)
    (gamma,) = [c for c in contrasts_of(done) if c.factor == "gamma"]
    assert gamma.difference.value == pytest.approx(0.2)


def test_levels_that_share_nothing_are_not_compared():
    done = {
        (replace(POINT, criterion="svs", ratio=0.25), 0): measures(0.8),
        (replace(POINT, criterion="random", ratio=0.5), 0): measures(0.6),
    }
    assert effects_of(done) == ()
    assert contrasts_of(done) == ()
