"""The study of low-bit weights on real digits: it runs, and at length it keeps its promises."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import quantize_mnist
import torch

SCRIPT = Path(quantize_mnist.__file__)


def test_quick_run_ends_in_a_table():
    command = [sys.executable, str(SCRIPT), "--quick", "--variant", "images"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    assert "4 bit odd" in done.stdout
    assert "as quantized" in done.stdout
    assert "1 epochs" in done.stdout


@pytest.mark.full
def test_four_and_two_bits_keep_the_accuracy(tell):
    """Means over three seeds, against the float model trained for as many epochs more."""
    torch.set_num_threads(1)
    grids = ((4, "odd"), (2, "odd"))
    runs = [
        quantize_mnist.study("images", seed, n=None, epochs=quantize_mnist.EPOCHS, grids=grids)
        for seed in range(3)
    ]
    floats, four, two = (
        [np.mean([run[row][i] for run in runs]) for i in (1, 2)] for row in range(3)
    )
    tell(
        f"images, 3 seeds: float {floats[1]:.2%}, 4 bit odd {four[1]:.2%} (as quantized "
        f"{four[0]:.2%}), 2 bit odd {two[1]:.2%} (as quantized {two[0]:.2%})"
    )
    assert four[1] >= floats[1] - 0.010
    assert two[1] >= floats[1] - 0.015
    assert two[1] > two[0]
