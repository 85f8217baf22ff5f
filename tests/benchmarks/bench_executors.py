"""Executors on the demo network: CPU seconds per run, interleaved, medians and ratios."""

import os
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

import snndeploy
from snndeploy.ir.encode import encode
from snndeploy.registry import find_executor

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples"))
from digits import load_digits  # noqa: E402 - the examples are no package

N_IMAGES, ROUNDS = 50, 5


def cpu_seconds():
    """Return user and system time of this process and its children."""
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


def main():
    compiled = snndeploy.compile(snndeploy.load(ROOT / "examples" / "models" / "mnist_images.pt"))
    (source,) = compiled.network.sources
    images = load_digits().test_images[None, :N_IMAGES].astype(float)
    steps = compiled.network.steps
    values = encode(source, images, steps=steps, rng=np.random.default_rng(0)).values
    record = tuple(output.population for output in compiled.network.outputs)
    names = [n for n in ("sim", "reference", "lava") if find_executor(n).missing() is None]
    cpu, wall = defaultdict(list), defaultdict(list)
    for _ in range(ROUNDS):
        for name in names:
            c, w = cpu_seconds(), time.monotonic()
            find_executor(name).run(compiled.network, {source.name: values}, record=record)
            cpu[name].append(cpu_seconds() - c)
            wall[name].append(time.monotonic() - w)
    print(f"{N_IMAGES} images x {steps} steps, median of {ROUNDS} interleaved runs")
    for name in names:
        median = np.median(cpu[name])
        print(
            f"{name:10} {median:8.2f} CPU s {np.median(wall[name]):8.2f} s  "
            f"{median / np.median(cpu['sim']):6.1f} x the simulator"
        )


if __name__ == "__main__":
    main()
