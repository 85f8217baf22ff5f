"""Sigma-delta `.net` files on every executor: reference, simulator, Lava, ONNX Runtime."""

import os
from dataclasses import replace

import numpy as np
import pytest
import sdnn_files as files

import snndeploy
from hwtargets.loihi.executor import LavaJob, run_jobs
from hwtargets.loihi.lower import lower
from hwtargets.onnxruntime import ONNX
from hwtargets.simulator import SIMULATOR
from snndeploy.ir.interpret import run_reference

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("lava_python")]
SEEDS, STEPS, SAMPLES = (0, 1, 2, 3), 9, 3


def compiled(path, seed):
    layers = files.random_layers(seed)
    path.write_bytes(files.file_bytes(layers))
    model = replace(snndeploy.load(path), steps=STEPS)
    x = files.frames(layers, steps=STEPS, samples=SAMPLES, seed=seed)
    return snndeploy.compile(model, "loihi").network, x


def test_every_executor_sends_and_holds_the_same(tmp_path, tell):
    cases = [compiled(tmp_path / f"{seed}.net", seed) for seed in SEEDS]
    jobs = [
        LavaJob(program=lower(net), inputs={"input": x}, record=tuple(net.population))
        for net, x in cases
    ]
    kinds = {process.kind for job in jobs for process in job.program.processes}
    assert {"conv", "sparse", "dense"} <= kinds  # convolutions beyond 24 bits are listed
    compared = 0
    for (network, x), lava in zip(cases, run_jobs(jobs, environ=os.environ), strict=True):
        names = tuple(network.population)
        want = run_reference(network, {"input": x}, record=names)
        simulated = SIMULATOR.run(network, {"input": x}, record=names).traces
        onnx = ONNX.run(network, {"input": x}, record=names).traces
        for name, trace in want.items():
            for got in (lava[name], simulated[name], onnx[name]):
                np.testing.assert_array_equal(got.spikes, trace.spikes, name)
                for word, values in trace.states.items():
                    np.testing.assert_array_equal(got.states[word], values, f"{name}.{word}")
            compared += trace.spikes.size
        assert all(np.mean(want[name].spikes != 0) > 0.005 for name in names)
    tell(f"{len(SEEDS)} SDNN files: 4 executors equal, {compared:,} messages and all states")
