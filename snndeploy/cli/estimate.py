"""`snndeploy estimate`: energy, latency and spikes per layer, for one chip or several."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snndeploy.cli.options import (
    DEFAULT_TARGET,
    compile_options,
    is_bundle,
    open_bundle,
    open_deployed,
    open_samples,
    output_options,
    path_type,
)
from snndeploy.cli.progress import progress_bar
from snndeploy.errors import UsageError

if TYPE_CHECKING:
    from snndeploy.energy import EventCounts, Level
    from snndeploy.estimation import Estimate
    from snndeploy.repricing import PricedRun
    from snndeploy.target import PricedChip

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
@click.option(
    "--prices",
    default="",
    help="Price table, or several: NAME[,NAME2…], with the latencies of that name; "
    "`snndeploy targets CHIP` lists a chip's.",
)
@compile_options
@output_options
def estimate_command(
    model: Path,
    targets: str | None,
    data: Path | None,
    timing: "Level",
    prices: str,
    *,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Simulate samples and price what happened; without data there is no estimate.

    Chips that are priced only get the counts of the first chip in the list whose arithmetic is
    modelled, else those of loihi2 (of the bundle's own chip for a bundle).
    """
    from snndeploy.report.document import print_json
    from snndeploy.report.priced import priced_record, print_priced
    from snndeploy.report.record import estimate_record
    from snndeploy.report.terminal import print_estimates

    if data is None:
        raise UsageError(
            "E5006",
            "energy and latency depend on the spikes; no rate is assumed",
            where="--data",
            remedy="give samples with --data X.npz",
        )
    own = "" if is_bundle(model) else DEFAULT_TARGET
    names = split_names(targets or "") or [own]
    estimates, priced = _estimate_all(model, data, names, split_names(prices), timing, chosen)
    if as_json:
        print_json(
            {
                "estimates": [estimate_record(estimate) for estimate in estimates],
                "priced": [priced_record(run) for run in priced],
            }
        )
        return
    if estimates:
        print_estimates(estimates)
    print_priced(priced)


def split_names(text: str) -> list[str]:
    """Return the names of a comma-separated list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _estimate_all(
    path: Path,
    data: Path,
    names: list[str],
    prices: list[str],
    timing: "Level",
    chosen: dict[str, Any],
) -> "tuple[list[Estimate], list[PricedRun]]":
    """Estimate on every modelled chip, then price the first one's counts on the others."""
    from snndeploy.repricing import assign_prices, price_run

    chips = {name: _chip(path, name) for name in names}
    modelled = [name for name in names if not chips[name].priced_only]
    own = "" if is_bundle(path) else DEFAULT_TARGET
    basis = modelled[0] if modelled else own
    tables = assign_prices([chips[name] for name in names], prices)
    counts: list[EventCounts] = []
    estimates = [
        _estimate(path, data, name or None, tables, timing, chosen, counts)
        for name in (modelled or [basis])
    ]
    basis_name = estimates[0].target
    runs = []
    for chip in (chips[name] for name in names if chips[name].priced_only):
        table = tables.get(chip.name, chip.default_prices)
        runs.append(price_run(counts[0], chip.with_prices(table), counts_from=basis_name))
    return (estimates if modelled else []), runs


def _chip(path: Path, name: str) -> "PricedChip":
    """Return the chip of a target by name; a bundle's own for an empty one."""
    from snndeploy.registry import find_any_target

    return find_any_target(name).chip if name else open_bundle(path).target.chip


def _estimate(
    path: Path,
    data: Path,
    target: str | None,
    tables: dict[str, str],
    timing: "Level",
    chosen: dict[str, Any],
    counts: "list[EventCounts]",
) -> "Estimate":
    """Estimate on one chip; append the counts of its run."""
    from snndeploy.estimation import estimate
    from snndeploy.inference import Deployed, input_shapes
    from snndeploy.repricing import with_prices

    deployed: Deployed = open_deployed(path, target, chosen)
    chip = deployed.target.chip
    if chip.name in tables:
        deployed = with_prices(deployed, tables[chip.name])
    samples = open_samples(data, input_shapes(deployed))
    with progress_bar("simulating") as progress:
        return estimate(deployed, samples, timing=timing, progress=progress, counted=counts.append)
