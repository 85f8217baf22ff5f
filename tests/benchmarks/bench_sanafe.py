"""The simulator against SANA-FE 2.2.9 (GPL, in a process of its own), same networks, same cores.

What counts on our side: spikes of every step, all event counts per core and step, load of cores and
links, `bound` or `queue` time of every step, and the priced energy ledger. On SANA-FE's side: `sim`
with its default timing and energy, without traces. What either does before the first step is shown
beside it: SANA-FE builds its chip and network and loads it; we lay out weights, fan-outs and
routes. All are CPU seconds. Spikes and messages are compared: both did the same work.

Usage: bench_sanafe.py [dvs] [large]; without arguments `dvs`. `large` has 13.3 million synapses,
for which SANA-FE takes 12 GB of memory and several minutes: nothing else should run beside it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import sanafe_nets
from clock import cpu_seconds, peak_bytes

from hwtargets.simulator.counts import counter
from hwtargets.simulator.engine import Chunk
from hwtargets.simulator.fused import FusedRun
from hwtargets.simulator.timing import time_steps
from hwtargets.simulator.traffic import traffic_counter
from hwtargets.simulator.windows import schedule_of
from hwtargets.simulator.workers import Workers
from snndeploy.energy import price
from snndeploy.target import load_chip

HERE = Path(__file__).parent
DRIVER = HERE.parent / "sanafe_driver.py"
LOIHI1 = load_chip(HERE.parents[1] / "hwtargets" / "chips" / "loihi1.toml")
CHIP = replace(LOIHI1, latencies=LOIHI1.other_latencies["sanafe"])
NETS = {"dvs": sanafe_nets.dvs_like, "large": sanafe_nets.conv_100k}
ROUNDS = {"bound": 100, "queue": 4}
"""Of ours before and after each run of SANA-FE, which sees more of what else the machine does."""
RUNS = {"dvs": 3, "large": 1}
"""Of SANA-FE."""
GOALS = {"bound": 1000, "queue": 50}


def ask_sanafe(pair):
    """Return what SANA-FE says of a network, and how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        job, answer = Path(folder) / "job.npz", Path(folder) / "answer.npz"
        np.savez(job, **sanafe_nets.job(pair))
        command = [sys.executable, str(DRIVER), "--untraced", str(job), str(answer), "detailed"]
        subprocess.run(command, check=True, capture_output=True)
        found = dict(np.load(answer))
    return json.loads(str(found["process"])), json.loads(str(found["detailed.total"]))


def prepared(pair, level):
    """Return a function that runs, counts, times and prices a network laid out before."""
    network, placement = pair.network, pair.placement
    schedule = schedule_of(network, pair.inputs)
    run = FusedRun.of(network, pair.inputs, schedule, Workers())
    counted = counter(network, placement, schedule)
    keep = level != "bound"
    traffic = traffic_counter(network, placement, schedule, counted.reach, keep=keep)

    def once():
        for table in (*traffic.traffic.taken.values(), traffic.traffic.crossed):
            table[:] = 0  # added to; events are written
        traffic.kept.clear()
        for windows in schedule.chunks(1):
            chunk = run.chunk(windows, ())
            whole = Chunk(windows=windows, before={}, sent=chunk.sent, ran=chunk.ran)
            counted.add(whole)
            traffic.add(whole)
        counts = counted.result()
        timing = time_steps(counts, traffic.result(), placement, CHIP, level)
        price(counts, CHIP.prices[CHIP.default_prices], timing)
        return counts

    return once


def same_work(pair, counts):
    """Return our spikes, operations and messages in SANA-FE's steps, input neurons' own left out.

    SANA-FE stops after its steps; what is under way then has been sent but not taken by us.
    """
    steps = pair.network.steps
    hidden = np.array([name != "p0" and not name.startswith("in") for name in counts.populations])
    inputs = np.array([name == "p0" for name in counts.populations])
    here = slice(1, steps + 1)
    fired = counts.events["spike"][:, here][hidden].sum() + counts.events["spike"][inputs].sum()
    return int(fired), int(counts.events["message"][:, here].sum())


def measure(ready, pair, runs):
    """Return our times by level, what SANA-FE says, and by what ours are shorter: in turn.

    A run of SANA-FE is compared with those of ours right before and after it.
    """

    def ours():
        return {
            level: [cpu_seconds(ready[level]) for _ in range(rounds)]
            for level, rounds in ROUNDS.items()
        }

    times, answers = [ours()], []
    for _ in range(runs):
        answers.append(ask_sanafe(pair))
        times.append(ours())
    ratios = {
        level: [
            run["sim_s"] / np.median(before[level] + after[level])
            for (_, run), before, after in zip(answers, times[:-1], times[1:], strict=True)
        ]
        for level in ROUNDS
    }
    every = {level: np.concatenate([some[level] for some in times]) for level in ROUNDS}
    return every, answers, ratios


def report(name):
    """Time one network on both sides and print its lines."""
    pair = NETS[name](np.random.default_rng(0), CHIP)
    network = pair.network
    n_synapses = sum(len(sanafe_nets.listed(p.synapse)[1]) for p in network.projections[1:])
    neurons = sum(p.n for p in network.populations)
    print(f"\n{pair.title}: {neurons:,} neurons, {n_synapses:,} synapses, {network.steps:,} steps")
    ready, first = {}, {}
    for level in ROUNDS:
        start = time.process_time()
        ready[level] = prepared(pair, level)
        counts = ready[level]()  # finds out, too, what depends on the network alone
        first[level] = time.process_time() - start
    times, answers, ratios = measure(ready, pair, RUNS[name])
    for level in ROUNDS:
        low, took, high = np.percentile(times[level], (25, 50, 75))
        before, spread = max(first[level] - took, 0), f"({low:.4f} .. {high:.4f})"
        print(f"   ours, {level:32}{took:10.4f} s CPU {spread}, {before:.3f} s before it")
    peak = peak_bytes(lambda: prepared(pair, "bound")())
    print(f"   ours, memory{'':26}{peak / 1e6:10.0f} MB, {peak / n_synapses:.1f} bytes per synapse")
    process, run = answers[0]
    took = np.median([run["sim_s"] for _, run in answers])
    before = process["chip_s"] + process["build_s"] + run["load_s"]
    print(f"   SANA-FE, detailed{'':21}{took:10.4f} s CPU, {before:.1f} s before it")
    peak = process["peak_bytes"]
    print(f"   SANA-FE, memory{'':23}{peak / 1e6:10.0f} MB, {peak / n_synapses:.0f} per synapse")
    for level, goal in GOALS.items():
        ratio = np.median(ratios[level])
        met = "met" if ratio >= goal else "MISSED"
        each = ", ".join(f"{one:.0f}" for one in ratios[level])
        line = f"   {f'SANA-FE detailed / our {level}':38}{ratio:10.0f}"
        print(f"{line}   goal >= {goal}: {met}; one by one {each}")
    fired, messages = same_work(pair, counts)
    print(f"   spikes: {fired:,} and {run['neurons_fired']:,}; "
          f"messages: {messages:,} and {run['packets_sent']:,}")  # fmt: skip


def main():
    if find_spec("sanafe") is None:
        print("SANA-FE is not installed; it is in the dev extra")
        return
    for name in sys.argv[1:] or ["dvs"]:
        report(name)


if __name__ == "__main__":
    main()
