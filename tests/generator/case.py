"""A network with inputs, run and compared, kept in two files that anyone can read back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hwtargets.simulator import SIMULATOR
from snndeploy.divergence import compare_traces
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.network import Network
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
            for s in self.network.sources
        )
        return fits and bool(self.names) and not list(network_problems(self.network))

    def reference(self, overflows: dict[str, int] | None = None) -> Traces:
        return run_reference(self.network, self.inputs, record=self.names, overflows=overflows)

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


def difference(case: Case, want: Traces, got: Traces) -> str | None:
    """Return the first cell, in chip time, in which two answers differ; None if there is none."""
    for name in case.names:
        if set(want[name].states) != set(got[name].states):
            return f"{name}: states {sorted(got[name].states)}, not {sorted(want[name].states)}"
    result = compare_traces(case.network, want, got, backend="")
    return result.first.line() if result.first else None


def differs(run: Run) -> Callable[[Case], bool]:
    """Return whether an executor differs from the reference on a case."""
    return lambda case: difference(case, case.reference(), run(case)) is not None


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
