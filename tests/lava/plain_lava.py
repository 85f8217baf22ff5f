"""One source, one Dense, one LIFReset, read as Lava's own tutorials do; runs in Lava's Python.

Usage: plain_lava.py ARRAYS.npz ANSWER.npz. ARRAYS holds x [T, n_in], weights, and the settings of
the two processes; ANSWER gets spikes, u and v [T, n_out].
"""

import sys

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense
from lava.proc.io.sink import Read
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Stream
from lava.proc.lif.process import LIFReset

given = np.load(sys.argv[1])
steps, n_out = len(given["x"]), len(given["weights"])
stream = Stream(data=given["x"].T.astype(np.int32))
dense = Dense(weights=given["weights"], weight_exp=int(given["weight_exp"]))
registers = ("du", "dv", "vth", "reset_interval", "reset_offset")
lif = LIFReset(
    shape=(n_out,),
    bias_mant=given["bias_mant"],
    bias_exp=given["bias_exp"],
    **{name: int(given[name]) for name in registers},
)
sink = Sink(shape=(n_out,), buffer=steps)
stream.s_out.connect(dense.s_in)
dense.a_out.connect(lif.a_in)
lif.s_out.connect(sink.a_in)
reads = {}
for name in ("u", "v"):
    reads[name] = Read(buffer=steps)
    reads[name].connect_var(getattr(lif, name))
lif.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
answer = {name: read.data.get().T for name, read in reads.items()}
np.savez(sys.argv[2], spikes=sink.data.get().T, **answer)
lif.stop()
