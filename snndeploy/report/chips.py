"""Targets on the terminal and as JSON: limits, integer rules, prices, each with its source."""

from dataclasses import asdict
from typing import Any

from snndeploy.mapping import constraints
from snndeploy.report.console import cell, console, table
from snndeploy.target import ChipSpec, Target


def chip_record(target: Target) -> dict[str, Any]:
    """Return a target as plain data."""
    chip = target.chip
    numerics = {name: _plain_value(getattr(chip.numerics, name)) for name in _rule_names(chip)}
    return {
        "name": target.name,
        "title": chip.title,
        "executor": target.executor,
        "digest": chip.digest,
        "mesh": list(chip.mesh),
        "cores_per_tile": chip.cores_per_tile,
        "rules": {name: " ".join(text.split()) for name, text in constraints.rules().items()},
        "unchecked": list(constraints.unchecked(chip)),
        "limits": {name: _quantity(asdict(q)) for name, q in sorted(chip.limits.items())},
        "latencies": {name: _quantity(asdict(q)) for name, q in sorted(chip.latencies.items())},
        "other_latencies": {
            name: {key: _quantity(asdict(q)) for key, q in sorted(table.items())}
            for name, table in sorted(chip.other_latencies.items())
        },
        "network": {name: _quantity(asdict(q)) for name, q in sorted(chip.network.items())},
        "clock": _clock(chip),
        "numerics": numerics,
        "prices": {
            name: {kind: _quantity(asdict(price)) for kind, price in sorted(book.prices.items())}
            for name, book in sorted(chip.prices.items())
        },
        "default_prices": chip.default_prices,
    }


def print_chips(targets: list[Target]) -> None:
    """Print one line per target."""
    rows = table("target", "chip", "cores", "toolchain", "prices")
    for target in targets:
        chip = target.chip
        rows.add_row(
            cell(target.name),
            cell(chip.title),
            f"{chip.limit('cores') or 0:,}",
            cell(target.executor or "none here"),
            cell(", ".join(chip.prices)),
        )
    console().print(rows)


def print_chip(target: Target, *, rules: bool) -> None:
    """Print a target's limits and prices; with `rules` its integer rules too."""
    chip, out = target.chip, console()
    out.print(f"{chip.title} ({chip.name})", style="bold", markup=False)
    limits = table("limit", ">value", "unit", "grade", "source")
    for name, quantity in sorted(chip.limits.items()):
        limits.add_row(
            name, f"{quantity.value:,}", quantity.unit, quantity.grade, cell(quantity.source)
        )
    out.print(limits)
    if rules:
        checked = table("rule", "checked here", "what it asks")
        for name, text in constraints.rules().items():
            is_public = "yes" if chip.limit(name) is not None else "no: limit not public"
            checked.add_row(name, is_public, cell(" ".join(text.split())))
        out.print(checked)
        numbers = table("integer rule", "value")
        for name in _rule_names(chip):
            numbers.add_row(name, cell(str(_plain_value(getattr(chip.numerics, name)))))
        out.print(numbers)
    prices = table("event", ">low", ">nominal", ">high", "grade", "source")
    book = chip.prices[chip.default_prices]
    for kind, price in sorted(book.prices.items()):
        joules = (
            f"{float(value) * 1e12:.3g} pJ" for value in (price.low, price.nominal, price.high)
        )
        prices.add_row(kind, *joules, price.grade, cell(price.source))
    out.print(prices)


def _rule_names(chip: ChipSpec) -> tuple[str, ...]:
    return tuple(type(chip.numerics).__dataclass_fields__)


def _clock(chip: ChipSpec) -> dict[str, Any] | None:
    if chip.clock is None:
        return None
    return {"kind": chip.clock.kind, "period": _quantity(asdict(chip.clock.period))}


def _plain_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if hasattr(value, "items") else value


def _quantity(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value if isinstance(value, str) else str(value) for key, value in record.items()}
