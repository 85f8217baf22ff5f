"""`snndeploy finetune`: train the weights of a model on labelled samples."""

from pathlib import Path
from typing import Literal

import click

from snndeploy.cli.options import (
    DEFAULT_TARGET,
    data_options,
    open_samples,
    output_options,
    path_type,
)
from snndeploy.cli.progress import progress_bar
from snndeploy.errors import UsageError


@click.command("finetune", short_help="Train a model's weights further, on labelled samples.")
@click.argument("model", type=path_type())
@click.option("--data", type=path_type(), required=True, help="Samples to train on (.npz).")
@click.option("--validation", type=path_type(), help="Samples that choose the best epoch (.npz).")
@click.option(
    "-o", "--output", "out", type=path_type(), help="Model; default: MODEL.tuned.pt here."
)
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
@click.option(
    "--input-bits",
    type=click.IntRange(2, 16),
    default=8,
    show_default=True,
    help="Bits of a quantized model's graded input.",
)
@click.option(
    "--ste",
    type=click.Choice(("one", "rescaled", "masked")),
    default="one",
    show_default=True,
    help="Slope of a quantized weight: 1, 1 / gamma, or 1 within gamma.",
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
@data_options
@output_options
def finetune_command(
    model: Path,
    data: Path,
    validation: Path | None,
    out: Path | None,
    epochs: int,
    learning_rate: float,
    batch: int,
    seed: int,
    hold_out: float,
    target: str,
    input_bits: int,
    ste: str,
    steps: int | None,
    semantics: str | None,
    values: Literal["real", "spikes"],
    input_range: tuple[float, float] | None,
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Train MODEL further and write the best epoch; say what it reached before and after.

    A quantized model is trained as the integer network that compile makes of it.
    """
    from snndeploy.api import finetune, load
    from snndeploy.bundle.publish import check_file, write_file
    from snndeploy.frames import model_shapes
    from snndeploy.frontends.checkpoint import dump_model
    from snndeploy.report.document import print_json
    from snndeploy.report.training import print_tuning, tuning_record

    out = out or Path(f"{model.stem}.tuned.pt")
    if out.suffix != ".pt":
        raise UsageError("E5020", f"{out.name!r} is no .pt file", where="-o", remedy="use NAME.pt")
    check_file(out, force=force)
    opened = load(model, semantics=semantics, values=values, input_range=input_range)
    shapes = model_shapes(opened)
    with progress_bar("fine-tuning") as progress:
        tuned = finetune(
            opened,
            open_samples(data, shapes),
            validation=open_samples(validation, shapes) if validation else None,
            steps=steps,
            target=target,
            input_bits=input_bits,
            progress=progress,
            epochs=epochs,
            learning_rate=learning_rate,
            batch=batch,
            seed=seed,
            hold_out=hold_out,
            ste=ste,
        )
    write_file(out, dump_model(tuned.model))
    if as_json:
        print_json(tuning_record(tuned.report, out))
    else:
        print_tuning(tuned.report, out)
