"""`snndeploy prune`: remove the channels of a model that matter least."""

from pathlib import Path
from typing import Literal

import click

from snndeploy.cli.options import DEFAULT_TARGET, open_samples, output_options, path_type
from snndeploy.cli.progress import progress_bar
from snndeploy.errors import UsageError


@click.command("prune", short_help="Remove the channels of a model that matter least.")
@click.argument("model", type=path_type())
@click.option("--data", type=path_type(), help="Samples to score channels on (.npz).")
@click.option(
    "-o", "--output", "out", type=path_type(), help="Model; default: MODEL.pruned.pt here."
)
@click.option(
    "--criterion",
    default="svs",
    show_default=True,
    help="svs, svs_nuclear, effective_rank, rate, sca, l1, random or svs_inverted.",
)
@click.option("--ratio", help="Share to remove: 0.5, or by layer: conv1=0.3,conv2=0.5.")
@click.option(
    "--budget", help="Instead of a ratio: weights=0.5, synaptic_ops=0.5, cores=20, energy_j=1e-6."
)
@click.option(
    "--target", default=DEFAULT_TARGET, show_default=True, help="Chip that a budget is meant for."
)
@click.option("--seed", default=0, show_default=True, help="Seed of --criterion random.")
@click.option(
    "--n-scored",
    default=640,
    show_default=True,
    type=click.IntRange(min=1),
    help="Samples to score on.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Model steps per sample.")
@click.option("--semantics", help="PRESET[,key=value…]: how a .nir model's steps are taken.")
@click.option(
    "--values",
    type=click.Choice(("real", "spikes")),
    default="real",
    show_default=True,
    help="What the inputs of a .nir model carry.",
)
@click.option(
    "--input-range", type=(float, float), metavar="LOW HIGH", help="Input values of a .nir model."
)
@click.option("--force", is_flag=True, help="Replace an existing output.")
@output_options
def prune_command(
    model: Path,
    data: Path | None,
    out: Path | None,
    criterion: str,
    ratio: str | None,
    budget: str | None,
    target: str,
    seed: int,
    n_scored: int,
    steps: int | None,
    semantics: str | None,
    values: Literal["real", "spikes"],
    input_range: tuple[float, float] | None,
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Prune MODEL and write what is left; say what every layer lost."""
    from snndeploy.api import load, prune
    from snndeploy.bundle.publish import check_file, write_file
    from snndeploy.frames import model_shapes
    from snndeploy.frontends.checkpoint import dump_model
    from snndeploy.report.document import print_json
    from snndeploy.report.pruning import print_pruning, pruning_record

    out = out or Path(f"{model.stem}.pruned.pt")
    if out.suffix != ".pt":
        raise UsageError("E5020", f"{out.name!r} is no .pt file", where="-o", remedy="use NAME.pt")
    check_file(out, force=force)
    shares = None if ratio is None else _shares(ratio)
    limit = None if budget is None else _named(budget, "E5094", "--budget")
    opened = load(model, semantics=semantics, values=values, input_range=input_range)
    with progress_bar("pruning") as progress:
        pruned = prune(
            opened,
            open_samples(data, model_shapes(opened)) if data else None,
            criterion=criterion,
            ratio=shares,
            budget=limit,
            target=target,
            seed=seed,
            n_scored=n_scored,
            steps=steps,
            progress=progress,
        )
    write_file(out, dump_model(pruned.model))
    if as_json:
        print_json(pruning_record(pruned.report, out))
    else:
        print_pruning(pruned.report, out)


def _shares(text: str) -> float | dict[str, float]:
    """Return one share, or shares by layer."""
    try:
        return float(text)
    except ValueError:
        return _named(text, "E5090", "--ratio")


def _named(text: str, code: str, where: str) -> dict[str, float]:
    """Return what `name=number[,name=number…]` says.

    Raises:
        UsageError: of this code, it says something else.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.strip().rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = None
        if not name or value is None or name in found:
            raise UsageError(
                code, f"{part!r} in {text!r}", where=where, remedy="write NAME=NUMBER, each once"
            )
        found[name] = value
    return found
