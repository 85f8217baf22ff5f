"""`snndeploy estimate`: energy, latency and spikes per layer, for one chip or several."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snndeploy.cli.options import (
    DEFAULT_TARGET,
    compile_options,
    data_options,
    is_bundle,
    open_deployed,
    open_samples,
    output_options,
    path_type,
)
from snndeploy.cli.progress import progress_bar
from snndeploy.errors import UsageError

if TYPE_CHECKING:
    from snndeploy.energy import Level
    from snndeploy.estimation import Estimate

LEVELS = ("bound", "queue", "flit")
"""As in `snndeploy.energy`, which takes long to import."""


@click.command("estimate", short_help="Energy, latency and spikes, measured on data.")
@click.argument("model", type=path_type(), metavar="MODEL|BUNDLE")
@click.option("--target", "targets", help="Chip, or several chips: T[,T2…]; default: loihi.")
@click.option("--data", type=path_type(), help="Samples that the network is measured on (.npz).")
@click.option(
    "--timing",
    type=click.Choice(LEVELS),
    default="bound",
    help="Time of the network on the chip: bound (what cores and links must do), queue (messages "
    "wait in FIFOs) or flit (cycle by cycle, slow); default: bound.",
)
@data_options
@compile_options
@output_options
def estimate_command(
    model: Path,
    targets: str | None,
    data: Path | None,
    timing: "Level",
    *,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Simulate samples and price what happened; without data there is no estimate."""
    from snndeploy.report.document import print_json
    from snndeploy.report.record import estimate_record
    from snndeploy.report.terminal import print_estimates

    if data is None:
        raise UsageError(
            "E5006",
            "energy and latency depend on the spikes; no rate is assumed",
            where="--data",
            remedy="give samples with --data X.npz",
        )
    names = [name.strip() for name in (targets or "").split(",") if name.strip()]
    if not names:
        names = [""] if is_bundle(model) else [DEFAULT_TARGET]
    estimates = [_estimate(model, data, name or None, timing, chosen) for name in names]
    if as_json:
        print_json({"estimates": [estimate_record(estimate) for estimate in estimates]})
    else:
        print_estimates(estimates)


def _estimate(
    path: Path, data: Path, target: str | None, timing: "Level", chosen: dict[str, Any]
) -> "Estimate":
    from snndeploy.estimation import estimate
    from snndeploy.inference import input_shapes

    deployed = open_deployed(path, target, chosen)
    samples = open_samples(data, input_shapes(deployed))
    with progress_bar("simulating") as progress:
        return estimate(deployed, samples, timing=timing, progress=progress)
