"""`snndeploy finetune`: train the weights of a model on labelled samples."""

from pathlib import Path
from typing import Any

import click

from snndeploy.cli.changed_model import change_options, new_file, open_to_change
from snndeploy.cli.options import DEFAULT_TARGET, input_bits_option, open_samples, path_type
from snndeploy.cli.progress import progress_bar


@click.command("finetune", short_help="Train a model's weights further, on labelled samples.")
@click.option("--data", type=path_type(), required=True, help="Samples to train on (.npz).")
@click.option("--validation", type=path_type(), help="Samples that choose the best epoch (.npz).")
@click.option("--epochs", default=10, show_default=True, help="Passes over the samples.")
@click.option(
    "--lr",
    "learning_rate",
    default=0.01,
    show_default=True,
    help="Adam's step, as a share of each layer's root mean square weight.",
)
@click.option("--batch", default=64, show_default=True, help="Samples per step.")
@click.option("--seed", default=0, show_default=True, help="Seed of the order of samples.")
@click.option(
    "--hold-out",
    default=0.1,
    show_default=True,
    help="Share of the samples that chooses the epoch, without --validation.",
)
@click.option(
    "--target", default=DEFAULT_TARGET, show_default=True, help="Chip of a quantized model."
)
@input_bits_option
@click.option(
    "--ste",
    type=click.Choice(("one", "rescaled", "masked")),
    default="one",
    show_default=True,
    help="Slope of a quantized weight: 1, 1 / gamma, or 1 within gamma.",
)
@change_options("tuned")
def finetune_command(
    model: Path,
    data: Path,
    validation: Path | None,
    out: Path | None,
    *,
    force: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Train MODEL further and write the best epoch; say what it reached before and after.

    A quantized model is trained as the integer network that compile makes of it.
    """
    from snndeploy.api import finetune
    from snndeploy.bundle.publish import write_file
    from snndeploy.frames import model_shapes
    from snndeploy.frontends.checkpoint import dump_model
    from snndeploy.report.document import print_json
    from snndeploy.report.training import print_tuning, tuning_record

    out = new_file(model, out, "tuned", force=force)
    opened, options = open_to_change(model, chosen)
    shapes = model_shapes(opened)
    samples = open_samples(data, shapes)
    judges = open_samples(validation, shapes) if validation else None
    with progress_bar("fine-tuning") as progress:
        tuned = finetune(opened, samples, validation=judges, progress=progress, **options)
    write_file(out, dump_model(tuned.model))
    if as_json:
        print_json(tuning_record(tuned.report, out))
    else:
        print_tuning(tuned.report, out)
