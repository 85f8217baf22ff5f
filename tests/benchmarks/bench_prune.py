"""Time SVS scores of VGG-16 on 640 random images of CIFAR's size, and pruning by them.

Batch normalisation takes the statistics of the images first, so that all layers fire.
"""

import resource
import time

import numpy as np
import torch
from spikingjelly.activation_based import functional

from snndeploy.compress.channels import groups_of
from snndeploy.compress.criteria import CRITERIA
from snndeploy.compress.ratios import choose_all
from snndeploy.compress.removal import remove_channels
from snndeploy.compress.scores import score_groups
from snndeploy.frontends.torch_module import ImportOptions, import_module
from snndeploy.samples import Samples
from snndeploy.zoo.qp_snn import vgg16

N_SAMPLES, STEPS, THREADS = 640, 4, 1


def vgg_model():
    torch.manual_seed(0)
    net = vgg16(steps=STEPS)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
        net.train()(torch.rand(16, 3, 32, 32))
    functional.reset_net(net)
    return import_module(net.eval(), torch.rand(1, 3, 32, 32), ImportOptions())


def main():
    torch.set_num_threads(THREADS)
    model = vgg_model()
    images = np.random.default_rng(0).random((1, N_SAMPLES, 3, 32, 32))
    samples = Samples(x={"input": images})
    groups = tuple(g for g in groups_of(model.graph) if not g.fixed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, cpu = time.perf_counter(), time.process_time()
    scores = score_groups(model, groups, CRITERIA["svs"], samples=samples, steps=STEPS)
    print(f"score {N_SAMPLES} samples, {STEPS} steps: {time.perf_counter() - started:.1f} s "
          f"({time.process_time() - cpu:.1f} s of CPU, {THREADS} thread)")  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory: {peak / 1024:.0f} MiB, {(peak - before) / 1024:.0f} MiB of them to score")
    started = time.perf_counter()
    kept = choose_all(groups, scores, {group.name: 0.5 for group in groups})
    remove_channels(model.graph, groups_of(model.graph), kept)
    print(f"groups, choice and rebuilt graph: {time.perf_counter() - started:.2f} s")
    for group in groups:
        own = scores[group.name][0]
        print(f"  {group.name}: rank {own.min():.2f} to {own.max():.2f}")


if __name__ == "__main__":
    main()
