"""Lava's own Sigma, Delta and SigmaDelta on streams of integers; runs in Lava's Python.

Usage: plain_sdn.py CASES.json ANSWER.npz. CASES lists {"kind", "settings", "a"}; `a` is what
arrives [T][n]. ANSWER gets `INDEX.out` [T, n] and the last value of every state, `INDEX.STATE` [n].
"""

import json
import sys
from pathlib import Path

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Stream
from lava.proc.sdn.process import ActivationMode, Delta, Sigma, SigmaDelta

KINDS = {"sigma": Sigma, "delta": Delta, "sigma_delta": SigmaDelta}
STATES = {
    "sigma": ("sigma",),
    "delta": ("act", "residue", "error"),
    "sigma_delta": ("sigma", "act", "residue", "error"),
}
answer = {}
for index, case in enumerate(json.loads(Path(sys.argv[1]).read_text())):
    a = np.array(case["a"], dtype=np.int32)
    settings = dict(case["settings"])
    if "act_mode" in settings:
        settings["act_mode"] = ActivationMode[settings["act_mode"]]
    neuron = KINDS[case["kind"]](shape=(a.shape[1],), **settings)
    stream, sink = Stream(data=a.T), Sink(shape=(a.shape[1],), buffer=len(a))
    stream.s_out.connect(neuron.a_in)
    neuron.s_out.connect(sink.a_in)
    config = Loihi2SimCfg(select_tag="fixed_pt")
    neuron.run(condition=RunSteps(num_steps=len(a)), run_cfg=config)
    answer[f"{index}.out"] = sink.data.get().T
    for state in STATES[case["kind"]]:
        answer[f"{index}.{state}"] = getattr(neuron, state).get()
    neuron.stop()
np.savez(sys.argv[2], **answer)
