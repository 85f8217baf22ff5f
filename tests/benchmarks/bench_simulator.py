"""The simulator against what its algorithm allows, and against float frameworks.

CPU seconds of one thread, medians of interleaved runs. `limit` is the time that the synaptic
operations and neuron updates alone would take: rows of weights in the first cache added up, and
neurons updated in place, both measured in the same rounds. Frameworks run the same layers on the
same input in float32, all steps of a layer at once, and are not exact.
"""

import os
import sys
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch
import workloads
from numba import njit

from hwtargets.simulator import engine
from hwtargets.simulator.counts import counter
from hwtargets.simulator.fused import FusedRun
from hwtargets.simulator.kernels.neuron import update_lif
from hwtargets.simulator.kernels.rows import add_rows
from hwtargets.simulator.kernels.weights import aligned
from hwtargets.simulator.windows import schedule_of
from hwtargets.simulator.workers import Workers
from snndeploy.mapping import place
from snndeploy.target import load_chip

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 7
FRAMEWORK_ROUNDS = 3
CHIP = load_chip(Path(__file__).parents[2] / "hwtargets" / "chips" / "loihi2.toml")
BLOCK = 64


@njit(nogil=True, cache=True)
def add_many(lanes, rows, n, weights, sums):
    for _ in range(n):
        add_rows(lanes, rows, 0, len(rows), weights, 0, sums, 0, 0)


@njit(nogil=True, cache=True)
def update_many(lanes, n, a, u, v, threshold, bias, sent):
    for _ in range(n):
        update_lif(
            lanes, (0, 0, 0), a, 0, 0, (1, 0, 0, 0), (3000, 3686), u, v, 0, threshold, bias, 0,
            sent, 0,
        )  # fmt: skip


class Limit:
    """Seconds per synaptic operation and per neuron update."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.rows = rng.integers(0, 256, 4096).astype(np.uint32)
        self.weights = aligned(256 * BLOCK // 2, np.int16)
        self.weights[:] = rng.integers(-9000, 9000, len(self.weights))
        self.arrays = [aligned(BLOCK, np.int32) for _ in range(5)]
        self.arrays[3][:] = 1 << 20
        self.sent = np.zeros(4, dtype=np.uint16)
        self.measure()

    def measure(self):
        start = time.process_time()
        add_many((0, 0), self.rows, 200, self.weights, self.arrays[0])
        middle = time.process_time()
        update_many((0, 0), 200_000, *self.arrays, self.sent)
        end = time.process_time()
        return (middle - start) / (200 * 4096 * BLOCK), (end - middle) / (200_000 * BLOCK)


def simulator(workload, threads=1):
    """Return a function that runs a workload whose weights and inputs are laid out."""
    schedule = schedule_of(workload.network, workload.inputs)
    run = FusedRun.of(workload.network, workload.inputs, schedule, Workers(threads))
    per_window = schedule.steps * sum(node.n for node in workload.network.nodes.values())

    def once(count=None):
        for windows in schedule.chunks(max(1, engine.CHUNK_CELLS // per_window)):
            chunk = run.chunk(windows, ())
            if count:
                count(engine.Chunk(windows=windows, before={}, sent=chunk.sent, ran=chunk.ran))

    return once


def with_counts(workload, once):
    """Return a function that runs a workload and counts events on as many cores as it takes."""
    many = {key: replace(limit, value=limit.value * 10**6) for key, limit in CHIP.limits.items()}
    many["neurons_per_core"] = CHIP.limits["neurons_per_core"]
    placement = place(workload.network, replace(CHIP, limits=many))
    schedule = schedule_of(workload.network, workload.inputs)
    counted = counter(workload.network, placement, schedule)
    return lambda: once(counted.add)


def spikingjelly(workload):
    from spikingjelly.activation_based import functional, layer, neuron

    modules = []
    for kind, weight, *pool in workload.layers:
        modules += torch_layer(kind, weight, pool, layer)
        modules.append(neuron.LIFNode(tau=10.0, v_threshold=5.0, v_reset=0.0, step_mode="m"))
    net = torch.nn.Sequential(*modules)
    functional.set_step_mode(net, "m")
    x = torch.from_numpy(workload.inputs["in"].astype(np.float32))

    def once():
        with torch.no_grad():
            functional.reset_net(net)
            net(x)

    return once


def snntorch(workload):
    import snntorch as snn

    layers = [torch_layer(kind, weight, pool, torch.nn) for kind, weight, *pool in workload.layers]
    nodes = [snn.Leaky(beta=0.9, threshold=5.0, reset_mechanism="zero") for _ in layers]
    x = torch.from_numpy(workload.inputs["in"].astype(np.float32))

    def once():
        with torch.no_grad():
            spikes = x
            for modules, node in zip(layers, nodes, strict=True):
                flat = torch.nn.Sequential(*modules)(spikes.flatten(0, 1))
                current = flat.unflatten(0, x.shape[:2])
                memory, out = node.init_leaky(), []
                for step in current:
                    spike, memory = node(step, memory)
                    out.append(spike)
                spikes = torch.stack(out)

    return once


def torch_layer(kind, weight, pool, made_of):
    """Return the modules of a layer with a framework's own classes."""
    weight = torch.from_numpy(weight.astype(np.float32) / 254)
    if kind == "conv":
        main = made_of.Conv2d(weight.shape[1], len(weight), 3, padding=1, bias=False)
        before = [made_of.AvgPool2d(2)] if pool[0] == 2 else []
    else:
        main = made_of.Linear(weight.shape[1], len(weight), bias=False)
        before = [made_of.Flatten()]
    main.weight = torch.nn.Parameter(weight, requires_grad=False)
    return [*before, main]


def candidates(workload):
    """Return functions by name; the first is the simulator."""
    once = simulator(workload)
    found = {"simulator": once}
    if workload.layers:
        found["with counts"] = with_counts(workload, once)
        with suppress(ImportError):
            found["SpikingJelly"] = spikingjelly(workload)
        with suppress(ImportError):
            found["snnTorch"] = snntorch(workload)
    return found


def seconds(run):
    start = time.process_time()
    run()
    return time.process_time() - start


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    kinds = (workloads.dense, workloads.vgg, workloads.large, workloads.recurrent)
    limit = Limit()
    print(f"CPU ms, medians of {ROUNDS} interleaved rounds ({FRAMEWORK_ROUNDS} of the frameworks)")
    for make in kinds:
        report(make(rng), limit)


def report(workload, limit):
    """Time one workload and print its lines."""
    runs, operations = candidates(workload), workload.operations()
    times, ratios, floors = defaultdict(list), [], []
    for index in range(ROUNDS + 1):
        per_operation, per_update = limit.measure()
        floor = operations * per_operation + workload.updates * per_update
        for name, run in runs.items():
            if name in ("simulator", "with counts") or index <= FRAMEWORK_ROUNDS:
                spent = seconds(run)
                if index:
                    times[name].append(spent)
        if index:
            floors.append(floor)
            ratios.append(times["simulator"][-1] / floor)
    ours = np.median(times["simulator"])
    print(f"\n{workload.name}  {workload.title}: {operations / 1e9:.2f} G operations")
    print(f"   {'limit':14}{1e3 * np.median(floors):9.2f}")
    print(
        f"   {'simulator':14}{1e3 * ours:9.2f}   {np.median(ratios):5.2f} x the limit, "
        f"{operations / ours / 1e9:.2f} G operations/s"
    )
    for name in list(runs)[1:]:
        spent = np.median(times[name])
        print(f"   {name:14}{1e3 * spent:9.2f}   {spent / ours:5.2f} x the simulator")


if __name__ == "__main__":
    main()
