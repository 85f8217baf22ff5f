"""Random parameters for every neuron program, tuned so that it is neither mute nor stuck.

Every parameter that may differ from neuron to neuron does so in about half of the populations.
"""

from dataclasses import replace

import numpy as np

from snndeploy.ir import programs
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.neurons import LIF, NEVER, V_LIMIT
from snndeploy.ir.program import INT32, as_params


def tune(network, inputs, rng, program, *, wild):
    """Return the network with the last population running `program` on parameters for it."""
    n = network.populations[-1].n
    if program.bounds == "leaky":
        params = leaky_params(network, inputs, rng, program.name, wild=wild)
    else:
        params = PAYLOAD[program.name](rng, listen(network, inputs), n)
    return with_neuron(network, program, params)


def with_neuron(network, program, params):
    """Return the network with another program and parameters of its last population."""
    top = replace(network.populations[-1], program=program, params=params)
    return replace(network, populations=(*network.populations[:-1], top))


def listen(network, inputs):
    """Return what arrives at the last population [P, B, n]."""
    wide = programs.graded_sum(low=INT32[0], high=INT32[1])
    heard = with_neuron(network, programs.GRADED_SUM, wide)
    name = network.populations[-1].name
    return run_reference(heard, inputs, record=(name,))[name].spikes


def leaky_params(network, inputs, rng, name, *, wild):
    """Draw decays and bias, let v run free, put the threshold where it crosses now and then."""
    n = network.populations[-1].n
    spread = 4095 if wild else 200
    drawn = {
        "du": 4095 if rng.random() < 0.5 else varied(rng, n, -1, 4095),
        "dv": 0 if rng.random() < 0.3 else varied(rng, n, 0, 4096),
        "bias_mant": 0 if rng.random() < 0.4 else varied(rng, n, -spread, spread),
        "bias_exp": 7 if wild else varied(rng, n, 0, 7),
    }
    free = with_neuron(network, LIF, as_params({**drawn, "vth": NEVER}))
    top = free.populations[-1].name
    v = run_reference(free, inputs, record=(top,))[top].states["v"]
    level = float(np.quantile(v, 1 - rng.uniform(0.03, 0.3)))
    if name == "lif_multi":
        level /= int(rng.integers(1, 6))
    jitter = rng.uniform(0.6, 1.4, n) if rng.random() < 0.5 else 1.0
    threshold = np.clip(np.rint(level * jitter), 1, V_LIMIT).astype(np.int64)
    extra = {} if name == "lif_multi" else {"strict": bool(rng.random() < 0.5)}
    if name in ("lif_subtract", "lif_clamped", "lif_multi") and rng.random() < 0.7:
        floor = -int(rng.integers(0, 2 * int(threshold.max()) + 1))
        extra["v_min"] = max(floor, -V_LIMIT)
    if name == "lif_multi":
        extra["most"] = varied(rng, n, 1, 31)
    if name == "lif_refractory":
        extra["refractory"] = varied(rng, n, 0, 3)
    return getattr(programs, name)(**drawn, threshold=threshold, **extra)


def varied(rng, n, low, high):
    """Return one value or one per neuron, in [low, high]."""
    size = n if rng.random() < 0.5 else None
    return rng.integers(low, high, size=size, endpoint=True)


def message(rng):
    """Return a payload range of 2 to 13 bits, without a sign in one of three."""
    high = 1 << int(rng.integers(2, 12))
    return {"low": 0 if rng.random() < 1 / 3 else -high, "high": high - 1}


def change(rng, levels, n):
    """Draw exponents and a threshold that the changes of `levels` [P, B, n] reach now and then."""
    spike_exp, state_exp = int(rng.integers(0, 3)), int(rng.integers(0, 4))
    steps = np.abs(np.diff(levels, axis=0, prepend=0))
    steps = steps[steps > 0] if steps.any() else np.ones(1)
    vth = np.quantile(steps, rng.uniform(0.1, 0.8))
    jitter = rng.uniform(0.5, 1.5, n) if rng.random() < 0.5 else 1.0
    return {
        "spike_exp": spike_exp, "state_exp": state_exp, "cum_error": bool(rng.random() < 0.4),
        "vth": np.rint(np.minimum(vth * jitter, 1 << 20)).astype(np.int64), **message(rng),
    }  # fmt: skip


def delta(rng, arriving, n):
    return programs.delta(**change(rng, arriving, n))


def sigma_delta(rng, arriving, n):
    drawn = change(rng, np.cumsum(arriving, axis=0), n)
    drawn["vth"] = drawn["vth"] >> (drawn["spike_exp"] + drawn["state_exp"])
    bias = varied(rng, n, -20, 20) if rng.random() < 0.3 else 0
    return programs.sigma_delta(relu=bool(rng.random() < 0.6), bias=bias, **drawn)


def graded_product(rng, arriving, _):
    """Split what arrives so that both factors are there now and then."""
    largest = max(int(np.abs(arriving).max()), 8)
    bits = int(rng.integers(2, max(min(largest.bit_length(), 16), 3)))
    product_exp = int(rng.integers(0, 3))
    return programs.graded_product(bits=bits, product_exp=product_exp, **message(rng))


PAYLOAD = {
    "sigma": lambda rng, _, __: programs.sigma(**message(rng)),
    "graded_sum": lambda rng, _, __: programs.graded_sum(**message(rng)),
    "graded_product": graded_product,
    "delta": delta,
    "sigma_delta": sigma_delta,
}
