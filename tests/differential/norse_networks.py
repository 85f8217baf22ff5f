"""Norse networks as its users write them, by name."""

import norse.torch as norse
import torch
from module_runs import Case
from norse.torch.functional.reset import reset_subtract
from torch import nn


def lif(tau_syn=5e-3, tau_mem=1e-2, **options):
    parameters = {"tau_syn_inv": tensor(1 / tau_syn), "tau_mem_inv": tensor(1 / tau_mem)}
    return norse.LIFParameters(**parameters, **{key: tensor(v) for key, v in options.items()})


def box(tau_mem=1e-2, **options):
    made = {key: v if callable(v) else tensor(v) for key, v in options.items()}
    return norse.LIFBoxParameters(tau_mem_inv=tensor(1 / tau_mem), **made)


def tensor(value):
    return torch.as_tensor(value, dtype=torch.float32)


class StatesByHand(nn.Module):
    """One step per call; forward takes and returns every state."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(20, 16), nn.Linear(16, 8)
        self.cell1 = norse.LIFCell(lif(v_th=0.4))
        self.cell2 = norse.LIFBoxCell(box(4e-3))

    def forward(self, x, s1=None, s2=None):
        z, s1 = self.cell1(self.fc1(x), s1)
        z, s2 = self.cell2(self.fc2(z), s2)
        return z, s1, s2


class LoopInForward(nn.Module):
    """As Norse's MNIST tutorial: the loop over time in forward, states start as None."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3)
        self.lif0 = norse.LIFCell(lif(v_th=0.3))
        self.fc = nn.Linear(54, 10, bias=False)
        self.lif1 = norse.LIFCell()

    def forward(self, x):
        s0 = s1 = None
        spikes = []
        for step in range(x.shape[0]):
            z = self.conv(x[step])
            z, s0 = self.lif0(z, s0)
            z = nn.functional.max_pool2d(z, 2)
            z = self.fc(z.flatten(1))
            z, s1 = self.lif1(z, s1)
            spikes.append(z)
        return torch.stack(spikes)


class SequenceInLoop(nn.Module):
    """A SequentialState called once per step of a loop in forward."""

    def __init__(self):
        super().__init__()
        self.body = norse.SequentialState(
            nn.Linear(18, 14), norse.LIFBoxCell(), nn.Linear(14, 6), norse.IAFCell()
        )

    def forward(self, x):
        state = None
        out = []
        for step in range(x.shape[0]):
            z, state = self.body(x[step], state)
            out.append(z)
        return torch.stack(out)


def per_neuron():
    leak = torch.linspace(-0.2, 0.1, 12)
    p = norse.LIFBoxParameters(
        tau_mem_inv=1 / torch.linspace(3e-3, 2e-2, 12), v_leak=leak, v_reset=leak,
        v_th=torch.linspace(0.5, 1.2, 12),
    )  # fmt: skip
    return norse.SequentialState(nn.Linear(20, 12), norse.LIFBoxCell(p))


NETWORKS = {
    "box": Case(
        lambda: norse.SequentialState(
            nn.Linear(20, 16), norse.LIFBoxCell(), nn.Linear(16, 8), norse.LIFBoxCell(box(5e-3))
        ),
        (20,), "outer", n_states=1,
    ),
    "cells": Case(
        lambda: norse.SequentialState(
            nn.Linear(20, 16, bias=False), norse.LIFCell(), nn.Linear(16, 8),
            norse.LIFCell(lif(2e-3, 2e-2, v_th=0.7)),
        ),
        (20,), "outer", n_states=1,
    ),
    "another_dt": Case(
        lambda: norse.SequentialState(nn.Linear(20, 16), norse.LIFCell(dt=5e-4)),
        (20,), "outer", n_states=1,
    ),
    "iaf": Case(
        lambda: norse.SequentialState(nn.Linear(20, 16), norse.IAFCell()), (20,), "outer",
        n_states=1,
    ),
    "conv_average": Case(
        lambda: norse.SequentialState(
            nn.Conv2d(2, 6, 3, padding=1), norse.LIFBoxCell(), nn.AvgPool2d(2), nn.Flatten(),
            nn.Linear(96, 10), norse.LIFCell(),
        ),
        (2, 8, 8), "outer", n_states=1,
    ),
    "conv_max": Case(
        lambda: norse.SequentialState(
            nn.Conv2d(2, 6, (3, 1), groups=2), norse.LIFCell(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(72, 10), norse.IAFCell(),
        ),
        (2, 8, 8), "outer", n_states=1,
    ),
    "lifted": Case(
        lambda: norse.SequentialState(
            norse.Lift(nn.Conv2d(2, 6, 3)), norse.LIF(), norse.Lift(nn.AvgPool2d(2)),
            nn.Flatten(2), nn.Linear(54, 10), norse.LIF(lif(1e-3)),
        ),
        (2, 8, 8), "module",
    ),
    "lifted_sequence": Case(
        lambda: norse.Lift(norse.SequentialState(
            nn.Linear(20, 16), norse.LIFBoxCell(), nn.Linear(16, 8), norse.LIFCell()
        )),
        (20,), "module",
    ),
    "recurrent_cell": Case(
        lambda: norse.SequentialState(
            norse.LIFRecurrentCell(20, 14), nn.Linear(14, 8), norse.LIFCell()
        ),
        (20,), "outer", n_states=1,
    ),
    "recurrent_autapses": Case(
        lambda: norse.SequentialState(
            nn.Linear(20, 16), norse.LIFCell(), norse.LIFRecurrentCell(16, 14, autapses=True),
        ),
        (20,), "outer", n_states=1,
    ),
    "recurrent_sequences": Case(
        lambda: norse.SequentialState(norse.LIFRecurrent(20, 14), norse.LIFRecurrent(14, 8)),
        (20,), "module",
    ),
    "leaky_readout": Case(
        lambda: norse.SequentialState(
            nn.Linear(20, 16), norse.LIFCell(), norse.LILinearCell(16, 5)
        ),
        (20,), "outer", n_states=1, refused="E2102",
    ),
    "box_readout": Case(
        lambda: norse.SequentialState(
            nn.Linear(20, 16), norse.LIFBoxCell(), nn.Linear(16, 5), norse.LIBoxCell()
        ),
        (20,), "outer", n_states=1, refused="E2102",
    ),
    "subtracts": Case(
        lambda: norse.SequentialState(
            nn.Linear(20, 16), norse.LIFBoxCell(box(reset_method=reset_subtract))
        ),
        (20,), "outer", n_states=1,
    ),
    "per_neuron": Case(per_neuron, (20,), "outer", n_states=1),
    "leaks_elsewhere_than_it_resets": Case(
        lambda: norse.SequentialState(
            nn.Linear(20, 16), norse.LIFBoxCell(box(v_leak=0.2, v_reset=-0.1))
        ),
        (20,), "outer", n_states=1, refused="E2125",
    ),
    "states_by_hand": Case(StatesByHand, (20,), "outer", n_states=2),
    "loop_in_forward": Case(LoopInForward, (2, 8, 8), "loop"),
    "sequence_in_loop": Case(SequenceInLoop, (18,), "loop"),
}  # fmt: skip
