"""Random parameters for every neuron program, tuned to what arrives: neither mute nor stuck.

Every parameter that may differ from neuron to neuron does so in about half of the populations;
registers take their smallest and largest values now and then, nearly always if `extreme`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.ir import programs
from snndeploy.ir.neurons import LEAKY_REGISTERS, LIF, NEVER, V_LIMIT
from snndeploy.ir.program import INT32, Params, Program, State, as_params, line
from snndeploy.ir.programs import PROGRAMS

PAYLOAD_24 = {"low": -(1 << 23), "high": (1 << 23) - 1}

ALIF = Program(
    name="alif",
    states=(State(name="v", bits=24), State(name="fatigue", bits=24)),
    params=("dv", "dfatigue", "vth", "cost"),
    body=(
        line("kv", "sub", 4096, "dv"),
        line("v", "mul", "v", "kv"),
        line("v", "shz", "v", 12),
        line("x", "shift", "a", 6),
        line("v", "add", "v", "x"),
        line("v", "clip", "v", -(1 << 23), (1 << 23) - 1),
        line("kf", "sub", 4096, "dfatigue"),
        line("fatigue", "mul", "fatigue", "kf"),
        line("fatigue", "shz", "fatigue", 12),
        line("level", "add", "vth", "fatigue"),
        line("s", "gt", "v", "level"),
        line("v", "select", "s", 0, "v"),
        line("tired", "mul", "s", "cost"),
        line("fatigue", "add", "fatigue", "tired"),
        line("fatigue", "clip", "fatigue", 0, (1 << 23) - 1),
    ),
    emits="s",
    registers={"dv": (0, 4096), "dfatigue": (0, 4096), "vth": (0, 1 << 22), "cost": (0, 1 << 20)},
)
"""A neuron that the package has never heard of: every spike raises its threshold, which sinks back.

    v <- clip24( trunc(v * (4096 - dv) / 4096) + (a << 6) )
    fatigue <- trunc(fatigue * (4096 - dfatigue) / 4096)
    s <- v > vth + fatigue;  v <- 0 and fatigue <- fatigue + cost where s
"""

ALL_PROGRAMS: Mapping[str, Program] = {**PROGRAMS, ALIF.name: ALIF}


@dataclass(frozen=True, slots=True)
class Cell:
    """A population to be tuned.

    Attributes:
        n: neurons.
        extreme: whether registers lie at their limits.
        run: (program, params) -> (what is sent, states by name), each [P, B, n], with the
            population's own input.
    """

    rng: np.random.Generator
    n: int
    extreme: bool
    run: Callable[[Program, Params], tuple[np.ndarray, Mapping[str, np.ndarray]]]

    def varied(self, low, high):
        """Return one value or one per neuron, in [low, high]."""
        size = self.n if self.rng.random() < 0.5 else None
        return self.rng.integers(low, high, size=size, endpoint=True)

    def register(self, name, *, usual=None, per_neuron=True):
        """Return a value of one of `LEAKY_REGISTERS`: an end of it, the usual one, or any."""
        low, high = LEAKY_REGISTERS[name]
        drawn = self.rng.random()
        if drawn < (0.6 if self.extreme else 0.1):
            return int(self.rng.choice([low, high]))
        if usual is not None and drawn > 0.6:
            return usual
        return self.varied(low, high) if per_neuron else int(self.rng.integers(low, high + 1))

    def leaky(self, *, per_neuron):
        """Return decays and a bias that does not drown the input, unless `extreme`."""
        bias = {"bias_mant": 0, "bias_exp": 0}
        if self.extreme or self.rng.random() < 0.5:
            bias = {"bias_mant": self.register("bias_mant"), "bias_exp": self.register("bias_exp")}
            if not self.extreme:
                bias["bias_mant"] = np.clip(bias["bias_mant"], -200, 200)
        return {
            "du": self.register("du", usual=4095, per_neuron=per_neuron),
            "dv": self.register("dv", usual=0, per_neuron=per_neuron),
            **bias,
        }

    def level(self, values) -> int:
        """Return one of the values, which a part of them exceed: a tie where it is reached."""
        return int(np.quantile(values, 1 - self.rng.uniform(0.03, 0.35), method="lower"))


def random_params(cell: Cell, name: str) -> Params:
    """Return parameters of one of `ALL_PROGRAMS` for a population."""
    return MAKERS[name](cell)


def silent_lif(cell: Cell) -> Params:
    """Return parameters of an integrator that never fires, leaky or not."""
    return as_params({**cell.leaky(per_neuron=False), "vth": NEVER})


def lif(cell: Cell) -> Params:
    """Let v run free, put the threshold where it crosses now and then, at its ends if it can."""
    return with_threshold(cell, silent_lif(cell), likely=0.9 if cell.extreme else 0.15)


def brim(cell: Cell) -> Params:
    """Return a `lif` that a few spikes of the largest weight fill up to the clip."""
    free = {
        "du": int(cell.rng.choice([-1, 4095])), "dv": 0, "vth": NEVER,
        "bias_mant": int(cell.rng.choice(LEAKY_REGISTERS["bias_mant"])), "bias_exp": 7,
    }  # fmt: skip
    return with_threshold(cell, as_params(free), likely=1.0)


def with_threshold(cell: Cell, free: Params, *, likely: float) -> Params:
    """Return parameters of `lif` with a threshold at one of its ends, if that tells, or tuned."""
    v = cell.run(LIF, free)[1]["v"]
    ends = [vth for vth in (0, NEVER - 1) if (v > vth << 6).any() and not (v > vth << 6).all()]
    if ends and cell.rng.random() < likely:
        return as_params({**free, "vth": ends[-1]})
    return as_params({**free, "vth": int(np.clip(cell.level(v) >> 6, 0, NEVER - 1))})


def leaky(name: str) -> Callable[[Cell], Params]:
    """Return a maker of parameters for a leaky program of a fine threshold."""

    def make(cell: Cell) -> Params:
        rng = cell.rng
        drawn = cell.leaky(per_neuron=True)
        v = cell.run(LIF, as_params({**drawn, "vth": NEVER}))[1]["v"]
        level = cell.level(v) / (int(rng.integers(1, 6)) if name == "lif_multi" else 1)
        jitter = rng.uniform(0.6, 1.4, cell.n) if rng.random() < 0.4 else 1.0
        threshold = np.clip(np.rint(level * jitter), 1, V_LIMIT).astype(np.int64)
        extra = {} if name == "lif_multi" else {"strict": bool(rng.random() < 0.5)}
        if name in ("lif_subtract", "lif_clamped", "lif_multi") and rng.random() < 0.7:
            floor = -int(rng.integers(0, 2 * int(threshold.max()) + 1))
            extra["v_min"] = max(floor, -V_LIMIT)
        if name == "lif_multi":
            extra["most"] = cell.varied(1, 31)
        if name == "lif_refractory":
            extra["refractory"] = cell.varied(0, 3)
        return getattr(programs, name)(**drawn, threshold=threshold, **extra)

    return make


def alif(cell: Cell) -> Params:
    """Put the threshold where a memoryless v would cross it now and then."""
    arriving = listen(cell)
    return as_params({
        "dv": cell.varied(0, 4096),
        "dfatigue": cell.varied(0, 4096),
        "vth": int(np.clip(cell.level(np.clip(arriving, -(1 << 16), 1 << 16)) << 6, 0, 1 << 22)),
        "cost": cell.varied(0, 5000),
    })  # fmt: skip


def listen(cell: Cell) -> np.ndarray:
    """Return what arrives [P, B, n]."""
    return cell.run(programs.GRADED_SUM, programs.graded_sum(low=INT32[0], high=INT32[1]))[0]


def message(cell: Cell):
    """Return a payload range of 2 to 12 bits and a sign in two of three, or of 24 bits."""
    if cell.rng.random() < (0.8 if cell.extreme else 0.15):
        return PAYLOAD_24
    high = 1 << int(cell.rng.integers(2, 12))
    return {"low": 0 if cell.rng.random() < 1 / 3 else -high, "high": high - 1}


def change(cell: Cell, levels):
    """Draw exponents and a threshold that the changes of `levels` [P, B, n] reach now and then."""
    rng = cell.rng
    steps = np.abs(np.diff(levels, axis=0, prepend=0))
    steps = steps[steps > 0] if steps.any() else np.ones(1)
    vth = np.quantile(steps, rng.uniform(0.1, 0.8))
    jitter = rng.uniform(0.5, 1.5, cell.n) if rng.random() < 0.5 else 1.0
    spike_exp = 7 if cell.extreme else int(rng.integers(0, 3))
    state_exp = int(rng.integers(0, 8 if cell.extreme else 4))
    most = INT32[1] >> (spike_exp + state_exp)
    return {
        "spike_exp": spike_exp, "state_exp": state_exp, "cum_error": bool(rng.random() < 0.4),
        "vth": np.rint(np.minimum(vth * jitter, most)).astype(np.int64), **message(cell),
    }  # fmt: skip


def graded_product(cell: Cell) -> Params:
    """Split what arrives so that both factors are there now and then."""
    largest = max(int(np.abs(listen(cell)).max()), 8)
    bits = int(cell.rng.integers(2, max(min(largest.bit_length(), 16), 3)))
    product_exp = int(cell.rng.integers(0, 3))
    return programs.graded_product(bits=bits, product_exp=product_exp, **message(cell))


def delta(cell: Cell) -> Params:
    return programs.delta(**change(cell, listen(cell)))


def sigma_delta(cell: Cell) -> Params:
    drawn = change(cell, np.cumsum(listen(cell), axis=0))
    drawn["vth"] = drawn["vth"] >> (drawn["spike_exp"] + drawn["state_exp"])
    bias = cell.varied(-20, 20) if cell.rng.random() < 0.3 else 0
    return programs.sigma_delta(relu=bool(cell.rng.random() < 0.6), bias=bias, **drawn)


MAKERS: Mapping[str, Callable[[Cell], Params]] = {
    "lif": lif,
    **{name: leaky(name) for name, p in PROGRAMS.items() if p.bounds == "leaky" and name != "lif"},
    "sigma": lambda cell: programs.sigma(**message(cell)),
    "graded_sum": lambda cell: programs.graded_sum(**message(cell)),
    "graded_product": graded_product,
    "delta": delta,
    "sigma_delta": sigma_delta,
    "alif": alif,
}
assert set(MAKERS) == set(ALL_PROGRAMS)
