"""Runs priced on chips that are priced only, on the terminal and as JSON."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.console import Console

from snndeploy.energy import Energy
from snndeploy.report.console import cell, console, table
from snndeploy.report.units import engineering
from snndeploy.repricing import PricedRun


def priced_record(run: PricedRun) -> dict[str, Any]:
    """Return a priced run as plain data; counts are exact, joules are floats per sample."""
    n_samples = run.ledger.n_samples
    return {
        "target": run.target,
        "title": run.title,
        "priced_only": run.because,
        "counts_from": run.counts_from,
        "n_samples": n_samples,
        "prices": run.ledger.table,
        "note": run.note,
        "ledger": [
            {
                "kind": row.kind,
                "phase": row.phase,
                "count": int(row.count) if row.kind != "static" else float(row.count),
                "price": float(row.price.nominal),
                "energy_j": [value / n_samples for value in _range(row.energy)],
                "grade": row.price.grade,
                "source": row.price.source,
            }
            for row in run.ledger.rows
        ],
        "dynamic_j": _range(run.dynamic) if run.dynamic else None,
        "static_j": _range(run.static) if run.static else None,
        "missing": sorted(run.ledger.missing.items()),
        "grade": run.grade,
        "static_grade": run.static_grade,
        "seconds": run.seconds_per_sample,
        "not_timed": list(run.time.missing) if run.time else [],
        "power_w": {
            name: {**asdict(quantity), "value": float(quantity.value)}
            for name, quantity in sorted(run.power.items())
        },
    }


def print_priced(runs: Iterable[PricedRun]) -> None:
    """Print what runs cost on chips that are priced only, side by side if there are several."""
    runs, out = list(runs), console()
    for run in runs:
        out.print(cell(f"{run.target} is priced only: {run.because}", "yellow"))
        out.print(cell(f"counts from {run.counts_from}, no verdict whether it fits"))
        _print_ledger(run, out)
        for name, quantity in run.power.items():
            watts = engineering(float(quantity.value), "W")
            out.print(cell(f"{name} power {watts}, {quantity.grade}: {quantity.source}"))
    if len(runs) > 1:
        _print_side_by_side(runs, out)


def _print_side_by_side(runs: list[PricedRun], out: Console) -> None:
    rows = table(
        "chip", "prices", ">low", ">energy/sample", ">high", ">static", ">time", "grade", "no price"
    )
    for run in runs:
        rows.add_row(
            cell(run.target),
            cell(run.ledger.table),
            *_shown(run.dynamic),
            _shown(run.static)[1],
            engineering(run.seconds_per_sample, "s"),
            run.grade or "n/a",
            cell(", ".join(run.ledger.missing) or "nothing"),
        )
    out.print(rows)


def _print_ledger(run: PricedRun, out: Console) -> None:
    n_samples = run.ledger.n_samples
    rows = table("event", "phase", ">per sample", ">price", ">low", ">nominal", ">high", "grade")
    for row in run.ledger.rows:
        if row.kind != "static":
            rows.add_row(
                row.kind,
                row.phase,
                f"{int(row.count) / n_samples:,.1f}",
                engineering(float(row.price.nominal), "J"),
                *(engineering(value / n_samples, "J") for value in _range(row.energy)),
                row.price.grade,
            )
    rows.add_section()
    dynamic = _shown(run.dynamic)
    rows.add_row("dynamic, per sample", "", "", "", *dynamic, run.grade or "", style="bold")
    if run.static:
        rows.add_row("static, per sample", "", "", "", *_shown(run.static), run.static_grade or "")
    out.print(cell(f"energy on {run.target}, prices {run.ledger.table}", "bold"))
    if run.note:
        out.print(cell(run.note))
    out.print(rows)
    if run.time is not None:
        missing = f"; not in it: {', '.join(run.time.missing)}" if run.time.missing else ""
        seconds = engineering(run.seconds_per_sample, "s")
        out.print(
            cell(f"time per sample {seconds}, one event after the other, {run.time.grade}{missing}")
        )
    if run.ledger.missing:
        names = ", ".join(f"{name} ({count:,})" for name, count in run.ledger.missing.items())
        out.print(cell(f"no public price, not in the sum: {names}", "yellow"))


def _shown(energy: Energy | None) -> list[str]:
    return [engineering(value, "J") for value in _range(energy)] if energy else ["n/a"] * 3


def _range(energy: Energy) -> list[float]:
    return [float(energy.low), float(energy.nominal), float(energy.high)]
