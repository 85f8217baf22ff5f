"""Run a `.net` file with lava-dl's netx on Lava; runs in their own Python.

Usage: netx_driver.py NETWORK.net INPUT.npz ANSWER.npz. INPUT holds x [chip steps, n] as the first
layer takes it (flat, or C, H, W), shape, message_bits, reset_interval and the number of layers;
ANSWER gets out [chip steps, n] and u<i>, v<i> of every layer, images in Lava's W, H, C.
"""

import sys

import numpy as np
from lava.lib.dl.netx import hdf5
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import Read
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Stream

given = np.load(sys.argv[2])
frames = given["x"]
steps = len(frames)
net = hdf5.Network(
    net_config=sys.argv[1],
    input_message_bits=int(given["message_bits"]),
    reset_interval=int(given["reset_interval"]),
    reset_offset=1,
)
if len(net.inp.shape) == 3:  # images lie W, H, C in Lava
    frames = frames.reshape(steps, *given["shape"]).transpose(3, 2, 1, 0)
else:
    frames = frames.reshape(steps, -1).T
stream = Stream(data=frames.astype(np.int32))
sink = Sink(shape=net.out.shape, buffer=steps)
stream.s_out.connect(net.inp)
net.out.connect(sink.a_in)
reads = {}
for index, layer in enumerate(net.layers):
    for word in ("u", "v"):
        reads[f"{word}{index}"] = Read(buffer=steps)
        reads[f"{word}{index}"].connect_var(getattr(layer.neuron, word))
net.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
answer = {name: read.data.get() for name, read in reads.items()}
np.savez(sys.argv[3], out=sink.data.get(), **answer)
net.stop()
