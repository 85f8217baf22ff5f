"""Running samples: the float model, or what was compiled from it on any executor.

The host's part is the same for every executor: leading float layers if there are any, encoding to
integers, and reading the outputs. Executors differ only in who runs the integer network.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from snndeploy.energy import Level
from snndeploy.frames import frames_of, longest, model_shapes, steps_of
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.encode import encode
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.ir.readout import decide, read_output, reduce_steps
from snndeploy.model import Model
from snndeploy.nirgraph.interpret import run_float
from snndeploy.pipeline import CompileOptions
from snndeploy.registry import simulator
from snndeploy.samples import Samples, Shapes
from snndeploy.target import Progress, RunResult, Target, no_progress


class Deployed(Protocol):
    """What can be run: a `Compiled` in memory or a `Bundle` on disk."""

    @property
    def network(self) -> Network:
        """The integer network."""
        ...

    @property
    def host(self) -> Model | None:
        """Leading layers that the host computes in float."""
        ...

    @property
    def placement(self) -> Placement | None:
        """Neurons on cores; None if it does not fit."""
        ...

    @property
    def options(self) -> CompileOptions:
        """What the user chose."""
        ...

    @property
    def target(self) -> Target:
        """The chip it was compiled for."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Answer:
    """What a run answered.

    Attributes:
        y: [P, B, *shape] per output, in the model's units.
        decision: class per sample [B] of each output.
        accuracy: share of samples whose first output decides for the label; None without labels.
        clipped: input values beyond the integer range, per source.
        result: traces, counts and timing; None for the float model.
    """

    backend: str
    y: Mapping[str, FloatArray]
    decision: Mapping[str, IntArray]
    accuracy: float | None
    clipped: Mapping[str, int] = field(default_factory=dict)
    result: RunResult | None = None


def input_shapes(deployed: Deployed) -> Shapes:
    """Return the shape of every array the user gives: the host part's inputs, else the sources."""
    if deployed.host is not None:
        return model_shapes(deployed.host)
    return {source.name: source.shape for source in deployed.network.inputs}


def run_model(model: Model, samples: Samples, *, steps: int | None = None) -> Answer:
    """Run the float model.

    Args:
        model: the model.
        samples: the user's arrays.
        steps: model steps per sample; None takes the model's own, else as many as the data has; 0
            always takes the data's.

    Raises:
        ModelError: E1211, more frames than steps.
        UsageError: E5022, a static image, and nothing says for how many steps.
    """
    steps = steps_of(model, samples, steps)
    y = run_float(model, frames_of(model, samples, steps))
    decision = {
        port.name: reduce_steps(port.decode, y[port.name]).reshape(samples.n, -1).argmax(axis=1)
        for port in model.outputs
    }
    return Answer(
        backend="float", y=y, decision=decision, accuracy=_accuracy(decision, samples.label)
    )


def run_deployed(
    deployed: Deployed,
    samples: Samples,
    backend: str,
    *,
    record: tuple[str, ...] = (),
    timed: bool = True,
    timing: Level = "bound",
    threads: int = 1,
    trace: Mapping[str, tuple[int, ...]] | None = None,
    progress: Progress = no_progress,
) -> Answer:
    """Run samples on an executor.

    Args:
        deployed: what to run.
        samples: the user's arrays.
        backend: name of an executor.
        record: populations to return traces of, beyond the outputs.
        timed: whether the simulator gives times too, which asks for the chip's latencies.
        timing: how closely the simulator follows the network on the chip.
        threads: of the simulator.
        trace: neurons whose states the simulator traces, by population; None keeps no trace.
        progress: called with samples done and total.

    Raises:
        ModelError: arrays that do not fit the inputs; E3020 and E3021, of the trace.
        UsageError: E5060, threads or a trace of something that is not the simulator.
        TargetError: the executor is missing or failed.
    """
    executor = simulator(backend, threads=threads, trace=trace)
    inputs, clipped = encode_samples(deployed, samples)
    network = deployed.network.lasting(longest(inputs))
    outputs = network.outputs
    wanted = dict.fromkeys((*(output.population for output in outputs), *record))
    result = executor.run(
        network,
        inputs,
        record=tuple(wanted),
        placement=deployed.placement,
        chip=deployed.target.chip if timed else None,
        timing=timing,
        progress=progress,
    )
    y = {output.name: read_output(output, result.traces[output.population]) for output in outputs}
    decision = {output.name: decide(output, y[output.name]) for output in outputs}
    return Answer(
        backend=backend,
        y=y,
        decision=decision,
        accuracy=_accuracy(decision, samples.label),
        clipped=clipped,
        result=result,
    )


def encode_samples(
    deployed: Deployed, samples: Samples
) -> tuple[dict[str, IntArray], dict[str, int]]:
    """Return what the host injects, [P, B, *shape] per source, and the values it clipped."""
    network = deployed.network.lasting(longest(samples.x))
    arrays: Mapping[str, FloatArray] = samples.x
    host = deployed.host
    if host is not None:  # its outputs are the network's inputs, in order
        y = run_float(host, frames_of(host, samples, network.steps))
        pairs = zip(network.inputs, host.outputs, strict=True)
        arrays = {source.name: y[port.name] for source, port in pairs}
    encoded = {
        source.name: encode(
            source,
            arrays[source.name],
            steps=network.steps,
            rng=np.random.default_rng([deployed.options.seed, index]),
        )
        for index, source in enumerate(network.inputs)
    }
    return (
        {name: e.values for name, e in encoded.items()},
        {name: e.clipped for name, e in encoded.items()},
    )


def _accuracy(decision: Mapping[str, IntArray], label: IntArray | None) -> float | None:
    if label is None:
        return None
    return float(np.mean(next(iter(decision.values())) == label))
