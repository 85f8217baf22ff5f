"""Average power and battery life of a chip that answers so many samples a second.

    average = dynamic energy x rate + static x active share + idle x (1 - active share)
              + host + sensor

The active share is how much of the time a sample is in the chip: rate x time to decision, at most
1 (beyond that samples overlap in the pipeline). Idle power is the chip's own figure where its file
states one, else its static power: a chip that does nothing but is on. What is not public and not
given by the user is listed as missing, never taken as zero: the average is then a lower bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from snndeploy.energy import Price
from snndeploy.errors import UsageError
from snndeploy.quantity import Grade, Quantity, weakest

Range = tuple[float, float, float]
"""Low, nominal, high."""
USER = "given by the user"


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """How a chip is used.

    Attributes:
        rate_hz: samples per second.
        sensor_w, host_w: power of what is around the chip; None takes the chip file's figure.
        battery_j: energy of the battery; None says nothing of battery life.
    """

    rate_hz: float
    sensor_w: float | None = None
    host_w: float | None = None
    battery_j: float | None = None


def use_of(
    rate_hz: float | None,
    *,
    sensor_w: float | None = None,
    host_w: float | None = None,
    battery_j: float | None = None,
) -> Use | None:
    """Return how a chip is used, None if no rate is given.

    Args:
        rate_hz: samples per second.
        sensor_w: power of the sensor.
        host_w: power of the host.
        battery_j: energy of the battery.

    Raises:
        UsageError: E5065, E5066, E5067, a value that is not finite or not above 0 (a power may be
            0); E5069, a power or a battery without a rate.
    """
    around = {"--sensor-power": sensor_w, "--host-power": host_w, "--battery": battery_j}
    if rate_hz is None:
        for option, value in around.items():
            if value is not None:
                raise UsageError(
                    "E5069",
                    "average power depends on how often a sample comes; no rate is assumed",
                    where=option,
                    remedy="give --rate, for example --rate 10/s",
                )
        return None
    _check("E5065", "--rate", rate_hz, zero=False)
    for option, code in (("--sensor-power", "E5066"), ("--host-power", "E5066")):
        _check(code, option, around[option], zero=True)
    _check("E5067", "--battery", battery_j, zero=False)
    return Use(rate_hz=rate_hz, sensor_w=sensor_w, host_w=host_w, battery_j=battery_j)


def _check(code: str, option: str, value: float | None, *, zero: bool) -> None:
    if value is None or (isfinite(value) and (value > 0 or (zero and value == 0))):
        return
    least = "0 or more" if zero else "above 0"
    raise UsageError(code, f"is {value:g}, must be finite and {least}", where=option)


@dataclass(frozen=True, kw_only=True, slots=True)
class PowerRow:
    """One part of the average power."""

    part: str
    power_w: Range
    grade: Grade | None
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Duty:
    """Average power of a chip in use.

    Attributes:
        rate_hz: samples per second; `most_hz`: what the chip can answer, None where its time is
            not known: the rate is then not checked.
        active: share of the time in which a sample is in the chip; None where its time is not
            known.
        rows: they add up to `average_w`.
        missing: parts whose power is not known; the average is without them.
        battery_s: seconds that a battery lasts, shortest, nominal, longest; None without one.
        grade: weakest of the rows' grades.
    """

    rate_hz: float
    most_hz: float | None
    active: float | None
    rows: tuple[PowerRow, ...]
    average_w: Range
    missing: tuple[str, ...]
    battery_j: float | None
    battery_s: Range | None
    grade: Grade


def duty(
    use: Use,
    *,
    chip: str,
    dynamic_j: Range | None,
    unpriced: bool,
    grade: Grade,
    static: Price | None,
    power: Mapping[str, Quantity],
    decision_s: float | None,
    most_hz: float | None,
) -> Duty:
    """Return the average power of a chip in use.

    Args:
        use: rate, surroundings and battery.
        chip: its name, for errors.
        dynamic_j: dynamic energy per sample; None if no event has a public price.
        unpriced: whether events happened whose price is not public.
        grade: weakest of its prices.
        static: power of the chip doing nothing [W].
        power: other powers that its file states: `idle`, `host`, `sensor`.
        decision_s: how long a sample is in the chip; None if its time is not public.
        most_hz: samples per second that it can answer; None if its time is not public.

    Raises:
        UsageError: E5068, the rate is beyond the throughput.
    """
    if most_hz is not None and use.rate_hz > most_hz:
        raise UsageError(
            "E5068",
            f"{use.rate_hz:,.6g} samples per second, {chip} answers {most_hz:,.6g}",
            where="--rate",
            remedy=f"use at most {most_hz:,.6g}/s, fewer --steps, or another chip",
        )
    active = None if decision_s is None else min(1.0, use.rate_hz * decision_s)
    resting, unknown = _at_rest(static, power.get("idle"), active)
    known, missing = list[PowerRow](), list[str]()
    if dynamic_j is None:
        missing.append("dynamic")
    else:
        watts, source = _scaled(dynamic_j, use.rate_hz), "energy per sample x rate"
        known.append(PowerRow(part="dynamic", power_w=watts, grade=grade, source=source))
        missing += ["unpriced events"] if unpriced else []
    known += resting
    missing += unknown
    for part, given in (("host", use.host_w), ("sensor", use.sensor_w)):
        row = _around(part, given, power.get(part))
        if row is None:
            missing.append(part)
        else:
            known.append(row)
    low, nominal, high = (sum(row.power_w[i] for row in known) for i in range(3))
    average = (low, nominal, high)
    return Duty(
        rate_hz=use.rate_hz,
        most_hz=most_hz,
        active=active,
        rows=tuple(known),
        average_w=average,
        missing=tuple(missing),
        battery_j=use.battery_j,
        battery_s=_lifetime(use.battery_j, average),
        grade=weakest(row.grade for row in known if row.grade),
    )


def _at_rest(
    static: Price | None, idle: Quantity | None, active: float | None
) -> tuple[tuple[PowerRow, ...], tuple[str, ...]]:
    """Return rows of the power that no sample adds to, and what of it is not known.

    Without an idle figure or without a time the static power counts all the time.
    """
    if static is None and idle is None:
        return (), ("static", "idle")
    share = 1.0 if active is None or (idle is None) else active
    rows = []
    if static is not None:
        watts = (float(static.low), float(static.nominal), float(static.high))
        part = "static" if share == 1 else "static, active"
        rows.append(
            PowerRow(
                part=part, power_w=_scaled(watts, share), grade=static.grade, source=static.source
            )
        )
    if idle is not None and (static is None or share < 1):
        watts, grade, source = _of_quantity(idle)
        between = _scaled(watts, 1 - share if share < 1 else 1.0)
        rows.append(PowerRow(part="idle, between", power_w=between, grade=grade, source=source))
    return tuple(rows), () if static is not None else ("static, active",)


def _around(part: str, given: float | None, stated: Quantity | None) -> PowerRow | None:
    """Return the power of host or sensor: the user's figure, else the chip file's."""
    if given is not None:
        return PowerRow(part=part, power_w=(given, given, given), grade=None, source=USER)
    if stated is None:
        return None
    watts, grade, source = _of_quantity(stated)
    return PowerRow(part=part, power_w=watts, grade=grade, source=source)


def _of_quantity(quantity: Quantity) -> tuple[Range, Grade, str]:
    value = float(quantity.value)
    return (value, value, value), quantity.grade, quantity.source


def _scaled(values: Range, factor: float) -> Range:
    return values[0] * factor, values[1] * factor, values[2] * factor


def _lifetime(battery_j: float | None, average_w: Range) -> Range | None:
    """Return how long a battery lasts [s]: shortest at the highest power."""
    if battery_j is None or not average_w[0]:
        return None
    low, nominal, high = average_w
    return battery_j / high, battery_j / nominal, battery_j / low
