"""`snndeploy inspect`: what was imported and changed; stops at any stage and prints it."""

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
@compile_options
@output_options
def inspect_command(
    model: Path, emit: str | None, target: str | None, *, as_json: bool, **chosen: Any
) -> None:
    """Say what is in MODEL, BUNDLE or NETWORK."""
    from snndeploy.network_file import is_network

    if is_bundle(model):
        refuse_compile_options()
        _inspect_bundle(model, emit, target, as_json=as_json)
    elif is_network(model):
        _inspect_network(model, emit, target, as_json=as_json)
    elif emit in ("network", "placement"):
        _emit(
            compile_for(open_model(model, chosen), target or DEFAULT_TARGET, chosen),
            emit,
        )
    else:
        _inspect_model(model, emit, chosen, as_json=as_json)


def _inspect_bundle(path: Path, emit: str | None, target: str | None, *, as_json: bool) -> None:
    from snndeploy.report.document import print_json
    from snndeploy.report.record import bundle_record
    from snndeploy.report.terminal import print_bundle

    bundle = open_bundle(path)
    check_same_target(bundle, target)
    if emit == "nir":
        raise UsageError(
            "E5021",
            "a bundle holds integers, not the NIR graph",
            where="--emit",
            remedy="give the model, or --emit network",
        )
    if emit:
        _emit(bundle, emit)
    elif as_json:
        print_json(bundle_record(bundle))
    else:
        print_bundle(bundle)


def _inspect_network(path: Path, emit: str | None, target: str | None, *, as_json: bool) -> None:
    from snndeploy.report.document import print_json
    from snndeploy.report.networks import network_record, print_network_file

    opened = open_network_file(path, target)
    if emit == "nir":
        raise UsageError(
            "E5021",
            "a network holds integers, not the NIR graph",
            where="--emit",
            remedy="give the model, or --emit network",
        )
    if emit:
        _emit(opened, emit)
    elif as_json:
        print_json(network_record(opened))
    else:
        print_network_file(opened)


def _inspect_model(path: Path, emit: str | None, chosen: dict[str, Any], *, as_json: bool) -> None:
    from snndeploy.report.document import print_json
    from snndeploy.report.models import model_record, print_graph, print_model

    model = open_model(path, chosen)
    if as_json:
        print_json(model_record(model))
    elif emit:
        print_graph(model)
    else:
        print_model(model)


def _emit(deployed: Any, stage: str) -> None:
    """Print the network as text, or the placement as JSON."""
    from snndeploy.bundle.placement_file import dump_placement
    from snndeploy.errors import CapacityError
    from snndeploy.ir.text import print_network

    if stage == "network":
        click.echo(print_network(deployed.network)[0], nl=False)
        return
    if deployed.placement is None:
        raise CapacityError(deployed.target.name, deployed.violations)
    click.echo(dump_placement(deployed.placement).decode(), nl=False)
