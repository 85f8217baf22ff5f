"""What `compare` found: the first difference in words, a table by layer, the same as JSON."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from snndeploy.comparison.case import Case
from snndeploy.comparison.cause import CAUSES, Why
from snndeploy.comparison.compare import Comparison, First
from snndeploy.report.console import cell, console, table
from snndeploy.report.units import percent


def print_comparison(found: Comparison, case: Path | None) -> None:
    """Print where the sides part first and why, then all layers, most different first."""
    out = console()
    out.print(cell(f"A {found.label_a}   B {found.label_b}   {found.n_samples:,} samples", "bold"))
    for line in first_lines(found.first):
        out.print(cell(line))
    rows = table(
        "layer", ">cells", ">different", ">share", ">spikes A", ">spikes B", "first", "why"
    )
    for layer in found.ranked:
        name = layer.name if layer.name == layer.name_b else f"{layer.name} = {layer.name_b}"
        first = "" if layer.first is None else "step {}, sample {}, neuron {}".format(*layer.first)
        rows.add_row(
            cell(name),
            f"{layer.cells:,}",
            f"{layer.different:,}",
            percent(layer.share),
            f"{layer.spikes_a:,}",
            f"{layer.spikes_b:,}",
            first,
            cell(", ".join(f"{why} {n}" for why, n in layer.causes.items())),
        )
    out.print(rows)
    for side, names in (("A", found.only_a), ("B", found.only_b)):
        if names:
            out.print(cell(f"only in {side}: {', '.join(names)}", "dim"))
    accuracies = [found.accuracy_a, found.accuracy_b]
    right = " → ".join(percent(a) for a in accuracies if a is not None)
    same = f"same decision for {found.same_decisions:,} of {found.n_samples:,} samples"
    out.print(cell(f"{same}{f'; accuracy {right}' if right else ''}"))
    out.print(cell(verdict_line(found), "bold green" if found.is_equal else "bold red"))
    if case is not None and found.first is not None and found.first.case is not None:
        out.print(cell(f"wrote {case}"))


def verdict_line(found: Comparison) -> str:
    """Return whether the sides are equal; readouts show in decisions alone."""
    if found.is_equal:
        return "EQUAL: every spike of every layer both have, and every decision"
    if found.fires_alike:
        return "DIFFERENT: every spike agrees, decisions do not: the readouts differ"
    return "DIFFERENT"


def first_lines(first: First | None) -> tuple[str, ...]:
    """Return where the sides part first, and why, a line each."""
    if first is None:
        return ()
    place = ", ".join(map(str, first.position))
    where = (
        f"first difference: layer {first.layer}, step {first.step}, sample {first.sample}, neuron "
        f"{first.neuron} ({place}): A sends {first.sent_a}, B sends {first.sent_b}"
    )
    if first.why is None:
        return (where, "cause: not looked into, the neuron's program has no leaky form")
    return (where, cause_line(first.why))


def cause_line(why: Why) -> str:
    """Return a cause with what shows it."""
    parts = " and ".join(why.parts)
    shown = {
        (False, False): f"A with B's {parts} does what B does",
        (False, True): f"A does what B does with each of B's {', '.join(why.parts)} alone",
        (True, True): f"A does what B does only with B's {parts} together",
    }[why.together, len(why.parts) > 1]
    if why.cause == "executor":
        shown = parts
    heights = f"potential / threshold {why.v_a:.6g} in A, {why.v_b:.6g} in B"
    return f"cause: {why.cause} ({CAUSES[why.cause]}): {shown}; {heights}"


def comparison_record(found: Comparison) -> dict[str, Any]:
    """Return it as plain data for JSON."""
    first = found.first
    return {
        "a": found.label_a,
        "b": found.label_b,
        "is_equal": found.is_equal,
        "n_samples": found.n_samples,
        "steps": found.steps,
        "same_decisions": found.same_decisions,
        "accuracy": {"a": found.accuracy_a, "b": found.accuracy_b},
        "only_a": list(found.only_a),
        "only_b": list(found.only_b),
        "layers": [{**asdict(layer), "share": layer.share} for layer in found.ranked],
        "first": first and {
            "layer": first.layer,
            "step": first.step,
            "sample": first.sample,
            "neuron": first.neuron,
            "position": list(first.position),
            "sent": {"a": first.sent_a, "b": first.sent_b},
            "why": first.why and asdict(first.why),
            "case": first.case and first.case.record(),
        },
    }  # fmt: skip


def case_text(case: Case) -> str:
    """Return the file of a case: JSON, the same bytes for the same case."""
    return json.dumps(case.record(), indent=1, sort_keys=True) + "\n"
