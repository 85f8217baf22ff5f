"""A network with inputs, run and compared, kept in two files that anyone can read back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from hwtargets.simulator import SIMULATOR
from snndeploy.divergence import compare_traces
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.network import Network
from snndeploy.ir.silence import silence_problems
from snndeploy.ir.text import parse_network, print_network
from snndeploy.ir.trace import PopulationTrace
from snndeploy.ir.verify_network import network_problems

Traces = Mapping[str, PopulationTrace]
INPUTS, NETWORK = ".inputs.npz", ".network.txt"


@dataclass(frozen=True, eq=False)
class Case:
    """A network and its inputs [P, B, *shape] by source."""

    network: Network
    inputs: Mapping[str, np.ndarray]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.network.population)

    @property
    def is_valid(self) -> bool:
        """Whether the network is well formed and the inputs are the right ones for it."""
        steps = self.network.steps
        fits = all(
            self.inputs[s.name].shape[0] == steps and self.inputs[s.name].shape[2:] == s.shape
            for s in self.network.inputs
        )
        problems = list(network_problems(self.network)) or list(silence_problems(self.network))
        return fits and bool(self.names) and not problems

    @cached_property
    def answer(self) -> tuple[Traces, Mapping[str, int]]:
        """What the reference says: traces, and how often words wrapped and clipped."""
        overflows: dict[str, int] = {}
        traces = run_reference(self.network, self.inputs, record=self.names, overflows=overflows)
        return traces, overflows

    @property
    def traces(self) -> Traces:
        return self.answer[0]

    @property
    def overflows(self) -> Mapping[str, int]:
        return self.answer[1]

    def describe(self) -> str:
        """Return its size in a line."""
        counts = " + ".join(str(p.n) for p in self.network.populations)
        steps, samples = next(iter(self.inputs.values())).shape[:2]
        return (
            f"{len(self.names)} populations ({counts} neurons), {samples} samples of {steps} steps"
        )


Run = Callable[[Case], Traces]


def simulate(case: Case) -> Traces:
    """Run a case on the simulator, its network printed as text and parsed back."""
    network = parse_network(print_network(case.network)[0])
    return SIMULATOR.run(network, case.inputs, record=case.names).traces


def difference(case: Case, got: Traces) -> str | None:
    """Return the first cell, in chip time, that the reference has otherwise; None if none is."""
    want = case.traces
    for name in case.names:
        if set(want[name].states) != set(got[name].states):
            return f"{name}: states {sorted(got[name].states)}, not {sorted(want[name].states)}"
    result = compare_traces(case.network, want, got, backend="")
    return result.first.line() if result.first else None


def differs(run: Run) -> Callable[[Case], bool]:
    """Return whether an executor differs from the reference on a case."""
    return lambda case: difference(case, run(case)) is not None


def save_case(case: Case, folder: Path, name: str) -> Path:
    """Write a case; return the path of its text."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}{NETWORK}"
    path.write_text(print_network(replace(case.network, name=name))[0])
    np.savez_compressed(folder / f"{name}{INPUTS}", **case.inputs)
    return path


def load_case(path: Path) -> Case:
    """Read a case by the path of its text."""
    with np.load(path.with_name(path.name.replace(NETWORK, INPUTS))) as arrays:
        return Case(parse_network(path.read_text()), {name: arrays[name] for name in arrays.files})
