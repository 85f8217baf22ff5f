"""Build, export and run a sigma-delta network with lava-dl's training code; runs in their Python.

Usage: slayer_driver.py SEED NETWORK.net ANSWER.npz. The weights are random, the file is what
lava-dl's own exporter writes. ANSWER gets x [T, B, *shape], what the input layer takes in units of
the chip's (64ths), and what every layer with neurons sends, out<i> [T, B, *shape], in reals.
"""

import sys

import h5py
import numpy as np
import torch
from lava.lib.dl.slayer.block import sigma_delta
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm

STEPS, SAMPLES = 20, 2
seed = int(sys.argv[1])
torch.manual_seed(seed)
rng = np.random.default_rng(seed)


def neuron(**more):
    return {"threshold": rng.uniform(0, 0.3), "activation": torch.nn.functional.relu, **more}


def biased():
    return neuron(norm=MeanOnlyBatchNorm)


first = sigma_delta.Input(neuron(threshold=rng.uniform(0, 0.1)), weight=1, bias=0)
if seed % 2:
    shape = (12,)
    blocks = [
        first,
        sigma_delta.Dense(biased(), 12, 15, weight_scale=3),
        sigma_delta.Dense(biased(), 15, 10, weight_scale=3),
        sigma_delta.Output(neuron(), 10, 5, weight_scale=3),
    ]
else:
    shape = (2, 8, 7)  # channels, then lava-dl's two dimensions of an image
    blocks = [
        first,
        sigma_delta.Conv(biased(), 2, 4, 3, padding=(1, 0), stride=(2, 1), weight_scale=3),
        sigma_delta.Flatten(),
        sigma_delta.Dense(biased(), 80, 10, weight_scale=3),
        sigma_delta.Output(neuron(), 10, 5, weight_scale=3),
    ]
network = torch.nn.ModuleList(blocks).eval()
for block in blocks:
    if getattr(getattr(block, "neuron", None), "norm", None) is not None:
        norm = block.neuron.norm  # a bias is the mean that was learned
        norm.running_mean.copy_(
            torch.as_tensor(rng.integers(-20, 20, norm.running_mean.shape)) / 64
        )

x = np.empty((SAMPLES, *shape, STEPS))
level = np.zeros((SAMPLES, *shape))
for t in range(STEPS):
    level = np.where(rng.random(level.shape) < (0.3 if t else 1), rng.random(level.shape), level)
    x[..., t] = np.floor(level * 64) / 32 - 1  # on the grid of its 8 bits
sent, answers = torch.as_tensor(x, dtype=torch.float), {}
with torch.no_grad():
    for block in blocks:
        sent = block(sent)
        if getattr(block, "neuron", None) is not None:
            answers[f"out{len(answers)}"] = np.moveaxis(sent.numpy(), -1, 0)
with h5py.File(sys.argv[2], "w") as file:
    for index, block in enumerate(blocks):
        block.export_hdf5(file.create_group(f"layer/{index}"))
np.savez(sys.argv[3], x=np.moveaxis(x, -1, 0) * 64, **answers)
