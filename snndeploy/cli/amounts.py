"""Amounts as users write them: 10/min, 5mW, 1000mAh@3.7V; numbers in SI units come out.

A number is read as it stands and its unit scales it; what has no unit, or another one, is an error.
"""

import re
from collections.abc import Mapping

from snndeploy.errors import UsageError

NUMBER = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,3}))?"
RATES: Mapping[str, float] = {
    "/s": 1.0, "Hz": 1.0, "kHz": 1e3, "mHz": 1e-3, "/min": 1 / 60, "/h": 1 / 3600,
}  # fmt: skip
POWERS: Mapping[str, float] = {"W": 1.0, "mW": 1e-3, "uW": 1e-6, "µW": 1e-6, "nW": 1e-9}
ENERGIES: Mapping[str, float] = {
    "J": 1.0, "kJ": 1e3, "MJ": 1e6, "Wh": 3600.0, "mWh": 3.6, "kWh": 3.6e6,
}  # fmt: skip
CHARGES: Mapping[str, float] = {"Ah": 3600.0, "mAh": 3.6}
"""Coulombs."""
VOLTAGES: Mapping[str, float] = {"V": 1.0, "mV": 1e-3}


def parse_rate(text: str) -> float:
    """Return samples per second; raise UsageError E5065 for what is no rate."""
    value = _amount(text, RATES)
    if not value:
        raise UsageError(
            "E5065", f"{text!r} is no rate above 0", where="--rate", remedy="use 10/s, 10Hz, 10/min"
        )
    return value


def parse_power(text: str, option: str) -> float:
    """Return watts; raise UsageError E5066 for what is no power."""
    value = _amount(text, POWERS)
    if value is None:
        raise UsageError("E5066", f"{text!r} is no power", where=option, remedy="use 5mW, 0.25W")
    return value


def parse_battery(text: str) -> float:
    """Return joules; raise UsageError E5067 for what is no energy, nor a charge at a voltage."""
    charge, at, voltage = text.partition("@")
    value = _amount(text, ENERGIES)
    if at:
        coulombs, volts = _amount(charge, CHARGES), _amount(voltage, VOLTAGES)
        value = None if coulombs is None or volts is None else coulombs * volts
    if not value:
        raise UsageError(
            "E5067",
            f"{text!r} is no energy above 0",
            where="--battery",
            remedy="use 2.2Wh, 8kJ or 1000mAh@3.7V",
        )
    return value


def _amount(text: str, units: Mapping[str, float]) -> float | None:
    """Return a number with one of these units, None for anything else."""
    match = re.fullmatch(rf"{NUMBER}\s*(.+)", text.strip())
    if match is None or match[3] not in units:
        return None
    value = float(f"{match[1]}e{match[2] or 0}") * units[match[3]]
    return value if value < float("inf") else None
