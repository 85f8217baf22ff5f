"""`snndeploy ablate`: a study of compressions, run to its end whatever is killed on the way."""

from pathlib import Path

import click

from snndeploy.cli.options import output_options, path_type
from snndeploy.cli.study_progress import study_progress
from snndeploy.errors import EXIT_INCOMPLETE, EXIT_OK

ENGINES = ("serial", "process", "ray")
"""As in `snndeploy.ablation.engines.choose`."""


@click.command("ablate", short_help="A study: accuracy, energy and size of many compressions.")
@click.argument("study", type=path_type(), metavar="STUDY.toml")
@click.option("-o", "--output", "out", type=path_type(), help="Folder; default: NAME.study here.")
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="process",
    show_default=True,
    help="serial: in this process; process: one worker process per core; ray: a cluster.",
)
@click.option("--workers", type=int, help="Trials at once; default: one per core.")
@click.option("--resume", is_flag=True, help="Go on with the trials that are there.")
@click.option("--budget", metavar="TIME", help="Stop after so long (90s, 20min, 2h).")
@click.option("--quick", is_flag=True, help="Cut the study down as its table [quick] says.")
@click.option("--ray-address", default="", help="A Ray cluster's; default: start one on loopback.")
@click.option(
    "--storage", default="", help="Optuna's storage for a search; default: a journal in the folder."
)
@output_options
def ablate_command(
    study: Path,
    out: Path | None,
    engine: str,
    workers: int | None,
    budget: str | None,
    ray_address: str,
    storage: str,
    *,
    resume: bool,
    quick: bool,
    as_json: bool,
) -> int:
    """Run every trial of STUDY.toml once; write CSV, JSON and an HTML page (exit 6: incomplete)."""
    from snndeploy.ablation.ablate import Options, ablate
    from snndeploy.ablation.duration import seconds_of
    from snndeploy.ablation.results import results_record
    from snndeploy.ablation.study_file import read_study
    from snndeploy.ablation.terminal import print_study
    from snndeploy.report.document import print_json

    options = Options(
        engine=engine,
        workers=workers,
        resume=resume,
        budget_s=seconds_of(budget, "--budget") if budget is not None else None,
        ray=ray_address,
        storage=storage,
    )
    read = read_study(study, quick=quick)
    folder = out or Path(f"{read.name}.study")
    try:
        with study_progress() as watch:
            results = ablate(read, folder, options, watch=watch)
    except KeyboardInterrupt:
        left = f"interrupted; finished trials are in {folder}, go on with --resume"
        raise KeyboardInterrupt(left) from None
    if as_json:
        print_json(results_record(results))
    else:
        print_study(results, folder)
    return EXIT_OK if results.is_complete else EXIT_INCOMPLETE
