"""`snndeploy estimate`: energy, time, activity and what papers report, for one chip or several."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snndeploy.cli.amounts import parse_battery, parse_power, parse_rate
from snndeploy.cli.options import (
    DEFAULT_TARGET,
    check_trace,
    compile_options,
    data_options,
    is_bundle,
    open_bundle,
    open_deployed,
    open_samples,
    output_options,
    path_type,
    trace_options,
    write_trace,
)
from snndeploy.cli.progress import progress_bar
from snndeploy.errors import UsageError

if TYPE_CHECKING:
    from snndeploy.duty import Use
    from snndeploy.energy import Level
    from snndeploy.estimation import Estimate
    from snndeploy.measured import Measured
    from snndeploy.target import PricedChip

LEVELS = ("bound", "queue", "flit")
"""As in `snndeploy.energy`, which takes long to import."""


def use_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add how the chip is used: rate, surroundings, battery."""
    for decorate in (
        click.option("--battery", metavar="ENERGY", help="Battery: 2.2Wh, or 1000mAh@3.7V."),
        click.option("--host-power", metavar="POWER", help="Power of the host, like 20mW."),
        click.option("--sensor-power", metavar="POWER", help="Power of the sensor, like 5mW."),
        click.option("--rate", metavar="RATE", help="Samples: 10/s, 10Hz, 10/min; average power."),
    ):
        command = decorate(command)
    return command


def file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the files that a report can be written to."""
    for decorate in (
        click.option("--force", is_flag=True, help="Replace files that are there."),
        click.option("--html", type=path_type(), help="Write the report with pictures."),
        click.option("--latex", type=path_type(), help="Write tables and methods for a paper."),
        click.option("--csv", type=path_type(), help="Write every number as CSV."),
    ):
        command = decorate(command)
    return command


@click.command("estimate", short_help="Energy, latency and spikes, measured on data.")
@click.argument("model", type=path_type(), metavar="MODEL|BUNDLE|NETWORK")
@click.option("--target", "targets", help="Chip, or several chips: T[,T2…]; default: loihi.")
@click.option("--data", type=path_type(), help="Samples that the network is measured on (.npz).")
@click.option(
    "--timing",
    type=click.Choice(LEVELS),
    default="bound",
    help="Time of the network on the chip: bound (what cores and links must do), queue (messages "
    "wait in FIFOs) or flit (cycle by cycle, slow); default: bound.",
)
@trace_options
@click.option(
    "--prices",
    default="",
    help="Price table, or several: NAME[,NAME2…], with the latencies of that name; "
    "`snndeploy targets CHIP` lists a chip's.",
)
@use_options
@file_options
@data_options
@compile_options
@output_options
def estimate_command(
    model: Path,
    targets: str | None,
    data: Path | None,
    timing: "Level",
    trace: Path | None,
    prices: str,
    *,
    threads: int,
    force: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Simulate samples and price what happened; without data there is no estimate.

    Chips that are priced only get the counts of the first chip in the list whose arithmetic is
    modelled, else those of loihi2 (of the bundle's own chip for a bundle).
    """
    from snndeploy.report.document import print_json
    from snndeploy.report.record import estimate_record
    from snndeploy.report.terminal import print_estimates

    if data is None:
        raise UsageError(
            "E5006",
            "energy and latency depend on the spikes; there is no default spike rate",
            where="--data",
            remedy="give samples with --data X.npz",
        )
    use = _use(chosen)
    files = {kind: chosen.pop(kind) for kind in ("csv", "latex", "html")}
    _check_files(files, force=force)
    names = split_names(targets or "")
    if trace is not None and len(names) > 1:
        raise UsageError(
            "E5063",
            f"one file, {len(names)} chips",
            where="--trace",
            remedy="give one --target, and estimate the others by themselves",
        )
    neurons = check_trace(trace, chosen.pop("chosen"), force=force)
    simulating = {"timing": timing, "threads": threads, "trace": neurons}
    estimates = _estimates(model, data, names, split_names(prices), simulating, use, chosen)
    write_trace(trace, estimates[0].trace)
    written = _write(estimates, files, model.name)
    if as_json:
        print_json({"estimates": [estimate_record(estimate) for estimate in estimates]})
        return
    print_estimates(estimates)
    for path in written:
        click.echo(f"wrote {path}")


def split_names(text: str) -> list[str]:
    """Return the names of a comma-separated list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _use(chosen: dict[str, Any]) -> "Use | None":
    """Take how the chip is used out of the chosen options."""
    from snndeploy.duty import use_of

    rate, battery = chosen.pop("rate"), chosen.pop("battery")
    sensor, host = chosen.pop("sensor_power"), chosen.pop("host_power")
    return use_of(
        None if rate is None else parse_rate(rate),
        sensor_w=None if sensor is None else parse_power(sensor, "--sensor-power"),
        host_w=None if host is None else parse_power(host, "--host-power"),
        battery_j=None if battery is None else parse_battery(battery),
    )


def _check_files(files: dict[str, Path | None], *, force: bool) -> None:
    """Refuse files that cannot be written before any work is done.

    Raises:
        UsageError: E5003 one exists, E5004 one cannot be written, E5070 two are the same.
    """
    from snndeploy.bundle.publish import check_file

    paths = [path for path in files.values() if path is not None]
    if len({path.absolute() for path in paths}) < len(paths):
        raise UsageError(
            "E5070", "two reports in one file", where="--csv, --latex, --html", remedy="name two"
        )
    for path in paths:
        check_file(path, force=force)


def _write(
    estimates: "Sequence[Estimate]", files: dict[str, Path | None], name: str
) -> tuple[Path, ...]:
    """Write the files that were asked for; all are rendered before the first is written."""
    from snndeploy.bundle.publish import write_file
    from snndeploy.report.html_estimate import render_estimates
    from snndeploy.report.latex import render_latex
    from snndeploy.report.spreadsheet import render_csv

    render: dict[str, Callable[[], str]] = {
        "csv": lambda: render_csv(estimates),
        "latex": lambda: render_latex(estimates),
        "html": lambda: render_estimates(estimates, name),
    }
    texts = {path: render[kind]() for kind, path in files.items() if path is not None}
    for path, text in texts.items():
        write_file(path, text.encode())
    return tuple(texts)


def _estimates(
    path: Path,
    data: Path,
    names: list[str],
    prices: list[str],
    simulating: dict[str, Any],
    use: "Use | None",
    chosen: dict[str, Any],
) -> "list[Estimate]":
    """Estimate chip by chip; those that are priced only take the counts of the first modelled one.

    Without a modelled chip among them, that is the bundle's own or the default one.
    """
    from snndeploy.estimation import estimate_of
    from snndeploy.repricing import assign_prices

    own = "" if is_bundle(path) else DEFAULT_TARGET
    names = names or [own]
    chips = {name: _chip(path, name) for name in names}
    tables = assign_prices([chips[name] for name in names], prices)
    modelled = [name for name in names if not chips[name].priced_only] or [own]
    runs = {
        name: _measure(path, data, name or None, tables, simulating, chosen) for name in modelled
    }
    estimates = []
    for name in names:
        chip = chips[name]
        if chip.priced_only:
            priced = chip.with_prices(tables.get(chip.name, chip.default_prices))
            estimates.append(estimate_of(runs[modelled[0]], chip=priced, use=use))
        else:
            estimates.append(estimate_of(runs[name], use=use))
    return estimates


def _chip(path: Path, name: str) -> "PricedChip":
    """Return the chip of a target by name; a bundle's own for an empty one."""
    from snndeploy.registry import find_any_target

    return find_any_target(name).chip if name else open_bundle(path).target.chip


def _measure(
    path: Path,
    data: Path,
    target: str | None,
    tables: dict[str, str],
    simulating: dict[str, Any],
    chosen: dict[str, Any],
) -> "Measured":
    from snndeploy.inference import Deployed, input_shapes
    from snndeploy.measured import measure
    from snndeploy.repricing import with_prices

    deployed: Deployed = open_deployed(path, target, chosen)
    chip = deployed.target.chip
    if chip.name in tables:
        deployed = with_prices(deployed, tables[chip.name])
    samples = open_samples(data, input_shapes(deployed))
    with progress_bar("simulating") as progress:
        return measure(deployed, samples, progress=progress, **simulating)
