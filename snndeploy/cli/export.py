"""`snndeploy export`: the network, or the model, as a file for other tools."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snndeploy.cli.options import (
    compile_options,
    is_bundle,
    open_deployed,
    open_model,
    output_options,
    path_type,
)
from snndeploy.cli.progress import progress_bar

if TYPE_CHECKING:
    from snndeploy.exporters.export import Format
    from snndeploy.inference import Deployed
    from snndeploy.model import Model
    from snndeploy.onnxgraph.network import Form


@click.command("export", short_help="Write an .onnx, .nir or lava-dl .net file.")
@click.argument("model", type=path_type(), metavar="MODEL|BUNDLE|NETWORK")
@click.option(
    "--format",
    "format_",
    type=click.Choice(("onnx", "nir", "netx")),
    required=True,
    help="onnx: the integer network, any tool runs it; nir: the model, or the network's weights "
    "as values; netx: a sequence for lava-dl.",
)
@click.option("-o", "--output", "out", type=path_type(), required=True, help="File to write.")
@click.option(
    "--form",
    type=click.Choice(("sequence", "step")),
    default="sequence",
    help="onnx: all steps of samples, or one step with states in and out; default: sequence.",
)
@click.option("--inline", is_flag=True, help="onnx: without functions, for tools without them.")
@click.option("--target", help="Chip a model is compiled for; default: loihi.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@compile_options
@output_options
def export_command(
    model: Path,
    format_: "Format",
    out: Path,
    form: "Form",
    target: str | None,
    *,
    inline: bool,
    force: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Write MODEL, BUNDLE or NETWORK for another tool; what was compared is said."""
    from snndeploy.bundle.publish import check_file
    from snndeploy.exporters.export import export
    from snndeploy.network_file import is_network
    from snndeploy.report.document import print_json
    from snndeploy.report.networks import exported_record, print_exported

    check_file(out, force=force)
    compiled = format_ != "nir" or is_bundle(model) or is_network(model)
    what: Model | Deployed = (
        open_deployed(model, target, chosen) if compiled else open_model(model, chosen)
    )
    with progress_bar("checking the file") as progress:
        exported = export(
            what, out, format_, form=form, inline=inline, force=force, progress=progress
        )
    if as_json:
        print_json(exported_record(exported))
    else:
        print_exported(exported)
