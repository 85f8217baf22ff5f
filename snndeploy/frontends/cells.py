"""Which neuron an exported program's arithmetic is: probed, matched with a template, then verified.

A cell is a comparison v > threshold (or >=) and the next values of the states that v was made of.
Everything is evaluated in float64, per neuron, as the file wrote it. From a few probes follow

    u = keep_u * u + take_u * x          with two states; else u = x
    v = keep_v * v + take_v * u + drive
    spike, then v = v_reset, v - threshold, or neither; or either of them in the next step

and then the template must give the program's own answers on thousands of random states and inputs,
ties among them. What does not is refused by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.decays import DT, decay_constants
from snndeploy.frontends.expressions import Expr, State, evaluate, own_states, unwrapped
from snndeploy.frontends.neurons import Neuron
from snndeploy.ir.arrays import FloatArray
from snndeploy.nirgraph.canonical import Shape
from snndeploy.semantics import Reset, Semantics

STEP = 2.0**-12
"""Size of a probe: far below any threshold, and exact in products."""
N_PROBES = 2000
CLOSE = 1e-9
WHERE = "a neuron of the exported program"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Cell:
    """The arithmetic of one neuron layer.

    Attributes:
        path: of its module, for names and messages.
        shape: of the layer.
        compare: the comparison.
        v, threshold: what it compares.
        currents: expressions or sources whose sum is the input.
        potential: name of the state that v is.
        synapse: name of the state that is the current, if there is one.
        after: next value of every state.
    """

    path: str
    shape: Shape
    compare: Expr
    v: Any
    threshold: FloatArray
    currents: tuple[Any, ...]
    potential: str
    synapse: str | None
    after: Mapping[str, Any]


def compared(compare: Expr) -> tuple[Any, Any]:
    """Return v and the threshold of a comparison `v > threshold` or `v - threshold > 0`."""
    left, right = (unwrapped(arg) for arg in compare.args[:2])
    if isinstance(left, Expr) and left.op == "sub" and len(left.args) == 2:
        inner, subtracted = unwrapped(left.args[0]), unwrapped(left.args[1])
        if not isinstance(subtracted, Expr | State) and np.all(np.asarray(right) == 0):
            return inner, subtracted
    return left, right


def read_cell(cell: Cell) -> Neuron:
    """Return the NIR node of a cell and the semantics under which it is that cell.

    Raises:
        UnsupportedError: E2421, the arithmetic is none of the templates.
    """
    if cell.compare.op not in ("gt", "ge"):
        raise refuse(cell, f"fires on {cell.compare.op!r}, not above a threshold")
    probe = _Probe(cell)
    _check_sum(cell, probe)
    zero = np.zeros(cell.shape)
    drive = probe.v(zero, zero, zero)
    keep_v = (probe.v(zero + STEP, zero, zero) - drive) / STEP
    gain = (probe.v(zero, zero, zero + STEP) - drive) / STEP
    keep_u = take_u = zero
    if cell.synapse is not None:
        base = probe.after(cell.synapse, zero, zero, zero)
        keep_u = (probe.after(cell.synapse, zero, zero + STEP, zero) - base) / STEP
        take_u = (probe.after(cell.synapse, zero, zero, zero + STEP) - base) / STEP
        seen = (probe.v(zero, zero + STEP, zero) - drive) / STEP
        if np.any(base) or np.any(np.abs(seen * take_u - gain * keep_u) > CLOSE):
            raise refuse(cell, "uses its current neither as it is after nor before its decay")
    reset, v_reset = _reset(cell, probe)
    template = _Template(
        keep_v=keep_v, gain=gain, drive=drive, keep_u=keep_u, take_u=take_u, reset=reset,
        v_reset=v_reset,
    )  # fmt: skip
    _verify(cell, probe, template)
    return _node(cell, template)


def _check_sum(cell: Cell, probe: "_Probe") -> None:
    """Refuse parts of an input that do not count alike."""
    zero = np.zeros(cell.shape)
    for index in range(1, len(cell.currents)):
        other = _Probe(cell, index)
        same = np.array_equal(other.v(zero, zero, zero + STEP), probe.v(zero, zero, zero + STEP))
        for state in cell.after:
            first, second = (p.after(state, zero, zero, zero + STEP) for p in (probe, other))
            same = same and np.array_equal(first, second)
        if not same:
            raise refuse(cell, "weighs the parts of its input differently")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Template:
    keep_v: FloatArray
    gain: FloatArray
    drive: FloatArray
    keep_u: FloatArray
    take_u: FloatArray
    reset: Reset | str
    v_reset: FloatArray


class _Probe:
    """Evaluates a cell for values of its potential, its current and its input."""

    def __init__(self, cell: Cell, part: int = 0) -> None:
        self.cell, self.part = cell, part

    def _known(self, v: FloatArray, i: FloatArray, x: FloatArray) -> dict[Any, Any]:
        known: dict[Any, Any] = {id(part): np.zeros_like(x) for part in self.cell.currents}
        known |= {State(self.cell.potential): v, id(self.cell.currents[self.part]): x}
        if self.cell.synapse is not None:
            known[State(self.cell.synapse)] = i
        return known

    def v(self, v: FloatArray, i: FloatArray, x: FloatArray) -> FloatArray:
        """Return what is compared with the threshold."""
        return self._value(self.cell.v, v, i, x)

    def fires(self, v: FloatArray, i: FloatArray, x: FloatArray) -> FloatArray:
        """Return the spikes."""
        return self._value(self.cell.compare, v, i, x)

    def after(self, state: str, v: FloatArray, i: FloatArray, x: FloatArray) -> FloatArray:
        """Return the next value of a state."""
        return self._value(self.cell.after[state], v, i, x)

    def _value(self, part: Any, v: FloatArray, i: FloatArray, x: FloatArray) -> FloatArray:
        try:
            value = evaluate(part, self._known(v, i, x))
        except KeyError:
            raise refuse(self.cell, "reads more than its own states and its input") from None
        try:
            return np.array(np.broadcast_to(value, x.shape), dtype=np.float64)
        except ValueError:
            raise refuse(
                self.cell, f"its parameters {np.shape(value)} do not fit {x.shape}"
            ) from None


def _reset(cell: Cell, probe: _Probe) -> tuple[str, FloatArray]:
    """Return the rule, from states and inputs far above and far below the threshold."""
    zero = np.zeros(cell.shape)
    large = np.abs(cell.threshold) * 64 + 64
    pushed = probe.v(zero, zero, large)
    left = probe.after(cell.potential, zero, zero, large)
    twice = probe.after(cell.potential, zero, zero, 2 * large)
    if not probe.fires(zero, zero, large).all():
        raise refuse(cell, "does not fire on a large input")
    if np.allclose(left, twice, rtol=0, atol=CLOSE):
        return "zero", left
    if np.allclose(left, pushed - cell.threshold, rtol=CLOSE):
        return "subtract", zero
    if not np.allclose(left, pushed, rtol=CLOSE):
        raise refuse(cell, "resets to neither a value nor by its threshold")
    low, high = probe.v(-large, zero, zero), probe.v(large, zero, zero)
    slope = (probe.v(zero, zero, zero) - low) / large
    straight = probe.v(zero, zero, zero) + slope * large
    if np.allclose(high, straight, rtol=CLOSE):
        return "none", zero
    if np.allclose(high, straight - cell.threshold, rtol=CLOSE):
        return "subtract-delayed", zero
    if np.allclose(high, probe.v(zero, zero, zero), rtol=0, atol=CLOSE):
        return "zero-delayed", zero
    raise refuse(cell, "resets in the next step by neither a value nor its threshold")


def _verify(cell: Cell, probe: _Probe, template: _Template) -> None:
    """Compare the template with the program on random states and inputs, some at the threshold."""
    rng = np.random.default_rng(20_260_101)
    size = np.abs(cell.threshold) + np.abs(template.v_reset) + 1
    v, i, x = (rng.normal(size=(N_PROBES, *cell.shape)) * 2 * size for _ in range(3))
    v[: N_PROBES // 4] = np.broadcast_to(cell.threshold, v[: N_PROBES // 4].shape)
    want = (probe.v(v, i, x), probe.fires(v, i, x), probe.after(cell.potential, v, i, x))
    u = template.keep_u * i + template.take_u * x
    share = np.divide(template.gain, template.take_u, out=np.zeros_like(u[0]),
                      where=template.take_u != 0)  # fmt: skip
    arriving = share * u if cell.synapse is not None else template.gain * x
    kept = template.keep_v * v
    over = v >= cell.threshold if cell.compare.op == "ge" else v > cell.threshold
    if template.reset == "subtract-delayed":
        kept = kept - over * cell.threshold
    elif template.reset == "zero-delayed":
        kept = np.where(over, 0.0, kept)
    compared_v = kept + arriving + template.drive
    fires = want[1] > 0
    after = {
        "zero": np.where(fires, template.v_reset, compared_v),
        "subtract": compared_v - fires * cell.threshold,
    }.get(template.reset, compared_v)
    scale = CLOSE * (1 + np.abs(compared_v))
    near = np.abs(compared_v - cell.threshold) <= scale
    above = (compared_v > cell.threshold) == fires
    same = [np.abs(want[0] - compared_v) <= scale, near | above, np.abs(want[2] - after) <= scale]
    if cell.synapse is not None:
        found = probe.after(cell.synapse, v, i, x)
        same.append(np.abs(found - u) <= CLOSE * (1 + np.abs(u)))
    if not all(part.all() for part in same):
        raise refuse(cell, "computes something else than a leaky integrate-and-fire neuron")


def _node(cell: Cell, template: _Template) -> Neuron:
    if np.any(template.keep_v < 0) or np.any(template.keep_v > 1 + CLOSE):
        raise refuse(cell, "its potential does not decay")
    keep = np.minimum(template.keep_v, 1.0)
    threshold = np.array(np.broadcast_to(cell.threshold, cell.shape), dtype=np.float64)
    spiking = {"v_threshold": threshold, "v_reset": template.v_reset}
    resets: dict[str, Reset] = {
        "subtract": "subtract", "subtract-delayed": "subtract-delayed", "none": "none",
    }  # fmt: skip
    semantics = Semantics(
        dt=DT,
        compare="ge" if cell.compare.op == "ge" else "gt",
        reset=resets.get(template.reset, "zero"),
        feedback="spike",
    )
    tau, unit = decay_constants(keep)
    if cell.synapse is None and np.all(keep == 1.0) and not template.drive.any():
        return nir.IF(r=template.gain / DT, **spiking), semantics
    if np.any((keep == 1.0) & (template.drive != 0)):
        raise refuse(cell, "adds a constant to a potential that does not decay")
    leak = np.divide(template.drive, 1 - keep, out=np.zeros_like(keep), where=keep < 1)
    if cell.synapse is None:
        return nir.LIF(tau=tau, r=template.gain * unit, v_leak=leak, **spiking), semantics
    if np.any(template.take_u == 0) or np.any((template.keep_u < 0) | (template.keep_u > 1)):
        raise refuse(cell, "its current takes nothing, or does not decay")
    tau_syn, unit_syn = decay_constants(template.keep_u)
    node = nir.CubaLIF(
        tau_syn=tau_syn, tau_mem=tau, r=template.gain / template.take_u * unit, v_leak=leak,
        w_in=template.take_u * unit_syn, **spiking,
    )  # fmt: skip
    return node, semantics


def refuse(cell: Cell, why: str) -> UnsupportedError:
    """Return the error for arithmetic that is no neuron we know."""
    return UnsupportedError(
        "E2421", f"{WHERE} {why}", where=cell.path or cell.compare.name,
        remedy="save the module itself with snndeploy.save(net, 'model.pt', example_input)",
    )  # fmt: skip


def synapse_of(potential: str, after: Mapping[str, Any]) -> str | None:
    """Return the state that is a current: its next value reads itself alone."""
    others = [name for name in after if name != potential]
    return next((name for name in others if own_states(after[name]) <= {name}), None)
