"""Average power and battery life, by hand and between their bounds."""

from dataclasses import replace
from decimal import Decimal

import pytest
from deployed import small_compiled, small_samples
from hypothesis import assume, given
from hypothesis import strategies as st

from snndeploy.duty import Use, duty, use_of
from snndeploy.energy import Price
from snndeploy.errors import UsageError
from snndeploy.estimation import estimate
from snndeploy.quantity import Quantity

STATIC = Price(
    low=Decimal("0.008"), nominal=Decimal("0.01"), high=Decimal("0.02"), source="a test",
    grade="measured",
)  # fmt: skip


@pytest.fixture(scope="module")
def latency():
    """Answers 100 samples a second, each after 40 ms."""
    measured = estimate(small_compiled(), small_samples()).latency
    return replace(measured, decision_s=0.04, throughput_hz=100.0)


def watts(value, grade="published"):
    return Quantity(value=Decimal(value), unit="W", source="a chip file", grade=grade)


def power(use, latency, *, static=STATIC, stated=None, dynamic=(1e-3, 2e-3, 4e-3), unpriced=False):
    return duty(
        use, chip="a chip", dynamic_j=dynamic, unpriced=unpriced, grade="fitted", static=static,
        power=stated or {}, decision_s=latency.decision_s if latency else None,
        most_hz=latency.throughput_hz if latency else None,
    )  # fmt: skip


def test_parts_add_up_to_the_average_made_by_hand(latency):
    use = Use(rate_hz=10.0, sensor_w=0.005, host_w=0.001, battery_j=3600.0)
    found = power(use, latency, stated={"idle": watts("0.002")})
    assert found.active == pytest.approx(0.4)  # 10 times 40 ms a second
    rows = {row.part: row.power_w for row in found.rows}
    assert rows["dynamic"] == pytest.approx((0.01, 0.02, 0.04))
    assert rows["static, active"] == pytest.approx((0.0032, 0.004, 0.008))
    assert rows["idle, between"] == pytest.approx((0.0012,) * 3)
    assert rows["sensor"] == (0.005,) * 3
    assert rows["host"] == (0.001,) * 3
    assert found.average_w == pytest.approx((0.0204, 0.0312, 0.0552))
    assert found.missing == ()
    assert found.battery_s == pytest.approx((3600 / 0.0552, 3600 / 0.0312, 3600 / 0.0204))
    assert found.grade == "fitted"


def test_without_an_idle_figure_static_power_counts_all_the_time(latency):
    found = power(Use(rate_hz=10.0), latency)
    assert [row.part for row in found.rows] == ["dynamic", "static"]
    assert found.average_w == pytest.approx((0.018, 0.03, 0.06))
    assert found.missing == ("host", "sensor")
    assert found.battery_s is None


def test_beyond_one_sample_at_a_time_the_chip_is_always_active(latency):
    found = power(Use(rate_hz=50.0), latency, stated={"idle": watts("0.002")})
    assert found.active == 1.0
    assert [row.part for row in found.rows] == ["dynamic", "static"]
    assert found.average_w[1] == pytest.approx(50 * 2e-3 + 0.01)


def test_what_is_not_known_is_listed_and_never_zero(latency):
    bare = power(Use(rate_hz=1.0), latency, static=None, unpriced=True)
    assert bare.missing == ("unpriced events", "static", "idle", "host", "sensor")
    dark = power(Use(rate_hz=1.0), latency, dynamic=None, unpriced=True)
    assert dark.missing == ("dynamic", "host", "sensor")
    assert dark.average_w == (0.008, 0.01, 0.02)
    idle = power(Use(rate_hz=1.0), latency, static=None, stated={"idle": watts("0.002")})
    assert idle.missing == ("static, active", "host", "sensor")
    assert idle.rows[1].power_w == pytest.approx((0.002 * 0.96,) * 3)


def test_a_chip_whose_time_is_not_public_is_not_checked_and_its_static_power_counts_whole():
    found = power(Use(rate_hz=1e9), None, stated={"idle": watts("0.002")})
    assert found.active is None
    assert found.most_hz is None
    assert {row.part for row in found.rows} == {"dynamic", "static"}


def test_the_users_figure_stands_before_the_chip_files(latency):
    stated = {"host": watts("1.5", "assumed"), "sensor": watts("0.5")}
    found = power(Use(rate_hz=1.0, sensor_w=0.25), latency, stated=stated)
    rows = {row.part: row for row in found.rows}
    assert rows["host"].power_w == (1.5,) * 3
    assert rows["sensor"].power_w == (0.25,) * 3
    assert rows["sensor"].source == "given by the user"
    assert found.grade == "assumed"


def test_a_rate_beyond_the_throughput_is_refused_with_both_numbers(latency):
    with pytest.raises(
        UsageError, match=r"^error\[E5068\] --rate: 101 samples per second, a chip answers 100; "
    ):
        power(Use(rate_hz=101.0), latency)
    assert power(Use(rate_hz=100.0), latency).active == 1.0


@given(
    rate=st.floats(1e-6, 25.0), dynamic=st.floats(1e-9, 1e-1), static=st.floats(1e-6, 1.0),
    idle=st.floats(1e-9, 1.0),
)  # fmt: skip
def test_average_power_lies_between_idle_and_active(rate, dynamic, static, idle):
    measured = LATENCY.setdefault("latency", estimate(small_compiled(), small_samples()).latency)
    latency = replace(measured, decision_s=0.04, throughput_hz=100.0)
    price = replace(STATIC, low=Decimal(static), nominal=Decimal(static), high=Decimal(static))
    found = power(
        Use(rate_hz=rate), latency, static=price, stated={"idle": watts(repr(idle))},
        dynamic=(dynamic,) * 3,
    )  # fmt: skip
    active = static + dynamic / latency.decision_s
    assume(abs(active - idle) > 1e-12)
    low, high = sorted((idle, active))
    assert low * (1 - 1e-9) <= found.average_w[1] <= high * (1 + 1e-9)
    assert sum(row.power_w[1] for row in found.rows) == pytest.approx(found.average_w[1])


LATENCY = {}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"rate_hz": 0.0}, "E5065"), ({"rate_hz": float("nan")}, "E5065"),
        ({"rate_hz": float("inf")}, "E5065"), ({"rate_hz": 1.0, "host_w": -1.0}, "E5066"),
        ({"rate_hz": 1.0, "sensor_w": float("inf")}, "E5066"),
        ({"rate_hz": 1.0, "battery_j": 0.0}, "E5067"),
        ({"rate_hz": None, "battery_j": 1.0}, "E5069"), ({"rate_hz": None, "host_w": 1.0}, "E5069"),
        ({"rate_hz": None, "sensor_w": 0.0}, "E5069"),
    ],
)  # fmt: skip
def test_amounts_that_make_no_sense_are_refused(given, code):
    with pytest.raises(UsageError) as caught:
        use_of(**given)
    assert caught.value.code == code


def test_no_rate_is_no_use():
    assert use_of(None) is None
    assert use_of(2.0, sensor_w=0.0).sensor_w == 0.0
