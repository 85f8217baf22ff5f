"""`snndeploy quantize`: put the weights of a model on a grid of a few bits."""

from pathlib import Path
from typing import Any

import click

from snndeploy.cli.changed_model import change_options, new_file, open_to_change
from snndeploy.cli.options import DEFAULT_TARGET, input_bits_option, open_samples, path_type


class Bits(click.ParamType):  # type: ignore[type-arg]  # generic in some versions only
    """Bits of all layers, or per layer: `4` or `conv1=8,fc=4`."""

    name = "N|LAYER=N[,…]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | dict[str, int]:
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]  # the default
        if value.isdecimal():
            return int(value)
        found = {}
        for part in value.split(","):
            layer, _, bits = part.strip().rpartition("=")
            if not layer or not bits.isdecimal() or layer in found:
                self.fail(f"{part!r} is not LAYER=BITS, each layer once", param, ctx)
            found[layer] = int(bits)
        return found


@click.command("quantize", short_help="Put a model's weights on a grid of a few bits.")
@click.option("--bits", type=Bits(), default=8, show_default=True, help="Per weight, or per layer.")
@click.option(
    "--gamma",
    type=click.Choice(("mse", "max", "percentile", "mean", "vanilla")),
    default="mse",
    show_default=True,
    help="Clip point: least squared error, largest, percentile, mean magnitude, or 1.",
)
@click.option("--percentile", default=0.99, show_default=True, help="Of --gamma percentile.")
@click.option(
    "--granularity",
    type=click.Choice(("tensor", "channel")),
    default="tensor",
    show_default=True,
    help="One step per layer, or per output channel (neurons in microcode).",
)
@click.option(
    "--grid",
    type=click.Choice(("chip", "odd")),
    default="chip",
    show_default=True,
    help="The chip's own weights, or odd codes without zero.",
)
@click.option("--first-bits", type=int, help="Of the first layer; 32 leaves it as it is.")
@click.option("--last-bits", type=int, help="Of the last layer; 32 leaves it as it is.")
@click.option("--target", default=DEFAULT_TARGET, show_default=True, help="Chip.")
@click.option("--data", type=path_type(), help="Labelled samples to compare accuracies on (.npz).")
@input_bits_option
@change_options("quantized")
def quantize_command(
    model: Path,
    out: Path | None,
    data: Path | None,
    *,
    force: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Quantize the weights of MODEL for a chip; compile and finetune keep them on their grid."""
    from snndeploy.api import quantize
    from snndeploy.bundle.publish import write_file
    from snndeploy.frames import model_shapes
    from snndeploy.frontends.checkpoint import dump_model
    from snndeploy.frontends.nir_file import write
    from snndeploy.report.document import print_json
    from snndeploy.report.quantization import print_quantized, quantized_record

    out = new_file(model, out, "quantized", force=force, suffixes=(".pt", ".nir"))
    opened, options = open_to_change(model, chosen)
    samples = open_samples(data, model_shapes(opened)) if data else None
    quantized = quantize(opened, data=samples, **options)
    if out.suffix == ".nir":
        write(quantized.model, out)
    else:
        write_file(out, dump_model(quantized.model))
    if as_json:
        print_json(quantized_record(quantized, out))
    else:
        print_quantized(quantized, out)
