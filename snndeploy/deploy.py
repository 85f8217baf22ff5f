"""What `snndeploy compile` does: compile, judge, measure if there is data, write the bundle."""

from pathlib import Path

from snndeploy.bundle import write_bundle
from snndeploy.deployment import Deployment
from snndeploy.estimation import estimate
from snndeploy.inference import run_model
from snndeploy.model import Model
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.report.html import render_html
from snndeploy.samples import Samples
from snndeploy.target import Progress, Target, no_progress
from snndeploy.verdict import judge

REPORT = "report.html"


def deploy(
    model: Model,
    target: Target,
    options: CompileOptions,
    out: Path,
    *,
    samples: Samples | None = None,
    force: bool = False,
    threads: int = 1,
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
        threads: of the simulator.
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
    measured = estimate(compiled, samples, threads=threads, progress=progress) if samples else None
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
