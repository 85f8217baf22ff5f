"""Runs SANA-FE on one network and writes what it answers; a program of its own, never imported.

SANA-FE is a judge from outside: it runs in a process of its own and is told everything by a file.
Usage: sanafe_driver.py JOB.npz ANSWER.npz MODEL…   with timing models simple, detailed, cycle.

JOB: `sizes` [groups], the first one input neurons; `threshold` [groups]; `source`, `target`
[connections] group numbers; `weight<k>` [n_source, n_target], zeros are not connected; `place`
[slices, 4] of (group, core, start, stop); `spikes` [T, n] of the input neurons, 0 and 1.
ANSWER, per model: `<model>.total` (JSON), `<model>.<column>` [T] of its table of steps, and
`<model>.fired` [k, 3] of (step, group, neuron).
"""

import json
import sys

import numpy as np
import sanafe

UNITS = {
    "default_synapse_hw_name": "loihi_dense_synapse",
    "default_dendrite_hw_name": "loihi_dendrites",
}


def network(job, cores):
    """Return the network of a job, every neuron on its core."""
    net = sanafe.Network()
    groups = []
    for k, (n, threshold) in enumerate(zip(job["sizes"], job["threshold"], strict=True)):
        lif = {"threshold": float(threshold), "leak_decay": 1.0, "reset_mode": "hard"}
        options = {} if k == 0 else {"soma_hw_name": "loihi_lif", "model_attributes": lif}
        groups.append(net.create_neuron_group(f"g{k}", int(n), log_spikes=True, **UNITS, **options))
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
        weight = job[f"weight{k}"].astype(float)
        if weight.all():
            groups[a].connect_neurons_dense(groups[b], {"w": weight.reshape(-1).tolist()})
        else:
            listed = np.argwhere(weight)
            pairs = [(int(i), int(j)) for i, j in listed]
            groups[a].connect_neurons_sparse(
                groups[b], {"w": weight[tuple(listed.T)].tolist()}, pairs
            )
    return net


def answer(result):
    """Return everything a run says as arrays."""
    names = ("energy", "sim_time", "spikes", "packets_sent", "neurons_updated", "neurons_fired")
    found = {"total": np.array(json.dumps({name: result[name] for name in names}))}
    for name, column in result["perf_trace"].items():
        found[name] = np.array(column, dtype=float)
    fired = [
        (t, int(neuron.group_name[1:]), neuron.neuron_offset)
        for t, step in enumerate(result["spike_trace"])
        for neuron in step
    ]
    found["fired"] = np.array(fired, dtype=np.int64).reshape(-1, 3)
    return found


def main(job_file, answer_file, models):
    """Run every model on a chip loaded afresh."""
    job = dict(np.load(job_file))
    architecture = sanafe.load_loihi()
    net = network(job, architecture.cores())
    chip = sanafe.SpikingChip(architecture)
    answers = {}
    for model in models:
        chip.load(net)
        result = chip.sim(len(job["spikes"]), timing_model=model, spike_trace=True, perf_trace=True)
        answers |= {f"{model}.{name}": value for name, value in answer(result).items()}
    np.savez(answer_file, **answers)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
