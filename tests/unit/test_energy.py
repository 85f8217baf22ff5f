"""Energies are exact sums of count x price; what has no price is listed."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from snndeploy.energy import HOST, EventCounts, Price, PriceTable, Timing, price
from snndeploy.errors import ModelError


def a_price(nominal, *, low=None, high=None, grade="published"):
    low, high = (nominal if value is None else value for value in (low, high))
    return Price(
        low=Decimal(low), nominal=Decimal(nominal), high=Decimal(high), source="a test", grade=grade
    )


COUNTS = EventCounts(
    cores=(0, 1, HOST),
    populations=("fc1", "fc2", "x"),
    events={
        "synaptic_op": np.array([[5, 7, 0], [0, 2, 1], [0, 0, 0]]),
        "spike": np.array([[1, 1, 0], [0, 0, 0], [0, 0, 0]]),
        "host_in": np.array([[0, 0, 0], [0, 0, 0], [3, 4, 0]]),
        "hop_x": np.zeros((3, 3), dtype=int),
    },
    phase=np.array([[0, 0, 2], [1, 0, 0], [0, 0, 2]]),
    n_samples=2,
)
TABLE = PriceTable(
    name="test",
    prices={"synaptic_op": a_price("23.6E-12", high="35.5E-12"), "hop_x": a_price("3E-12")},
    static_w=a_price("0.104", grade="measured"),
)
TIMING = Timing(
    level="bound",
    step_s=np.array([1e-6, 2e-6, 0.1e-6]),
    critical_core=np.array([0, 0, 1]),
    critical_link=np.array([-1, -1, -1]),
    bottleneck=np.array([0, 0, 1]),
    core_s=np.zeros((3, 3)),
    links=(),
    link_s=np.zeros((0, 3)),
    barrier_s=1e-7,
    cycle_s=1e-9,
    cycle_kind="reference",
    missing=(),
    grade="fitted",
)


def test_total_is_the_exact_sum_of_the_rows():
    ledger = price(COUNTS, TABLE, TIMING)
    want = 15 * Decimal("23.6E-12") + Decimal("0.104") * Decimal(repr(TIMING.total_s))
    assert ledger.total.nominal == want == sum(row.energy.nominal for row in ledger.rows)
    assert ledger.total.high - ledger.total.low == 15 * Decimal("11.9E-12")


def test_rows_are_split_by_phase():
    rows = {(row.kind, row.phase): row.count for row in price(COUNTS, TABLE, None).rows}
    assert rows == {("synaptic_op", "work"): 15}
    late = replace(COUNTS, phase=np.array([[1, 0, 2], [1, 2, 0], [0, 0, 2]]))
    rows = {(row.kind, row.phase): row.count for row in price(late, TABLE, None).rows}
    assert rows == {
        ("synaptic_op", "work"): 8,
        ("synaptic_op", "fill"): 5,
        ("synaptic_op", "drain"): 2,
    }


def test_populations_sum_to_the_dynamic_total():
    ledger = price(COUNTS, TABLE, TIMING)
    static = [row for row in ledger.rows if row.kind == "static"]
    by_population = sum(row.energy.nominal for row in ledger.by_population)
    assert {row.population for row in ledger.by_population} == {"fc1", "fc2"}
    assert by_population + static[0].energy.nominal == ledger.total.nominal


def test_unpriced_events_are_listed_with_their_counts():
    assert price(COUNTS, TABLE, TIMING).missing == {"spike": 2, "host_in": 7}


def test_words_are_not_missing_where_operations_are_priced():
    counts = replace(COUNTS, events={**COUNTS.events, "synaptic_word": np.ones((3, 3), dtype=int)})
    assert "synaptic_word" not in price(counts, TABLE, TIMING).missing
    bare = replace(TABLE, prices={})
    assert price(counts, bare, TIMING).missing["synaptic_word"] == 9


def test_static_energy_without_time_or_power_is_missing():
    assert price(COUNTS, TABLE, None).missing["static"] == 3
    assert price(COUNTS, replace(TABLE, static_w=None), TIMING).missing["static"] == 3


@pytest.mark.parametrize(("timing", "grade"), [(None, "published"), (TIMING, "fitted")])
def test_the_weakest_grade_is_reported(timing, grade):
    assert price(COUNTS, TABLE, timing).grade == grade


def test_per_sample_divides_the_total():
    ledger = price(COUNTS, TABLE, TIMING)
    assert ledger.per_sample.nominal * 2 == ledger.total.nominal


def test_energy_is_linear_in_counts():
    twice = replace(COUNTS, events={kind: 2 * n for kind, n in COUNTS.events.items()})
    assert price(twice, TABLE, None).total.high == 2 * price(COUNTS, TABLE, None).total.high


@pytest.mark.parametrize("counts", [None, replace(COUNTS, n_samples=0)])
def test_refuses_to_price_without_activity(counts):
    with pytest.raises(ModelError, match=r"^error\[E3005\]: an energy needs counts of a run"):
        price(counts, TABLE, TIMING)
