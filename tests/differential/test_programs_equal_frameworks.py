"""Programs fire where the frameworks' neurons fire, where integers hold weights and leaks exactly.

Weights lie on the chip's 8-bit grid, leaks are 1/2, 3/4 or 1, and windows are so short that every
product is exact in the frameworks' 32-bit floats and in ours: any difference of a spike or of a
potential is a difference of the model.
"""

import numpy as np
import pytest
import snntorch as snn
import torch
from spikingjelly.activation_based import neuron

from hwtargets.simulator import SIMULATOR
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.programs import PROGRAMS, lif_clamped, lif_subtract, lif_subtract_delayed
from snndeploy.ir.synapses import Dense
from snndeploy.ir.verify_network import verify_network

STEPS, SAMPLES, N_IN, N = 6, 12, 10, 40
WEIGHT_EXP = 4
WEIGHT_UNIT = 1 / 16
"""What a weight of 1 stands for."""
UNIT = (64 << WEIGHT_EXP) * 16
"""State units per 1.0. Weights are even, so inputs have 11 spare bits; 3/4 takes 2 per step."""
KEEP = {0.5: 2048, 0.75: 1024, 1.0: 0}
"""dv by the share of v that is kept."""


def case(seed):
    """Return even weights [n, n_in] and spikes [T, B, n_in]."""
    rng = np.random.default_rng(seed)
    weight = 2 * rng.integers(-6, 10, size=(N, N_IN))
    return weight, (rng.random((STEPS, SAMPLES, N_IN)) < 0.3).astype(np.int64)


def run_program(name, params, weight, x):
    """Return spikes and potentials [T, B, n] of the simulator, potentials as the framework's."""
    population = Population(name="p", shape=(N,), program=PROGRAMS[name], params=params, wave=1)
    link = Projection(
        name="s", source="in", target="p", synapse=Dense(weight=weight), weight_exp=WEIGHT_EXP
    )
    network = Network(
        name="n", steps=STEPS, sources=(Source(name="in", shape=(N_IN,)),),
        populations=(population,), projections=(link,),
        outputs=(Output(name="o", population="p", shape=(N,), readout="spikes", decode="sum"),),
    )  # fmt: skip
    verify_network(network)
    trace = SIMULATOR.run(network, {"in": x}, record=("p",)).traces["p"]
    return trace.spikes, trace.states["v"] / UNIT


def run_framework(step, weight, x):
    """Return spikes and potentials [T, B, n] of a neuron: step(current) -> (spikes, potential)."""
    found = []
    for row in x:
        current = torch.tensor(row @ weight.T * WEIGHT_UNIT, dtype=torch.float32)
        found.append([values.detach().numpy() for values in step(current)])
    return tuple(np.stack(values) for values in zip(*found, strict=True))


def assert_same(ours, theirs):
    assert 0.01 < ours[0].mean() < 0.6
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_array_equal(ours[1], theirs[1])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("keep", KEEP)
def test_delayed_subtraction_is_snntorchs_default_reset(keep, seed):
    weight, x = case(seed)
    threshold = np.random.default_rng(seed).integers(4, 16, N) / 8
    layer = snn.Leaky(
        beta=keep, threshold=torch.tensor(threshold, dtype=torch.float32), init_hidden=True,
        output=True,
    )  # fmt: skip
    assert layer.reset_mechanism == "subtract"
    params = lif_subtract_delayed(
        du=4095, dv=KEEP[keep], threshold=(threshold * UNIT).astype(np.int64)
    )
    ours = run_program("lif_subtract_delayed", params, weight, x)
    assert_same(ours, run_framework(layer, weight, x))


def spikingjelly(keep, threshold, v_reset):
    """Return one step of a SpikingJelly neuron."""
    options = {"v_threshold": threshold, "v_reset": v_reset}
    if keep == 1.0:
        layer = neuron.IFNode(**options)
    else:
        layer = neuron.LIFNode(tau=1 / (1 - keep), decay_input=False, **options)
    layer.eval()
    return lambda current: (layer(current), layer.v)


@pytest.mark.parametrize("threshold", [0.75, 1.0, 1.5])
@pytest.mark.parametrize("keep", KEEP)
def test_subtraction_is_spikingjellys_soft_reset(keep, threshold):
    weight, x = case(int(8 * threshold))
    params = lif_subtract(du=4095, dv=KEEP[keep], threshold=int(threshold * UNIT), strict=False)
    ours = run_program("lif_subtract", params, weight, x)
    assert_same(ours, run_framework(spikingjelly(keep, threshold, None), weight, x))


@pytest.mark.parametrize("threshold", [0.75, 1.0, 1.5])
@pytest.mark.parametrize("keep", KEEP)
def test_fine_threshold_is_spikingjellys_hard_reset_at_ties(keep, threshold):
    weight, x = case(int(8 * threshold))
    settings = {"du": 4095, "dv": KEEP[keep], "threshold": int(threshold * UNIT)}
    ours = run_program("lif_clamped", lif_clamped(**settings, strict=False), weight, x)
    assert_same(ours, run_framework(spikingjelly(keep, threshold, 0.0), weight, x))
    above, _ = run_program("lif_clamped", lif_clamped(**settings), weight, x)
    assert not np.array_equal(above, ours[0]), "nothing ties"
