"""The simulator against what its algorithm allows, and against float frameworks.

CPU seconds, medians of interleaved rounds; short runs are repeated within a measurement. Ratios
are taken round by round, so that what else the machine does cancels out. `limit` is what the
additions and neuron updates alone would take, measured in the same round (see `limits.py`).
Counts are all events of every core and step. Frameworks run the same layers on the same input in
float32. Two threads are compared in wall time, beside a matrix product that is given two; on a
machine that does something else that says little, so CPU time is taken apart as well: what the
calling thread does alone, and what both threads share, at the price it has with two of them.

Usage: bench_simulator.py [ROUNDS]; also writes build/bench/simulator.svg.
"""

import os
import sys
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import frameworks
import numpy as np
import torch
import workloads
from clock import caller_seconds, cpu_seconds, peak_bytes, repeats, wall_seconds
from limits import Limit

from hwtargets.simulator import engine
from hwtargets.simulator.counts import counter
from hwtargets.simulator.fused import FusedRun
from hwtargets.simulator.windows import schedule_of
from hwtargets.simulator.workers import Workers
from snndeploy.mapping import place
from snndeploy.target import load_chip

ROOT = Path(__file__).parents[2]
CHIP_FILE = ROOT / "hwtargets" / "chips" / "loihi2.toml"
CHIP = load_chip(CHIP_FILE)
PICTURE = ROOT / "build" / "bench" / "simulator.svg"
FRAMEWORK_ROUNDS = 3
GOALS = {
    ("A", "simulator / limit"): ("<=", 2.5),
    ("B", "simulator / limit"): ("<=", 1.6),
    ("C", "simulator / limit"): ("<=", 2.0),
    ("D", "G operations/s"): (">=", 0.6),
    ("B", "with counts / simulator"): ("<=", 1.1),
    ("A", "SpikingJelly / simulator"): (">=", 6),
    ("A", "snnTorch / simulator"): (">=", 12),
    **{(name, "SpikingJelly / simulator"): (">=", 4) for name in "BC"},
    **{(name, "snnTorch / simulator"): (">=", 5) for name in "BC"},
    **{(name, "two threads, speed-up if each has a core"): (">=", 1.7) for name in "BC"},
    ("", "chip object, ms"): ("<=", 50),
}


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


def candidates(workload):
    """Return functions by name; the first is the simulator."""
    once = simulator(workload)
    found = {"simulator": once, "with counts": with_counts(workload, once)}
    if workload.layers:
        with suppress(ImportError):
            found["SpikingJelly"] = frameworks.spikingjelly(workload)
        with suppress(ImportError):
            found["snnTorch"] = frameworks.snntorch(workload)
    return found


def measure(workload, limit, rounds):
    """Return rows (what, median, quartiles) of a workload, absolute times first."""
    runs, operations = candidates(workload), workload.operations()
    repeat = {name: repeats(run) for name, run in runs.items()}
    times, ratios = defaultdict(list), defaultdict(list)
    for index in range(rounds):
        floors = [limit.floor(workload, operations)]
        now = {}
        for name, run in runs.items():
            if name in ("simulator", "with counts") or index < FRAMEWORK_ROUNDS:
                now[name] = cpu_seconds(run, repeat[name])
                times[name].append(now[name])
        floors.append(limit.floor(workload, operations))
        floor, ours = float(np.mean(floors)), now["simulator"]
        times["limit"].append(floor)
        ratios["simulator / limit"].append(ours / floor)
        if not workload.layers:
            ratios["limit / simulator"].append(floor / ours)
        ratios["G operations/s"].append(operations / ours / 1e9)
        for name in list(now)[1:]:
            ratios[f"{name} / simulator"].append(now[name] / ours)
    rows = [(f"{name}, ms CPU", 1e3 * np.array(values)) for name, values in times.items()]
    rows += [(name, np.array(values)) for name, values in ratios.items()]
    rows += [(f"{name}, MB peak", np.array([peak_bytes(run) / 1e6])) for name, run in runs.items()]
    return rows


def two_threads(workload, rounds):
    """Return by what two threads shorten a run, beside what they do to a matrix product."""
    one, two = simulator(workload, 1), simulator(workload, 2)
    square = torch.rand(1024, 1024)
    n = repeats(one)
    faster, dearer, product, within, serial = [], [], [], [], []
    two()
    for _ in range(rounds):
        faster.append(wall_seconds(one, n) / wall_seconds(two, n))
        alone, (both, caller) = cpu_seconds(one, n), caller_seconds(two, n)
        dearer.append(both / alone)
        serial.append(caller / both)
        within.append(alone / (caller + (both - caller) / 2))
        alone = wall_seconds(lambda: square @ square, 3)
        torch.set_num_threads(2)
        together = wall_seconds(lambda: square @ square, 3)
        torch.set_num_threads(1)
        product.append(alone / together)
    return [
        ("two threads, speed-up", np.array(faster)),
        ("two threads, best speed-up", np.array([max(faster)])),
        ("two threads, CPU time / one's", np.array(dearer)),
        ("two threads, share that only one works on", np.array(serial)),
        ("two threads, speed-up if each has a core", np.array(within)),
        ("two threads, speed-up of a matrix product", np.array(product)),
        ("two threads, best of a matrix product", np.array([max(product)])),
    ]


def chip_object():
    """Return how long it takes to read a chip."""
    return [("chip object, ms", 1e3 * np.array([cpu_seconds(lambda: load_chip(CHIP_FILE), 5)]))]


def print_rows(name, rows):
    for what, values in rows:
        low, middle, high = np.percentile(values, (25, 50, 75))
        line = f"   {what:44}{middle:10.2f}"
        line += f"   ({low:.2f} .. {high:.2f})" if len(values) > 1 else ""
        print(line + verdict(name, what, middle))


def verdict(name, what, value):
    """Say whether a goal is met, if there is one."""
    if (name, what) not in GOALS:
        return ""
    sense, goal = GOALS[name, what]
    met = value <= goal if sense == "<=" else value >= goal
    return f"   goal {sense} {goal:g}: {'met' if met else 'MISSED'}"


def draw(found):
    """Draw how many times the limit each candidate takes."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(found), figsize=(3.2 * len(found), 3.2))
    for axis, (title, rows) in zip(np.atleast_1d(axes), found.items(), strict=True):
        medians = {what: float(np.median(values)) for what, values in rows}
        names = [what.removesuffix(", ms CPU") for what in medians if what.endswith("ms CPU")]
        names.sort(key=lambda name: medians[f"{name}, ms CPU"])
        shares = [medians[f"{name}, ms CPU"] / medians["limit, ms CPU"] for name in names]
        axis.barh(names, shares)
        axis.bar_label(axis.containers[0], fmt="%.1f")
        axis.set(title=title, xlabel="CPU time / limit", xscale="log")
    figure.tight_layout()
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE)
    plt.close(figure)


def main():
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    rng, limit, found = np.random.default_rng(0), Limit(), {}
    print(f"medians of {rounds} interleaved rounds ({FRAMEWORK_ROUNDS} of the frameworks)")
    print_rows("", chip_object())
    kinds = (workloads.dense, workloads.vgg, workloads.large, workloads.recurrent)
    for workload in (make(rng) for make in kinds):
        rows = measure(workload, limit, rounds)
        if workload.layers:
            rows += two_threads(workload, rounds)
        found[workload.name] = rows
        print(f"\n{workload.name}  {workload.title}")
        print_rows(workload.name, rows)
    draw(found)
    print(f"\n{PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
