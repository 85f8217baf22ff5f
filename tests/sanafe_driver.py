"""Runs SANA-FE on one network and writes what it answers; a program of its own, never imported.

SANA-FE is a judge from outside: it runs in a process of its own and is told everything by a file.
Usage: sanafe_driver.py [--untraced] JOB.npz ANSWER.npz MODEL…
with timing models simple, detailed, cycle; untraced, to be timed, it answers with totals alone.

JOB: `sizes` [groups], the first one input neurons; `threshold` [groups]; `source`, `target`
[connections] group numbers; `pairs<k>` [n, 2] of (source neuron, target neuron) and `values<k>`
[n]; `place` [slices, 4] of (group, core, start, stop); `spikes` [T, n] of the input neurons.
ANSWER: `process` (JSON): CPU seconds of making the chip and the network, peak memory in bytes. Per
model `<model>.total` (JSON), with CPU seconds of loading and of `sim` alone; `<model>.<column>` [T]
of its table of steps, and `<model>.fired` [k, 3] of (step, group, neuron).
"""

import json
import resource
import sys
import time

import numpy as np
import sanafe

UNITS = {
    "default_synapse_hw_name": "loihi_dense_synapse",
    "default_dendrite_hw_name": "loihi_dendrites",
}
TOTALS = ("energy", "sim_time", "spikes", "packets_sent", "neurons_updated", "neurons_fired")


def network(job, cores, traced):
    """Return the network of a job, every neuron on its core."""
    net = sanafe.Network()
    groups = []
    for k, (n, threshold) in enumerate(zip(job["sizes"], job["threshold"], strict=True)):
        lif = {"threshold": float(threshold), "leak_decay": 1.0, "reset_mode": "hard"}
        options = {} if k == 0 else {"soma_hw_name": "loihi_lif", "model_attributes": lif}
        options |= {"log_spikes": True} if traced else {}
        groups.append(net.create_neuron_group(f"g{k}", int(n), **UNITS, **options))
    n_inputs = {}
    for group, core, start, stop in job["place"].tolist():
        for i in range(start, stop):
            neuron = groups[group][i]
            if group == 0:
                unit = n_inputs[core] = n_inputs.get(core, -1) + 1
                neuron.set_attributes(
                    soma_hw_name=f"loihi_inputs[{unit}]",
                    model_attributes={"spikes": [bool(s) for s in job["spikes"][:, i]]},
                )
            neuron.map_to_core(cores[core])
    for k, (a, b) in enumerate(zip(job["source"], job["target"], strict=True)):
        pairs = list(map(tuple, job[f"pairs{k}"].tolist()))
        values = {"w": job[f"values{k}"].astype(float).tolist()}
        groups[a].connect_neurons_sparse(groups[b], values, pairs)
    return net


def traces(result):
    """Return the table of steps and who fired when."""
    found = {name: np.array(column, dtype=float) for name, column in result["perf_trace"].items()}
    fired = [
        (t, int(neuron.group_name[1:]), neuron.neuron_offset)
        for t, step in enumerate(result["spike_trace"])
        for neuron in step
    ]
    found["fired"] = np.array(fired, dtype=np.int64).reshape(-1, 3)
    return found


def as_json(facts):
    """Return facts as an array that holds text."""
    return np.array(json.dumps(facts))


def main(job_file, answer_file, *models, traced):
    """Run every model on a chip loaded afresh."""
    job = dict(np.load(job_file))
    start = time.process_time()
    architecture = sanafe.load_loihi()
    chip = sanafe.SpikingChip(architecture)
    made = time.process_time()
    net = network(job, architecture.cores(), traced)
    process = {"chip_s": made - start, "build_s": time.process_time() - made}
    answers = {}
    for model in models:
        begin = time.process_time()
        chip.load(net)
        loaded = time.process_time()
        wanted = {"spike_trace": True, "perf_trace": True} if traced else {}
        result = chip.sim(len(job["spikes"]), timing_model=model, **wanted)
        took = {"load_s": loaded - begin, "sim_s": time.process_time() - loaded}
        answers[f"{model}.total"] = as_json(took | {name: result[name] for name in TOTALS})
        if traced:
            answers |= {f"{model}.{name}": value for name, value in traces(result).items()}
    process["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    np.savez(answer_file, process=as_json(process), **answers)


if __name__ == "__main__":
    untraced = "--untraced" in sys.argv
    main(*(word for word in sys.argv[1:] if word != "--untraced"), traced=not untraced)
