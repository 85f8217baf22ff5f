"""Windows of a population, step by step: what every kernel shares.

A kernel knows one step: input and states in, spikes and states out. Here are its loop over time,
the reset, the steps that do not exist, and what is kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from snndeploy.ir.arrays import AnyArray, BoolArray

Words = dict[str, AnyArray]
Left = list[tuple[str, AnyArray]]
"""Cells in which a word left its range, by what happened to it; a name may come twice."""
Update = Callable[[AnyArray, Words], tuple[AnyArray, Words, Left]]
"""(input int32 [n_windows, n], states) -> (spikes, states, what left its range)."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Kernel:
    """How a population takes a step.

    Attributes:
        states: names of its states.
        watched: names of what may leave its range.
        state_dtype: int32 or int64.
        spike_dtype: float32 for 0 and 1 (the next layer multiplies them), else int64.
    """

    update: Update
    states: tuple[str, ...]
    watched: tuple[str, ...]
    state_dtype: type[np.int32] | type[np.int64]
    spike_dtype: type[np.float32] | type[np.int64]


Beat = Callable[[float], None]
"""Told, from time to time, which share of some windows has run."""


def no_beat(share: float) -> None:
    """Ignore it."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Ran:
    """Spikes, states and overflows of a population.

    Attributes:
        spikes: what was sent [n_windows, steps, n]: float32 0 and 1, or int64 payloads.
        states: states after each step by name, integers [n_windows, steps, n], if asked for.
        overflows: cells in which a word left its range, by what happened to it.
    """

    spikes: AnyArray
    states: Mapping[str, AnyArray]
    overflows: Mapping[str, int]


@dataclass(eq=False, kw_only=True, slots=True)
class Run:
    """A population under way in some windows; steps that do not exist leave all at zero.

    Attributes:
        exists: [n_windows, steps]; within a window the existing steps are contiguous.
        reset_at: the step at whose start all states are cleared.
        spikes: [n_windows, steps, n], filled step by step.
    """

    kernel: Kernel
    exists: BoolArray
    reset_at: int
    spikes: AnyArray
    log: Words
    overflows: dict[str, int]
    now: Words = field(default_factory=dict)

    def step(self, k: int, a: AnyArray) -> None:
        """Take step k with input a, int32 [n_windows, n]."""
        if k in (0, self.reset_at):
            zero: AnyArray = np.zeros(a.shape, dtype=self.kernel.state_dtype)
            self.now = dict.fromkeys(self.kernel.states, zero)
        spikes, self.now, left = self.kernel.update(a, self.now)
        if not self.exists[:, k].all():
            live = self.exists[:, k, None]
            spikes, left = spikes * live, [(name, cells & live) for name, cells in left]
            self.now = {name: values * live for name, values in self.now.items()}
        self.spikes[:, k] = spikes
        for name, values in self.log.items():
            values[:, k] = self.now[name]
        for name, cells in left:
            self.overflows[name] += int(np.count_nonzero(np.broadcast_to(cells, a.shape)))

    def result(self) -> Ran:
        """Return what happened."""
        return Ran(spikes=self.spikes, states=self.log, overflows=self.overflows)


def start(kernel: Kernel, exists: BoolArray, n: int, *, states: bool, reset_at: int = 0) -> Run:
    """Return a run of n neurons that has taken no step yet; `states` says whether they are kept."""
    shape = (*exists.shape, n)
    return Run(
        kernel=kernel,
        exists=exists,
        reset_at=reset_at,
        spikes=np.empty(shape, dtype=kernel.spike_dtype),
        log={s: np.empty(shape, dtype=kernel.state_dtype) for s in kernel.states if states},
        overflows=dict.fromkeys(kernel.watched, 0),
    )
