"""What quantization did, layer by layer, on the terminal and as JSON."""

from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

from snndeploy.compress.records import LayerQuantization, Quantized
from snndeploy.report.console import cell, console, table
from snndeploy.report.units import percent

NOTABLE = 1.02
"""A clip point that is so many times larger or smaller than what its rule asks for is said."""


def quantized_record(quantized: Quantized, output: Path) -> dict[str, Any]:
    """Return the report as plain data; `sqnr_db` is null where nothing was lost, or all."""
    layers = []
    for row in quantized.report:
        decibel = row.sqnr_db if isfinite(row.sqnr_db) else None
        layers.append({**asdict(row), "sqnr_db": decibel})
    return {
        "layers": layers,
        "options": asdict(quantized.options),
        "target": quantized.target,
        "accuracy": asdict(quantized.accuracy) if quantized.accuracy else None,
        "output": str(output),
    }


def print_quantized(quantized: Quantized, output: Path) -> None:
    """Print one row per layer, the accuracy before and after, and what was written."""
    out = console()
    rows = table(
        "layer", ">bits", "grid", ">gamma", ">clipped", ">SQNR dB", ">codes used", ">used", "note"
    )
    for row in quantized.report:
        rows.add_row(
            cell(row.layer),
            str(row.bits),
            row.grid if row.sign_mode == "mixed" else f"{row.grid}, {row.sign_mode}",
            _gamma(row),
            percent(row.clipped),
            f"{row.sqnr_db:.1f}",
            f"{row.codes_used} of {row.codes}",
            percent(row.codes_used / row.codes),
            cell(_note(row, quantized.report)),
        )
    out.print(rows)
    if quantized.accuracy is not None:
        found = quantized.accuracy
        facts = table("accuracy", ">value", "note")
        facts.add_row("before", percent(found.before), f"of {found.n_samples:,} samples; float")
        facts.add_row(
            "after", percent(found.after), f"integer network for {quantized.target}, simulated"
        )
        out.print(facts)
    out.print(cell(f"wrote {output}"))


def _gamma(row: LayerQuantization) -> str:
    if row.gamma == row.gamma_largest:
        return f"{row.gamma:.4g}"
    return f"{row.gamma:.4g} to {row.gamma_largest:.4g}"


def _note(row: LayerQuantization, rows: tuple[LayerQuantization, ...]) -> str:
    notes = []
    if row.program != "lif":
        notes.append(f"{row.population}: {row.program} neurons, microcode")
    if not 1 / NOTABLE <= row.enlarged <= NOTABLE:
        beside = [r.layer for r in rows if r.population == row.population and r is not row]
        why = f"one unit with {', '.join(beside)}" if beside else "ranges or a whole threshold"
        notes.append(f"gamma {row.enlarged:.2f} times what the rule asks for: {why}")
    return "; ".join(notes)
