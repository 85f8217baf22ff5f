"""Targets on the terminal and as JSON: limits, integer rules, prices, each with its source."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from snndeploy.mapping import constraints
from snndeploy.report.console import cell, console, table
from snndeploy.report.units import engineering
from snndeploy.target import ChipSpec, PricedChip, PricedTarget, Target


def chip_record(target: Target | PricedTarget) -> dict[str, Any]:
    """Return a target as plain data; a chip that is priced only has no limits and rules."""
    chip = target.chip
    record = {
        "name": target.name,
        "title": chip.title,
        "executor": target.executor,
        "digest": chip.digest,
        "priced_only": chip.because or None,
        "latencies": {name: _quantity(asdict(q)) for name, q in sorted(chip.latencies.items())},
        "other_latencies": {
            name: {key: _quantity(asdict(q)) for key, q in sorted(table.items())}
            for name, table in sorted(chip.other_latencies.items())
        },
        "prices": {
            name: {kind: _quantity(asdict(price)) for kind, price in sorted(book.prices.items())}
            for name, book in sorted(chip.prices.items())
        },
        "static": {
            name: _quantity(asdict(book.static_w)) if book.static_w else None
            for name, book in sorted(chip.prices.items())
        },
        "notes": {name: book.note for name, book in sorted(chip.prices.items()) if book.note},
        "default_prices": chip.default_prices,
        "not_charged": dict(sorted(chip.not_charged.items())),
        "power": {name: _quantity(asdict(q)) for name, q in sorted(chip.power.items())},
    }
    return {**record, **_model_record(chip)} if isinstance(chip, ChipSpec) else record


def _model_record(chip: ChipSpec) -> dict[str, Any]:
    rules = _rule_names(chip)
    return {
        "mesh": list(chip.mesh),
        "cores_per_tile": chip.cores_per_tile,
        "rules": {name: " ".join(text.split()) for name, text in constraints.rules().items()},
        "unchecked": list(constraints.unchecked(chip)),
        "limits": {name: _quantity(asdict(q)) for name, q in sorted(chip.limits.items())},
        "network": {name: _quantity(asdict(q)) for name, q in sorted(chip.network.items())},
        "clock": _clock(chip),
        "numerics": {name: _plain_value(getattr(chip.numerics, name)) for name in rules},
    }


def print_chips(targets: Sequence[Target | PricedTarget]) -> None:
    """Print one line per target."""
    rows = table("target", "chip", "cores", "toolchain", "prices")
    for target in targets:
        chip = target.chip
        cores = f"{chip.limit('cores') or 0:,}" if isinstance(chip, ChipSpec) else "priced only"
        rows.add_row(
            cell(target.name),
            cell(chip.title),
            cores,
            cell(target.executor or "none here"),
            cell(", ".join(chip.prices)),
        )
    console().print(rows)


def print_chip(target: Target | PricedTarget, *, rules: bool) -> None:
    """Print a target's limits and all its price tables; with `rules` its integer rules too."""
    chip, out = target.chip, console()
    out.print(f"{chip.title} ({chip.name})", style="bold", markup=False)
    if isinstance(chip, ChipSpec):
        _print_limits(chip, out)
        if rules:
            _print_rules(chip, out)
    else:
        out.print(cell(f"priced only: {chip.because}", "yellow"))
    for name in chip.prices:
        _print_prices(chip, name, out)
    for kind, why in chip.not_charged.items():
        out.print(cell(f"{kind} is not charged: {why}"))
    for name, quantity in chip.power.items():
        watts = engineering(float(quantity.value), "W")
        out.print(cell(f"{name} power {watts}, {quantity.grade}: {quantity.source}"))


def _print_limits(chip: ChipSpec, out: Console) -> None:
    limits = table("limit", ">value", "unit", "grade", "source")
    for name, quantity in sorted(chip.limits.items()):
        limits.add_row(
            name, f"{quantity.value:,}", quantity.unit, quantity.grade, cell(quantity.source)
        )
    out.print(limits)


def _print_rules(chip: ChipSpec, out: Console) -> None:
    checked = table("rule", "checked here", "what it asks")
    for name, text in constraints.rules().items():
        is_public = "yes" if chip.limit(name) is not None else "no: limit not public"
        checked.add_row(name, is_public, cell(" ".join(text.split())))
    out.print(checked)
    numbers = table("integer rule", "value")
    for name in _rule_names(chip):
        numbers.add_row(name, cell(str(_plain_value(getattr(chip.numerics, name)))))
    out.print(numbers)


def _print_prices(chip: PricedChip, name: str, out: Console) -> None:
    book = chip.prices[name]
    default = " (default)" if name == chip.default_prices and len(chip.prices) > 1 else ""
    times = "; with its own latencies" if name in chip.other_latencies else ""
    out.print(cell(f"prices {name}{default}{times}", "bold"))
    if book.note:
        out.print(cell(book.note))
    if not book.prices and book.static_w is None:
        out.print("no price of any event is public")
        return
    rows = table("event", ">low", ">nominal", ">high", "grade", "source")
    for kind, price in sorted(book.prices.items()):
        joules = (
            f"{float(value) * 1e12:.3g} pJ" for value in (price.low, price.nominal, price.high)
        )
        rows.add_row(kind, *joules, price.grade, cell(price.source))
    if book.static_w is not None:
        static = book.static_w
        watts = (engineering(float(v), "W") for v in (static.low, static.nominal, static.high))
        rows.add_row("static", *watts, static.grade, cell(static.source))
    out.print(rows)


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
