"""Chips are read from TOML; every number has unit, source and grade, unknown keys are errors."""

import hashlib
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from snndeploy.chip import (
    BARRIER_FROM,
    NETWORK_UNITS,
    POWERS,
    ChipSpec,
    Clock,
    Numerics,
    PricedChip,
)
from snndeploy.energy import EVENT_KINDS, OPERATIONS, EventKind, Price, PriceTable
from snndeploy.errors import ModelError
from snndeploy.quantity import Quantity, TomlTable

LIMIT_UNITS: Mapping[str, str] = {
    "cores": "cores",
    "neurons_per_core": "neurons",
    "synapse_bits_per_core": "bits",
    "in_axons_per_core": "axons",
    "out_axons_per_core": "axons",
}
LATENCIES = (*EVENT_KINDS, "axon_in", "barrier_base", "barrier_per_tile")
NUMERICS_UNITS: Mapping[str, str] = {
    "weight_bits": "bits",
    "weight_exp_min": "bits",
    "weight_exp_max": "bits",
    "conv_weight_exp": "bool",
    "decay_bits": "bits",
    "vth_max": "threshold units",
    "bias_mant_bits": "bits",
    "bias_exp_max": "bits",
    "state_bits": "bits",
    "act_shift": "bits",
    "message_bits": "bits",
    "reset": "word",
    "delay_max_dense": "steps",
    "delay_max_sparse": "steps",
    "delay_max_conv": "steps",
}
_FACTS = ("unit", "source", "grade")
_PRICED = ("name", "title", "default_prices", "sources", "prices")
_MODELLED = ("mesh", "limits", "numerics", "latencies")
_OPTIONAL = ("other_latencies", "not_charged", "power")


def load_chip(path: Path) -> ChipSpec:
    """Read a modelled chip from TOML; energies become joules, times seconds, powers watts, exactly.

    Raises:
        ModelError: E1101 unreadable or not TOML (a key given twice is not), E1102 unknown key (with
            the nearest valid one), E1103 missing key, E1104 wrong unit, E1105 bad value (wrong
            type, not finite, negative, low > nominal or nominal > high), E1106 unknown source,
            E1107 unknown grade; E3042, the file is of a chip that is priced only.
    """
    bare, digest = _read(path)
    if "priced_only" in bare.values:
        remedy = "read it with load_priced_chip"
        raise bare.error("E3042", "priced_only", "the chip is priced only", remedy)
    bare.check_keys((*_PRICED, *_MODELLED), (*_OPTIONAL, "network", "clock"))
    top = _with_sources(bare)
    mesh = _read_mesh(top.table("mesh"))
    return ChipSpec(
        **_read_priced(top),
        mesh=(mesh["x"], mesh["y"]),
        cores_per_tile=mesh["cores_per_tile"],
        numerics=_read_numerics(top.table("numerics")),
        limits=_read_limits(top.table("limits")),
        network=_read_network(top.table("network")) if "network" in top.values else {},
        clock=_read_clock(top.table("clock")) if "clock" in top.values else None,
        digest=digest,
    )


def load_priced_chip(path: Path) -> PricedChip:
    """Read a chip that is priced only from TOML; `priced_only` says what is not modelled.

    Raises:
        ModelError: E1101 to E1107, as `load_chip`.
    """
    bare, digest = _read(path)
    bare.check_keys((*_PRICED, "priced_only"), (*_OPTIONAL, "latencies"))
    top = _with_sources(bare)
    return PricedChip(**_read_priced(top), because=top.text("priced_only"), digest=digest)


def _read(path: Path) -> tuple[TomlTable, str]:
    """Return the top level of a file, numbers as written, and the file's digest."""
    try:
        data = path.read_bytes()
        values = tomllib.loads(data.decode(), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        remedy = "pass a readable TOML file"
        raise ModelError("E1101", str(error), where=str(path), remedy=remedy) from error
    return TomlTable(file=path.name, key="", values=values), hashlib.sha256(data).hexdigest()


def _with_sources(bare: TomlTable) -> TomlTable:
    """Return the top level with the sources that its numbers name."""
    named = bare.table("sources")
    sources = {key: named.text(key) for key in named.values}
    return TomlTable(file=bare.file, key="", values=bare.values, sources=sources)


def _read_priced(top: TomlTable) -> dict[str, Any]:
    """Return what every chip has: names, prices, times, powers."""
    tables = top.table("prices")
    prices = {key: _read_prices(tables.table(key)) for key in tables.values}
    if top.text("default_prices") not in prices:
        message = f"no table prices.{top.text('default_prices')}"
        raise top.error("E1105", "default_prices", message, f"use {', '.join(prices)}")
    return {
        "name": top.text("name"),
        "title": top.text("title"),
        "latencies": _read_latencies(top.table("latencies")) if "latencies" in top.values else {},
        "other_latencies": _read_other_latencies(top),
        "prices": prices,
        "default_prices": top.text("default_prices"),
        "not_charged": _read_not_charged(top),
        "power": _read_power(top.table("power")) if "power" in top.values else {},
    }


def _read_not_charged(top: TomlTable) -> dict[EventKind, str]:
    if "not_charged" not in top.values:
        return {}
    table = top.table("not_charged")
    table.check_keys((), EVENT_KINDS)
    return {cast("EventKind", key): table.text(key) for key in table.values}


def _read_power(table: TomlTable) -> dict[str, Quantity]:
    table.check_keys((), POWERS)
    return {key: _quantity(table.table(key), "W") for key in table.values}


def _count(table: TomlTable, unit: str) -> Quantity:
    table.check_keys(("value", *_FACTS))
    table.check_unit(unit)
    value = table.number("value")
    if value != int(value) or value <= 0:
        raise table.error("E1105", "value", f"is {value}, must be a positive integer")
    return Quantity(value=value, unit=unit, source=table.source(), grade=table.grade())


def _read_mesh(table: TomlTable) -> dict[str, int]:
    units = {"x": "tiles", "y": "tiles", "cores_per_tile": "cores"}
    table.check_keys(units)
    return {key: int(_count(table.table(key), unit).value) for key, unit in units.items()}


def _read_limits(table: TomlTable) -> dict[str, Quantity]:
    table.check_keys(("cores",), LIMIT_UNITS)
    return {key: _count(table.table(key), LIMIT_UNITS[key]) for key in table.values}


def _read_latencies(table: TomlTable) -> dict[str, Quantity]:
    steps = (key for key in table.values if _is_barrier_step(key))
    table.check_keys((), (*LATENCIES, *steps))
    return {key: _seconds(table.table(key)) for key in table.values}


def _is_barrier_step(key: str) -> bool:
    tiles = key.removeprefix(BARRIER_FROM)
    return key.startswith(BARRIER_FROM) and tiles.isascii() and tiles.isdigit() and int(tiles) > 0


def _seconds(table: TomlTable) -> Quantity:
    return _quantity(table, "s")


def _quantity(table: TomlTable, si_unit: str) -> Quantity:
    table.check_keys(("value", *_FACTS))
    value = table.non_negative("value").scaleb(table.exponent(si_unit))
    return Quantity(value=value, unit=si_unit, source=table.source(), grade=table.grade())


def _read_other_latencies(top: TomlTable) -> dict[str, dict[str, Quantity]]:
    if "other_latencies" not in top.values:
        return {}
    tables = top.table("other_latencies")
    return {name: _read_latencies(tables.table(name)) for name in tables.values}


def _read_network(table: TomlTable) -> dict[str, Quantity]:
    table.check_keys(NETWORK_UNITS)
    return {
        key: _seconds(table.table(key)) if unit == "s" else _count(table.table(key), unit)
        for key, unit in NETWORK_UNITS.items()
    }


def _read_clock(table: TomlTable) -> Clock:
    table.check_keys(("period", "kind"))
    period, kind = _seconds(table.table("period")), table.table("kind")
    kind.check_keys(("value", *_FACTS))
    kind.check_unit("word")
    kind.source()
    kind.grade()
    if not period.value:
        raise table.error("E1105", "period", "is 0, must be positive")
    word = kind.values["value"]
    if word not in ("clock", "reference"):
        raise kind.error("E1105", "value", f"is {word!r}, must be one of ('clock', 'reference')")
    return Clock(period=period, kind=word)


def _read_prices(table: TomlTable) -> PriceTable:
    table.check_keys((), (*EVENT_KINDS, *OPERATIONS, "static", "note"))
    prices = {
        key: _read_price(table.table(key), "W" if key == "static" else "J")
        for key in table.values
        if key != "note"
    }
    static = prices.pop("static", None)
    note = table.text("note") if "note" in table.values else ""
    name = table.key.removeprefix("prices.")
    return PriceTable(name=name, prices=prices, static_w=static, note=note)


def _read_price(table: TomlTable, si_unit: str) -> Price:
    table.check_keys(("low", "nominal", "high", *_FACTS))
    exponent = table.exponent(si_unit)
    low, nominal, high = (
        table.non_negative(key).scaleb(exponent) for key in ("low", "nominal", "high")
    )
    if not low <= nominal <= high:
        raise table.error("E1105", "nominal", "must lie between low and high")
    return Price(low=low, nominal=nominal, high=high, source=table.source(), grade=table.grade())


def _read_numerics(table: TomlTable) -> Numerics:
    table.check_keys(NUMERICS_UNITS)
    found = {key: _read_rule(table.table(key), unit) for key, unit in NUMERICS_UNITS.items()}
    low, high = found.pop("weight_exp_min"), found.pop("weight_exp_max")
    delays = {key: found.pop(f"delay_max_{key}") for key in ("dense", "sparse", "conv")}
    return Numerics(weight_exp=(low, high), delay_max=delays, **found)


def _read_rule(table: TomlTable, unit: str) -> Any:
    """Return an integer, a boolean (unit `bool`) or `neuron` / `host` (unit `word`)."""
    table.check_keys(("value", *_FACTS))
    table.check_unit(unit)
    table.source()
    table.grade()
    value = table.values["value"]
    allowed = (True, False) if unit == "bool" else ("neuron", "host")
    if unit in ("bool", "word"):
        if value not in allowed or (unit == "bool") != isinstance(value, bool):
            raise table.error("E1105", "value", f"is {value!r}, must be one of {allowed}")
        return value
    number = table.number("value")
    if number != int(number):
        raise table.error("E1105", "value", f"is {number}, must be an integer")
    return int(number)
