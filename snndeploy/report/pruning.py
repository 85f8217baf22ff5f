"""What pruning did, on the terminal and as JSON: layer by layer, then weights and accuracies."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from snndeploy.compress.prune_records import PrunedGroup, PruneReport
from snndeploy.report.console import cell, console, table
from snndeploy.report.units import percent

PAPER_BITS = (8, 4, 2)
UNITS = {
    "weights": "weights",
    "synaptic_ops": "synaptic operations per sample",
    "cores": "cores",
    "energy_j": "J per sample",
}


def pruning_record(report: PruneReport, output: Path) -> dict[str, Any]:
    """Return a report as plain data."""
    left = [{"layer": layer, "reason": reason} for layer, reason in report.left]
    paper = {
        "connections": report.paper_after.quantized / report.paper_before.quantized
        if report.paper_before.quantized
        else None,
        "size_mb_before": report.paper_before.size_mb(32),
        "size_mb_after": {str(bits): report.paper_after.size_mb(bits) for bits in PAPER_BITS},
    }
    return {
        **asdict(report),
        "as_qp_snn_counts": paper,
        "left": left,
        "weights_before": report.weights_before,
        "weights_after": report.weights_after,
        "output": str(output),
    }


def print_pruning(report: PruneReport, output: Path) -> None:
    """Print channels and weights by layer, scores, what was left, and what was written."""
    out = console()
    groups = {layer: group for group in report.groups for layer in group.layers}
    reasons = dict(report.left)
    rows = table("layer", ">channels", ">kept", ">weights", ">kept", ">score", ">ties", "note")
    for layer in report.layers:
        group = groups.get(layer.name)
        rows.add_row(
            cell(layer.name),
            f"{layer.channels_before:,}",
            f"{layer.channels_after:,}",
            f"{layer.weights_before:,}",
            f"{layer.weights_after:,}",
            f"{group.lowest:.4g} to {group.highest:.4g}" if group else "",
            f"{group.ties:,}" if group else "",
            cell(_note(layer.name, group, reasons)),
        )
    out.print(rows)
    facts = table("measure", ">before", ">after", "note")
    share = report.weights_after / report.weights_before
    facts.add_row(
        "weights", f"{report.weights_before:,}", f"{report.weights_after:,}", percent(share)
    )
    _add_paper(facts, report)
    if report.budget is not None:
        budget = report.budget
        facts.add_row(
            budget.cost,
            f"{budget.before:,.6g}",
            f"{budget.after:,.6g}",
            f"{UNITS[budget.cost]}, {budget.limit:,.6g} allowed: {percent(budget.ratio)} of every "
            f"layer's channels removed, {budget.n_tried} networks tried",
        )
    if report.accuracy_before is not None and report.accuracy_after is not None:
        facts.add_row(
            "accuracy",
            percent(report.accuracy_before),
            percent(report.accuracy_after),
            f"float model, {report.n_judged:,} samples",
        )
    out.print(facts)
    scored = f" on {report.n_scored:,} samples" if report.n_scored else ""
    out.print(f"channels ranked by {report.criterion}{scored}, {report.seconds:.1f} s")
    out.print(cell(f"wrote {output}"))
    out.print(cell(f"hint: snndeploy finetune {output} --data TRAIN.npz recovers accuracy"))


def _add_paper(facts: Table, report: PruneReport) -> None:
    """Add what QP-SNN's tables hold, to compare with; a chip stores and does something else."""
    before, after = report.paper_before, report.paper_after
    if before.quantized:
        sizes = " / ".join(f"{after.size_mb(bits):.3g}" for bits in PAPER_BITS)
        facts.add_row(
            "size as QP-SNN counts",
            f"{before.size_mb(32):.3g} MB",
            f"{sizes} MB",
            "32 bits before; 8 / 4 / 2 after, first and last layer 32",
        )
        share = percent(after.quantized / before.quantized)
        facts.add_row(
            "connections as QP-SNN counts", percent(1.0), share, "first and last layer left out"
        )


def _note(layer: str, group: PrunedGroup | None, reasons: dict[str, str]) -> str:
    if group is None:
        return f"left: it {reasons[layer]}" if layer in reasons else ""
    if len(group.layers) == 1:
        return ""
    others = [name for name in group.layers if name != layer]
    return f"with {', '.join(others)}"
