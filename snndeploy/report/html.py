"""The report of a compilation as one self-contained HTML file."""

from snndeploy.estimation import Estimate
from snndeploy.passes.layer_report import LayerReport
from snndeploy.pipeline import Compiled
from snndeploy.report.html_estimate import measured
from snndeploy.report.page import html_table, html_text, page
from snndeploy.report.svg import floor_plan
from snndeploy.report.units import percent
from snndeploy.verdict import Verdict


def render_html(
    compiled: Compiled,
    verdict: Verdict,
    estimate: Estimate | None,
    *,
    float_accuracy: float | None = None,
) -> str:
    """Return the report of a compilation as one HTML document.

    Args:
        compiled: what was compiled; it fits.
        verdict: whether and how fully.
        estimate: what was measured on data, None without data.
        float_accuracy: of the float model on that data.
    """
    title = f"{html_text(compiled.model.origin)} on {html_text(compiled.target.chip.title)}"
    parts = [f"<h1>{title}</h1>", _verdict(verdict)]
    if compiled.placement is not None:
        parts += ["<h2>Cores</h2>", floor_plan(compiled.placement, compiled.target.chip)]
    parts += ["<h2>From real numbers to integers</h2>", _layers(compiled.layers)]
    parts += [_notes(compiled)]
    if estimate is None:
        parts.append(
            '<p class="soft">No data was given, so nothing is said of energy and time.</p>'
        )
    else:
        parts += measured(estimate, float_accuracy)
    return page(title, parts)


def _verdict(verdict: Verdict) -> str:
    kind = "" if verdict.fits else " no"
    rows = [
        (load.limit, load.population, f"{load.have:,}", f"{load.allowed:,}", percent(load.share))
        for load in verdict.loads
    ]
    head = f'<p class="verdict{kind}">{html_text(verdict.line())}</p>'
    return head + html_table(("fullest core by", "layer", "have", "limit", "share"), rows)


def _layers(layers: tuple[LayerReport, ...]) -> str:
    rows = [
        (
            layer.population,
            layer.synapse,
            layer.program,
            f"{layer.n_neurons:,}",
            f"{layer.n_weights:,}",
            str(layer.vth),
            percent(layer.weight_rms),
            "yes" if layer.exact else f"no: {'; '.join(layer.why)}",
        )
        for layer in layers
    ]
    header = (
        "layer",
        "synapses",
        "neuron",
        "neurons",
        "weights",
        "vth",
        "weight error (rms)",
        "exact",
    )
    notes = [f"{layer.population}: {note}" for layer in layers for note in layer.notes]
    items = "".join(f"<li>{html_text(note)}</li>" for note in notes)
    return html_table(header, rows) + (f"<ul>{items}</ul>" if notes else "")


def _notes(compiled: Compiled) -> str:
    notes = compiled.model.notes
    if not notes:
        return ""
    items = "".join(f"<li>{html_text(f'{n.kind} {n.node}: {n.text}')}</li>" for n in notes)
    return f"<h2>What the import changed</h2><ul>{items}</ul>"
