"""What fine-tuning did, on the terminal and as JSON: the three accuracies, then the epochs."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from snndeploy.compress.records import TuningReport
from snndeploy.model import Original
from snndeploy.report.console import cell, console, table
from snndeploy.report.units import percent


def original_line(original: Original) -> str:
    """Return what the user's own module reached, in words."""
    return f"{percent(original.accuracy)} of {original.n_samples:,} samples, when it was saved"


def tuning_record(report: TuningReport, output: Path) -> dict[str, Any]:
    """Return a report as plain data; `original` is null if the module was not measured."""
    return {**asdict(report), "output": str(output)}


def print_tuning(report: TuningReport, output: Path) -> None:
    """Print accuracies of the original, before and after, the epochs, and what was written."""
    out = console()
    passes = table("epoch", ">loss", ">accuracy", ">loss judged", ">accuracy judged", "")
    for epoch in report.epochs:
        trained = epoch.training
        passes.add_row(
            str(epoch.number),
            f"{trained.loss:.4f}" if trained else "",
            percent(trained.accuracy) if trained else "",
            f"{epoch.judged.loss:.4f}",
            percent(epoch.judged.accuracy),
            "kept" if epoch.number == report.best else "",
        )
    out.print(passes)
    judged = f"of {report.n_judged:,} {report.judged_on}"
    facts = table("accuracy", ">value", "note")
    facts.add_row("original module", *_original(report, judged))
    facts.add_row("before fine-tuning", percent(report.before), f"{judged}; the model as it came")
    kept = f"epoch {report.best} of {report.options.epochs}"
    if not report.best:
        kept = "no epoch was better, so the weights are unchanged"
    facts.add_row("after fine-tuning", percent(report.after), f"{judged}; {kept}")
    out.print(facts)
    line = f"{report.n_samples:,} samples trained on, {report.seconds:.1f} s"
    if report.target:
        line += f"; every step ran the integer network for {report.target}, spike for spike"
    out.print(line)
    out.print(cell(f"wrote {output}"))


def _original(report: TuningReport, judged: str) -> tuple[str, str]:
    if report.original is None:
        return "not measured", "give data to snndeploy.save to have it here"
    same = f"{judged}, when it was saved"
    other = f"of {report.original.n_samples:,} other samples, when it was saved"
    return percent(report.original.accuracy), same if report.same_samples else other
