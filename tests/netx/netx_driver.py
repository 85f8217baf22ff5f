"""Run a `.net` file with lava-dl's netx on Lava; runs in their own Python.

Usage: netx_driver.py NETWORK.net INPUT.npz ANSWER.npz. INPUT holds x [chip steps, n] as the first
layer takes it (flat, or C, H, W), shape, message_bits, reset_interval (0 is none) and the first
layer to record; ANSWER gets out [chip steps, n] and the words of every layer from that one on
(u<i>, v<i>, or what sigma-delta neurons hold and send), images in Lava's W, H, C.
"""

import sys

import numpy as np
from lava.lib.dl.netx import hdf5
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import Read
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Stream

WORDS = {
    "LIF": ("u", "v"),
    "LIFReset": ("u", "v"),
    "Sigma": ("sigma",),
    "Delta": ("act", "residue"),
    "SigmaDelta": ("sigma", "act", "residue"),
}
given = np.load(sys.argv[2])
frames = given["x"]
steps = len(frames)
net = hdf5.Network(
    net_config=sys.argv[1],
    input_message_bits=int(given["message_bits"]),
    reset_interval=int(given["reset_interval"]) or None,
    reset_offset=1,
)
if len(net.inp.shape) == 3:  # images lie W, H, C in Lava
    frames = frames.reshape(steps, *given["shape"]).transpose(3, 2, 1, 0)
else:
    frames = frames.reshape(steps, -1).T
stream = Stream(data=frames.astype(np.int32))
sinks = {"out": Sink(shape=net.out.shape, buffer=steps)}
has_delta = type(net.in_layer.neuron).__name__ == "Delta"  # netx leaves its own port unconnected
stream.s_out.connect(net.in_layer.neuron.a_in if has_delta else net.inp)
net.out.connect(sinks["out"].a_in)
reads = {}
for index, layer in enumerate(net.layers):
    neuron, kind = layer.neuron, type(layer.neuron).__name__
    if index < int(given["first"]):
        continue
    for word in WORDS[kind]:
        reads[f"{word}{index}"] = Read(buffer=steps)
        reads[f"{word}{index}"].connect_var(getattr(neuron, word))
    if not kind.startswith("LIF"):
        sinks[f"out{index}"] = Sink(shape=neuron.s_out.shape, buffer=steps)
        neuron.s_out.connect(sinks[f"out{index}"].a_in)
net.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
answer = {name: process.data.get() for name, process in {**reads, **sinks}.items()}
np.savez(sys.argv[3], **answer)
net.stop()
