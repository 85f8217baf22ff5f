"""Reports on the terminal: the verdict in one line, then tables."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from snndeploy.bundle import Bundle
from snndeploy.deployment import Deployment
from snndeploy.estimation import Estimate
from snndeploy.inference import Answer
from snndeploy.passes.layer_report import LayerReport
from snndeploy.report.console import cell, console, table
from snndeploy.report.cores import print_cores
from snndeploy.report.facts import (
    dynamic_grade_word,
    dynamic_words,
    estimate_facts,
    grade_word,
    layer_words,
    microcode_notes,
    missing_notes,
    time_words,
    verdict_line,
    weakest_note,
)
from snndeploy.report.sheets import Sheet, sheets
from snndeploy.report.units import NOT_PUBLIC, engineering, percent
from snndeploy.verdict import Verdict
from snndeploy.verification import Certificate

N_DECISIONS = 10
MOST_STEPS = 10
"""Rows of accuracy against steps."""


def print_answer(answer: Answer, output: Path | None) -> None:
    """Print decisions and accuracy."""
    out = console()
    for name, decision in answer.decision.items():
        shown = " ".join(map(str, decision[:N_DECISIONS]))
        more = f" … ({len(decision)} samples)" if len(decision) > N_DECISIONS else ""
        out.print(cell(f"{name}: {shown}{more}"))
    if answer.accuracy is not None:
        n_samples = len(next(iter(answer.decision.values())))
        out.print(f"accuracy: {percent(answer.accuracy)} of {n_samples:,} samples")
    for name, count in answer.clipped.items():
        if count:
            out.print(cell(f"{name}: {count:,} input values were clipped to the integer range"))
    if output is not None:
        out.print(cell(f"wrote {output}"))


def print_deployment(deployment: Deployment) -> None:
    """Print the verdict, the layers, and what was measured and written."""
    out = console()
    print_verdict(deployment.verdict, out)
    print_layers(deployment.compiled.layers, out)
    for note in deployment.compiled.model.notes:
        out.print(cell(f"{note.kind} {note.node}: {note.text}", "dim"))
    if deployment.estimate is not None:
        print_estimate(deployment.estimate, out, float_accuracy=deployment.float_accuracy)
    if deployment.bundle is not None:
        out.print(cell(f"wrote {deployment.bundle.path}"))


def print_bundle(bundle: Bundle) -> None:
    """Print what a bundle says of itself."""
    manifest, out = bundle.manifest, console()
    out.print(
        cell(f"{manifest.origin} for {manifest.target}, by snndeploy {manifest.tool}", "bold")
    )
    print_verdict(manifest.verdict, out)
    print_layers(manifest.layers, out)
    for note in manifest.notes:
        out.print(cell(note, "dim"))
    out.print(
        f"{len(manifest.files)} files, {len(manifest.probes)} probe samples, all digests match"
    )
    out.print(f"digest {bundle.digest}")


def print_verdict(verdict: Verdict, out: Console) -> None:
    """Print the verdict's line, then how full the cores are or what is broken."""
    out.print(cell(verdict.line(), "bold green" if verdict.fits else "bold red"))
    if verdict.violations:
        broken = table("where", ">have", ">limit", "unit", "rule", "what to do")
        for v in verdict.violations:
            broken.add_row(
                cell(v.node), f"{v.have:,}", f"{v.limit:,}", v.unit, v.rule, cell(v.hint)
            )
        out.print(broken)
    elif verdict.loads:
        loads = table("fullest core by", "layer", ">have", ">limit", ">share")
        for load in verdict.loads:
            loads.add_row(
                load.limit,
                cell(load.population),
                f"{load.have:,}",
                f"{load.allowed:,}",
                percent(load.share),
            )
        out.print(loads)


def print_layers(layers: Iterable[LayerReport], out: Console) -> None:
    """Print how each layer became integers, and which neurons need microcode."""
    shown = tuple(layers)
    rows = table(
        "layer",
        "synapses",
        "neuron",
        ">neurons",
        ">weights",
        ">vth",
        ">du",
        ">dv",
        ">weight error",
        "exact",
    )
    for layer in shown:
        why = "yes" if layer.exact else "no: " + "; ".join(layer.why)
        rows.add_row(
            cell(layer.population),
            layer.synapse,
            layer.program,
            f"{layer.n_neurons:,}",
            f"{layer.n_weights:,}",
            str(layer.vth),
            str(layer.du),
            str(layer.dv),
            percent(layer.weight_rms),
            cell(why),
        )
    out.print(rows)
    for layer in shown:
        for note in layer.notes:
            out.print(cell(f"note: {layer.population}: {note}"))
    for note in microcode_notes(shown):
        out.print(cell(f"note: {note}"))


def print_certificate(certificate: Certificate, path: Path | None) -> None:
    """Print the comparison with the reference, backend by backend; `path` is the bundle's."""
    out = console()
    rows = table("backend", "words", ">compared", ">different", "result")
    for result in certificate.backends:
        if result.missing:
            rows.add_row(cell(result.backend), "", "", "", cell(f"not run: {result.missing}"))
            continue
        verdict = "equal" if result.first is None else f"differs, first at {result.first.line()}"
        rows.add_row(
            cell(result.backend),
            " ".join(result.words),
            f"{result.compared:,}",
            f"{result.different:,}",
            cell(verdict, "green" if result.first is None else "red"),
        )
    out.print(rows)
    for activity in certificate.activity:
        if activity.warning:
            name = f"warning: {activity.population} {activity.warning} on these inputs"
            out.print(cell(f"{name}: its spikes prove nothing", "yellow"))
    ours = {a.program: a.judge for a in certificate.activity if a.judge != "Lava"}
    for program, judge in ours.items():
        out.print(cell(f"note: {program} is judged by {judge}; Lava ran our definition of it"))
    n = len(certificate.inputs)
    ran = [result.backend for result in certificate.backends if not result.missing]
    what = "EQUAL" if certificate.is_equal else "DIFFERENT"
    line = f"{what}: {', '.join(ran) or 'nothing'} against the reference on {n} samples"
    out.print(cell(line, "bold green" if certificate.is_equal else "bold red"))
    if path is not None:
        out.print(cell(f"wrote {path / 'certificate.json'}"))


def print_estimates(estimates: Iterable[Estimate]) -> None:
    """Print energy, latency and spikes, then the chips side by side if there are several."""
    estimates, out = list(estimates), console()
    for estimate in estimates:
        if estimate.priced_only:
            out.print(cell(verdict_line(estimate), "bold yellow"))
        print_estimate(estimate, out)
        for sheet in sheets(estimate, MOST_STEPS):
            print_sheet(sheet, out)
    if len(estimates) > 1:
        _print_side_by_side(estimates, out)


def print_estimate(
    estimate: Estimate, out: Console, *, float_accuracy: float | None = None
) -> None:
    """Print activity by layer, the energy ledger, time and accuracy."""
    layers = table(
        "layer",
        ">neurons",
        ">spikes/sample",
        ">rate/step",
        ">synaptic ops/sample",
        ">low",
        ">energy/sample",
        ">high",
    )
    for layer in estimate.layers:
        layers.add_row(
            cell(layer.population),
            f"{layer.n_neurons:,}",
            f"{layer.spikes_per_sample:,.1f}",
            percent(layer.rate),
            f"{layer.synaptic_ops_per_sample:,.0f}",
            *layer_words(estimate, layer),
        )
    out.print(layers)
    print_ledger(estimate, out)
    if estimate.latency is not None:
        print_cores(estimate.latency, out)
    facts = table("measure", ">value", "note")
    for name, value, note in estimate_facts(estimate, float_accuracy):
        facts.add_row(name, value, cell(note))
    out.print(facts)


def print_sheet(sheet: Sheet, out: Console) -> None:
    """Print a table with its title and notes."""
    out.print(cell(sheet.title, "bold"))
    if sheet.rows:
        rows = table(*sheet.header)
        for row in sheet.rows:
            rows.add_row(*map(cell, row))
        out.print(rows)
    for note in sheet.notes:
        out.print(cell(note))
    out.print()


def print_ledger(estimate: Estimate, out: Console) -> None:
    """Print counts, prices and joules per sample; static energy and what has no price apart."""
    rows = table("event", "phase", ">per sample", ">price", ">low", ">nominal", ">high", "grade")
    for line in estimate.ledger:
        rows.add_row(
            line.kind,
            line.phase,
            f"{line.per_sample:,.1f}",
            engineering(line.price_j, "J"),
            *(engineering(value, "J") for value in line.energy_j),
            line.grade,
        )
    rows.add_section()
    total, grade = dynamic_words(estimate), dynamic_grade_word(estimate)
    rows.add_row("dynamic, per sample", "", "", "", *total, grade, style="bold")
    if estimate.static is not None:
        static = (engineering(value, "J") for value in estimate.static.energy_j)
        power = engineering(estimate.static.power_w, "W")
        rows.add_row("static, per sample", "", "", power, *static, estimate.static.grade)
    out.print(cell(f"energy on {estimate.target}, prices {estimate.prices}", "bold"))
    if estimate.note:
        out.print(cell(estimate.note))
    out.print(rows)
    out.print(cell(weakest_note(estimate)))
    for note in missing_notes(estimate):
        out.print(cell(note, "yellow"))


def _print_side_by_side(estimates: list[Estimate], out: Console) -> None:
    rows = table(
        "chip",
        "prices",
        "verdict",
        ">low",
        ">energy/sample",
        ">high",
        ">static",
        ">p50",
        ">p99",
        ">throughput",
        ">accuracy",
        "grade",
    )
    for estimate in estimates:
        low, nominal, high = dynamic_words(estimate)
        static = estimate.static
        rows.add_row(
            cell(estimate.target),
            cell(estimate.prices),
            cell(verdict_line(estimate)),
            low,
            nominal,
            high,
            engineering(static.energy_j[1], "J") if static else NOT_PUBLIC,
            *time_words(estimate),
            "n/a" if estimate.accuracy is None else percent(estimate.accuracy),
            grade_word(estimate),
        )
    out.print(rows)
