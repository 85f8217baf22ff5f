"""A float model with inputs, compiled and compared, kept as `.nir` and arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from snndeploy.frontends.nir_file import read, write
from snndeploy.ir.encode import encode
from snndeploy.model import Model
from snndeploy.nirgraph.interpret import run_float
from snndeploy.passes.neuron import NEURONS
from snndeploy.pipeline import Compiled, CompileOptions, compile_model
from snndeploy.registry import find_target
from tests.generator.case import INPUTS, Case, Run, differs

NIR = ".nir"


@dataclass(frozen=True, eq=False)
class ModelCase:
    """A model and real inputs [P, B, *shape] by port."""

    model: Model
    inputs: dict[str, np.ndarray]
    is_valid = True

    @cached_property
    def compiled(self) -> Compiled:
        return compile_model(self.model, find_target("loihi2"), CompileOptions())

    @cached_property
    def case(self) -> Case:
        """The compiled network with what the host injects."""
        network, rng = self.compiled.network, np.random.default_rng(0)
        encoded = {
            s.name: encode(s, self.inputs[s.name], steps=network.steps, rng=rng).values
            for s in network.sources
        }
        return Case(network, encoded)

    def exact(self) -> tuple[str, ...]:
        """Return the populations that are called exact, and so is all that feeds them."""
        network = self.compiled.network
        exact = {r.population for r in self.compiled.layers if r.exact and r.vth}
        known = {s.name for s in network.sources if not s.is_graded}
        for p in sorted(network.populations, key=lambda p: p.wave):
            if p.name in exact or ".relay" in p.name:
                known |= {p.name} if {q.source for q in network.into(p.name)} <= known else set()
        spiking = self.model.graph.nodes
        return tuple(n for n in known if n in spiking and isinstance(spiking[n], NEURONS))

    def floats(self, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Return what the float model sends [P, B, n]."""
        found = run_float(self.model, self.inputs, record=names)
        return {name: found[name].reshape(*found[name].shape[:2], -1) for name in names}

    def unlike_float(self) -> str | None:
        """Return an exact population that does not fire as the float model does."""
        names = self.exact()
        want, got = self.floats(names), self.case.traces
        return next((n for n in names if not np.array_equal(want[n], got[n].spikes)), None)


def random_inputs(rng, model: Model, n_samples: int) -> dict[str, np.ndarray]:
    """Return spikes, or real numbers in the range of the port, [P, B, *shape]."""
    found = {}
    for port in model.inputs:
        shape = (model.steps, n_samples, *port.shape)
        spikes = rng.random(shape) < 0.3
        found[port.name] = spikes * (rng.uniform(-1, 1, shape) if port.values == "real" else 1.0)
    return found


def network_differs(run: Run) -> Callable[[ModelCase], bool]:
    """Return whether an executor differs from the reference on the compiled network."""
    return lambda model_case: differs(run)(model_case.case)


def save_model_case(model_case: ModelCase, folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write(model_case.model, folder / f"{name}{NIR}")
    np.savez_compressed(folder / f"{name}{INPUTS}", **model_case.inputs)
    return folder / f"{name}{NIR}"


def load_model_case(path: Path) -> ModelCase:
    with np.load(path.with_name(path.name.replace(NIR, INPUTS))) as arrays:
        return ModelCase(read(path), {name: arrays[name] for name in arrays.files})
