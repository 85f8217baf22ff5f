"""What `snndeploy compile` does: compile, judge, measure if there is data, write the bundle."""

from dataclasses import dataclass
from pathlib import Path

from snndeploy.bundle import Bundle, write_bundle
from snndeploy.estimation import Estimate, estimate
from snndeploy.inference import run_model
from snndeploy.model import Model
from snndeploy.pipeline import Compiled, CompileOptions, compile_model
from snndeploy.report.html import render_html
from snndeploy.samples import Samples
from snndeploy.target import Progress, Target, no_progress
from snndeploy.verdict import Verdict, judge

REPORT = "report.html"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Deployment:
    """What was compiled, found and written.

    Attributes:
        estimate: what was measured, None without data or if it does not fit.
        float_accuracy: of the float model on the same data; None without labels.
        bundle: what was written, None if it does not fit.
    """

    compiled: Compiled
    verdict: Verdict
    estimate: Estimate | None
    float_accuracy: float | None
    bundle: Bundle | None


def deploy(
    model: Model,
    target: Target,
    options: CompileOptions,
    out: Path,
    *,
    samples: Samples | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> Deployment:
    """Compile a model and, if it fits, write its bundle with a report in it.

    Args:
        model: trained model.
        target: chip.
        options: what the user chose.
        out: folder of the bundle.
        samples: data to measure energy, latency and accuracy on, and to probe with.
        force: replace the bundle that is there.
        progress: called while samples are simulated.

    Raises:
        UnsupportedError: a construct that cannot be deployed exactly.
        UsageError: E5003 `out` exists, E5004 it cannot be written.
    """
    compiled = compile_model(model, target, options)
    verdict = judge(target.chip, compiled.placement, compiled.violations)
    if not verdict.fits:
        return Deployment(
            compiled=compiled, verdict=verdict, estimate=None, float_accuracy=None, bundle=None
        )
    measured = estimate(compiled, samples, progress=progress) if samples else None
    accuracy = None
    if samples is not None and samples.label is not None:
        accuracy = run_model(model, samples, steps=options.steps).accuracy
    report = render_html(compiled, verdict, measured, float_accuracy=accuracy)
    bundle = write_bundle(
        compiled, out, samples=samples, extra={REPORT: report.encode()}, force=force
    )
    return Deployment(
        compiled=compiled,
        verdict=verdict,
        estimate=measured,
        float_accuracy=accuracy,
        bundle=bundle,
    )
