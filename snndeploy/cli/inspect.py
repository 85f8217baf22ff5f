"""`snndeploy inspect`: what was imported and changed; stops at any stage and prints it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from snndeploy.cli.options import (
    DEFAULT_TARGET,
    check_same_target,
    compile_for,
    compile_options,
    is_bundle,
    open_bundle,
    open_model,
    open_network_file,
    output_options,
    path_type,
    refuse_compile_options,
)
from snndeploy.errors import UsageError


@click.command("inspect", short_help="What is in a model or bundle; print any stage.")
@click.argument("model", type=path_type(), metavar="MODEL|BUNDLE|NETWORK")
@click.option(
    "--emit", type=click.Choice(("nir", "network", "placement")), help="Print one stage and stop."
)
@click.option("--target", help="Chip a model is compiled for; default: loihi.")
@click.option("--svg", type=path_type(), help="Also draw the graph of MODEL into this file.")
@click.option("--force", is_flag=True, help="Replace an existing drawing.")
@compile_options
@output_options
def inspect_command(
    model: Path,
    emit: str | None,
    target: str | None,
    svg: Path | None,
    *,
    force: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Say what is in MODEL, BUNDLE or NETWORK: every layer, and who said how it steps."""
    from snndeploy.network_file import is_network

    if svg is not None:
        _draw(model, svg, chosen, force=force)
    if is_bundle(model):
        refuse_compile_options()
        _inspect_bundle(model, emit, target, as_json=as_json)
    elif is_network(model):
        _inspect_network(model, emit, target, as_json=as_json)
    elif emit in ("network", "placement"):
        compiled = compile_for(open_model(model, chosen), target or DEFAULT_TARGET, chosen)
        _emit(compiled, emit, as_json=as_json)
    else:
        _inspect_model(model, emit, target or DEFAULT_TARGET, chosen, as_json=as_json)


def _draw(model: Path, svg: Path, chosen: dict[str, Any], *, force: bool) -> None:
    from snndeploy.bundle.publish import check_file, write_file
    from snndeploy.report.graph_svg import draw_graph

    if is_bundle(model):
        raise UsageError(
            "E5021", "a bundle holds integers, not the graph", where="--svg",
            remedy="give the model",
        )  # fmt: skip
    check_file(svg, force=force)
    write_file(svg, draw_graph(open_model(model, chosen)).encode())


def _inspect_bundle(path: Path, emit: str | None, target: str | None, *, as_json: bool) -> None:
    from snndeploy.report.record import bundle_record
    from snndeploy.report.terminal import print_bundle

    bundle = open_bundle(path)
    check_same_target(bundle, target)
    _show(bundle, "a bundle", emit, bundle_record, print_bundle, as_json=as_json)


def _inspect_network(path: Path, emit: str | None, target: str | None, *, as_json: bool) -> None:
    from snndeploy.report.networks import network_record, print_network_file

    opened = open_network_file(path, target)
    _show(opened, "a network", emit, network_record, print_network_file, as_json=as_json)


def _show(
    deployed: Any,
    what: str,
    emit: str | None,
    record: Callable[[Any], dict[str, Any]],
    show: Callable[[Any], None],
    *,
    as_json: bool,
) -> None:
    """Print a stage of what is compiled already, or all about it."""
    from snndeploy.report.document import print_json

    if emit == "nir":
        raise UsageError(
            "E5021", f"{what} holds integers, not the NIR graph", where="--emit",
            remedy="give the model, or --emit network",
        )  # fmt: skip
    if emit:
        _emit(deployed, emit, as_json=as_json)
    elif as_json:
        print_json(record(deployed))
    else:
        show(deployed)


def _inspect_model(
    path: Path, emit: str | None, target: str, chosen: dict[str, Any], *, as_json: bool
) -> None:
    from snndeploy.errors import SnnDeployError
    from snndeploy.registry import find_any_target
    from snndeploy.report.document import print_json
    from snndeploy.report.imports import import_record, import_report
    from snndeploy.report.models import model_record, print_graph, print_import, print_model

    find_any_target(target)
    model = open_model(path, chosen)
    if emit:
        print_json(model_record(model)) if as_json else print_graph(model)
        return
    compiled: Any
    try:
        compiled = compile_for(model, target, chosen).layers
    except SnnDeployError as error:
        compiled = error
    report = import_report(model, compiled)
    if as_json:
        print_json({**model_record(model), "target": target, "import": import_record(report)})
        return
    print_model(model)
    print_import(report, target)


def _emit(deployed: Any, stage: str, *, as_json: bool) -> None:
    """Print the network as text, in JSON if asked to, or the placement, which is JSON."""
    from snndeploy.bundle.placement_file import dump_placement
    from snndeploy.errors import CapacityError
    from snndeploy.ir.text import print_network
    from snndeploy.report.document import print_json

    if stage == "network":
        text, _ = print_network(deployed.network)
        print_json({"network": text}) if as_json else click.echo(text, nl=False)
        return
    if deployed.placement is None:
        raise CapacityError(deployed.target.name, deployed.violations)
    click.echo(dump_placement(deployed.placement).decode(), nl=False)
