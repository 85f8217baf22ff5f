"""Model x Numerics -> Network: choose scales, round once, prove ranges from the weights."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerReport:
    """How one population's integers were chosen.

    Attributes:
        population: its name in the network.
        node: the NIR nodes it came from, joined by `+`.
        synapse: kind of its synapses (`dense`, `conv`, …).
        n_neurons: neurons.
        n_weights: stored weights.
        unit: real value of one weight unit; real = unit * integer.
        weight_exp: exponent of the projection.
        vth, du, dv: registers.
        rounded: weights that are not on the grid as they stand; `clipped`: beyond it.
        weight_rms: rms of (integer weight - real weight), relative to the rms of the real weights.
        bias_error: largest bias error, in units of the threshold.
        decay_error: |real decay factor - register's|, per step.
        headroom_bits: log2(limit / proven bound) of the tightest range; never negative.
        enlarged: factor by which a range proof made the weight step larger than the weights alone
            ask for (1.0: not at all).
        exact: the integer population equals the float one spike for spike, proven.
        why: reasons why it is not exact; empty if it is.
    """

    population: str
    node: str
    synapse: str
    n_neurons: int
    n_weights: int
    unit: float
    weight_exp: int
    vth: int
    du: int
    dv: int
    rounded: int
    clipped: int
    weight_rms: float
    bias_error: float
    decay_error: float
    headroom_bits: float
    enlarged: float
    exact: bool
    why: tuple[str, ...]
