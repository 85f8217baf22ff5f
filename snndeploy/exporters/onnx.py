"""The `.onnx` export: the file of `snndeploy.onnxgraph`, run and compared before it is kept.

Where ONNX Runtime is installed the very bytes are run, once as they are and once with all of the
runtime's graph rewriting, and must answer what the reference answers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from snndeploy.errors import TargetError
from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.network import Network
from snndeploy.ir.readout import read_output
from snndeploy.ir.trace import PopulationTrace
from snndeploy.onnxgraph.check import check_onnx
from snndeploy.onnxgraph.file import described, serialized
from snndeploy.onnxgraph.network import Form, OnnxNetwork, write_network
from snndeploy.registry import find_executor
from snndeploy.target import Progress, no_progress

RUNTIME = "onnx"
LEVELS = (False, True)
Run = Callable[[Mapping[str, AnyArray]], dict[str, AnyArray]]
"""Runs a loaded file: inputs by name in, outputs by name out."""


@runtime_checkable
class LoadsFiles(Protocol):
    """An executor that also runs an `.onnx` file as it is."""

    def load_file(self, data: bytes, *, optimised: bool) -> Run:
        """Load a file, with all rewriting of its graph or with none."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """A file and what was compared.

    Attributes:
        compared: cells compared per level of optimisation; 0 without a runtime.
        missing: why there was no runtime, empty if there was.
    """

    data: bytes
    compared: int
    missing: str = ""


def onnx_file(
    network: Network,
    probes: Mapping[str, IntArray],
    *,
    form: Form = "sequence",
    inline: bool = False,
    progress: Progress = no_progress,
) -> Checked:
    """Return a network as an `.onnx` file that was checked.

    Args:
        network: a verified network.
        probes: integers [P, B, *shape] per source to compare on.
        form: `sequence` or `step`.
        inline: without functions.
        progress: called with runs done and in all.

    Raises:
        UnsupportedError: E2400 to E2403.
        ModelError: E1409, onnx refuses the file.
        TargetError: E4042, ONNX Runtime answers otherwise than the reference.
    """
    written = described(network, form, inline=inline)
    data = serialized(written.model)
    check_onnx(data)
    runtime = find_executor(RUNTIME)
    missing = runtime.missing()
    if missing or not isinstance(runtime, LoadsFiles):
        return Checked(data=data, compared=0, missing=missing or f"{RUNTIME} loads no files")
    lasting = network.lasting(len(next(iter(probes.values()))))
    reference = run_reference(lasting, probes, record=tuple(network.population))
    progress(1, 1 + len(LEVELS))
    compared = 0
    whole = _whole(network, inline=inline) if form == "sequence" else None
    for index, optimised in enumerate(LEVELS):
        run = runtime.load_file(data, optimised=optimised)
        got = (
            run_sequence(run, written, probes)
            if form == "sequence"
            else run_steps(run, written, lasting, probes)
        )
        compared = _compare(got, _wanted(written, lasting, reference), optimised=optimised)
        if whole is not None:  # the same graph, telling all that happens inside
            run = runtime.load_file(serialized(whole.model), optimised=optimised)
            got = run_sequence(run, whole, probes)
            compared += _compare(got, _wanted(whole, lasting, reference), optimised=optimised)
        progress(2 + index, 1 + len(LEVELS))
    return Checked(data=data, compared=compared)


def _whole(network: Network, *, inline: bool) -> OnnxNetwork:
    """Return a network's sequence that also returns the spikes and states of all populations."""
    return write_network(network, record=tuple(network.population), inline=inline)


def run_sequence(
    run: Run, written: OnnxNetwork, probes: Mapping[str, IntArray]
) -> dict[str, AnyArray]:
    """Run a file of the `sequence` form; return its outputs [P, B, …] by name."""
    return run({port.name: probes[name] for name, port in written.inputs.items()})


def run_steps(
    run: Run, written: OnnxNetwork, network: Network, probes: Mapping[str, IntArray]
) -> dict[str, AnyArray]:
    """Run a file of the `step` form step by step; return its outputs [P, B, …] by name."""
    n_samples = next(iter(probes.values())).shape[1]
    sizes = {"B": n_samples}
    carried: dict[str, AnyArray] = {
        kept.before.name: np.zeros([sizes.get(str(n), n) for n in kept.before.shape], np.int64)
        for kept in written.carried
    }
    steps = []
    for k in range(network.steps):
        frames = {port.name: probes[name][k] for name, port in written.inputs.items()}
        steps.append(run({**frames, **carried}))
        carried = {kept.before.name: steps[-1][kept.after.name] for kept in written.carried}
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}


def _wanted(
    written: OnnxNetwork, network: Network, reference: Mapping[str, PopulationTrace]
) -> dict[str, AnyArray]:
    """Return what a file's outputs must be, by name."""
    outputs = {output.name: output for output in network.outputs}
    return {
        **{
            port.name: read_output(outputs[name], reference[outputs[name].population])
            for name, port in written.answers.items()
        },
        **{port.name: reference[name].spikes for name, port in written.spikes.items()},
        **{
            port.name: reference[name].states[word] for (name, word), port in written.states.items()
        },
    }


def _compare(
    got: Mapping[str, AnyArray], wanted: Mapping[str, AnyArray], *, optimised: bool
) -> int:
    """Return how many cells are equal: all of them, or TargetError E4042."""
    for name, want in wanted.items():
        if not np.array_equal(got[name], want):
            level = "with" if optimised else "without"
            raise TargetError(
                "E4042",
                f"ONNX Runtime ({level} optimisation) answers otherwise than the reference",
                where=name,
                remedy="update onnxruntime, and report it if it stays",
            )
    return sum(want.size for want in wanted.values())
