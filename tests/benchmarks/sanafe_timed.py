"""Runs SANA-FE on one network and says how long; a program of its own, never imported.

Usage: sanafe_timed.py JOB.npz MODEL… prints JSON: CPU seconds of building, loading and, per timing
model, of `sim` alone, without traces; totals of the run; peak memory of the process in bytes.

JOB: `sizes` [groups], the first one input neurons; `threshold` [groups]; `source`, `target`
[connections]; `pairs<k>` [n, 2] of (source neuron, target neuron) and `values<k>` [n]; `place`
[slices, 4] of (group, core, start, stop); `spikes` [T, n] of the input neurons, 0 and 1.
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
TOTALS = ("energy", "sim_time", "spikes", "packets_sent", "neurons_fired")


def network(job, cores):
    """Return the network of a job, every neuron on its core."""
    net = sanafe.Network()
    groups = []
    for k, (n, threshold) in enumerate(zip(job["sizes"], job["threshold"], strict=True)):
        lif = {"threshold": float(threshold), "leak_decay": 1.0, "reset_mode": "hard"}
        options = {} if k == 0 else {"soma_hw_name": "loihi_lif", "model_attributes": lif}
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


def main(job_file, models):
    """Time every model on a chip loaded afresh."""
    job = dict(np.load(job_file))
    start = time.process_time()
    architecture = sanafe.load_loihi()
    chip = sanafe.SpikingChip(architecture)
    made = time.process_time()
    net = network(job, architecture.cores())
    built = time.process_time()
    found = {"chip_s": made - start, "build_s": built - made}
    for model in models:
        begin = time.process_time()
        chip.load(net)
        loaded = time.process_time()
        result = chip.sim(len(job["spikes"]), timing_model=model)
        done = time.process_time()
        found[model] = {"load_s": loaded - begin, "sim_s": done - loaded}
        found[model] |= {name: result[name] for name in TOTALS}
    found["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
