"""`snndeploy prune`: remove the channels of a model that matter least."""

from pathlib import Path
from typing import Any

import click

from snndeploy.cli.changed_model import change_options, new_file, open_to_change
from snndeploy.cli.options import DEFAULT_TARGET, open_samples, path_type
from snndeploy.cli.progress import progress_bar
from snndeploy.errors import UsageError


@click.command("prune", short_help="Remove the channels of a model that matter least.")
@click.option("--data", type=path_type(), help="Samples to score channels on (.npz).")
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
@change_options("pruned")
def prune_command(
    model: Path,
    data: Path | None,
    out: Path | None,
    ratio: str | None,
    budget: str | None,
    *,
    force: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Prune MODEL and write what is left; say what every layer lost."""
    from snndeploy.api import prune
    from snndeploy.bundle.publish import write_file
    from snndeploy.frames import model_shapes
    from snndeploy.frontends.checkpoint import dump_model
    from snndeploy.report.document import print_json
    from snndeploy.report.pruning import print_pruning, pruning_record

    out = new_file(model, out, "pruned", force=force)
    shares = None if ratio is None else _shares(ratio)
    limit = None if budget is None else _named(budget, "E5094", "--budget")
    opened, options = open_to_change(model, chosen)
    samples = open_samples(data, model_shapes(opened)) if data else None
    with progress_bar("pruning") as progress:
        pruned = prune(opened, samples, ratio=shares, budget=limit, progress=progress, **options)
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
