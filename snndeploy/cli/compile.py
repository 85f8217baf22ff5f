"""`snndeploy compile`: a bundle and the verdict whether it fits."""

from pathlib import Path
from typing import Any

import click

from snndeploy.cli.options import (
    DEFAULT_TARGET,
    compile_options,
    open_model,
    open_samples,
    options_from,
    output_options,
    path_type,
    threads_option,
)
from snndeploy.cli.progress import progress_bar
from snndeploy.errors import EXIT_OK, CapacityError


@click.command("compile", short_help="Compile a model: a bundle and the verdict.")
@click.argument("model", type=path_type())
@click.option("--target", default=DEFAULT_TARGET, show_default=True, help="Chip to compile for.")
@click.option("--data", type=path_type(), help="Samples: adds energy, latency and accuracy (.npz).")
@click.option("-o", "--output", "out", type=path_type(), help="Folder; default: MODEL.TARGET here.")
@click.option("--force", is_flag=True, help="Replace an existing bundle.")
@threads_option
@compile_options
@output_options
def compile_command(
    model: Path,
    target: str,
    data: Path | None,
    out: Path | None,
    *,
    threads: int,
    force: bool,
    as_json: bool,
    **chosen: Any,
) -> int:
    """Compile MODEL; write a bundle if it fits, else say what does not (exit 5)."""
    from snndeploy.bundle.write import check_output
    from snndeploy.deploy import deploy
    from snndeploy.frames import model_shapes
    from snndeploy.registry import find_target
    from snndeploy.report.document import print_json
    from snndeploy.report.record import deployment_record
    from snndeploy.report.terminal import print_deployment

    chip = find_target(target)
    out = out or Path(f"{model.stem}.{chip.name}")
    check_output(out, force=force)
    opened = open_model(model, chosen)
    samples = open_samples(data, model_shapes(opened)) if data else None
    with progress_bar("simulating") as progress:
        deployment = deploy(
            opened, chip, options_from(chosen), out, samples=samples, force=force,
            threads=threads, progress=progress,
        )  # fmt: skip
    if as_json:
        print_json(deployment_record(deployment))
    else:
        print_deployment(deployment)
    if not deployment.verdict.fits:
        error = CapacityError(chip.name, deployment.verdict.violations)
        click.echo(error.line(), err=True)
        return error.exit_code
    return EXIT_OK
