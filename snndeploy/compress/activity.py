"""What the nodes of a float model send on samples, batch by batch, in bounded memory.

Graphs without loops run in torch. What `torch_graph` refuses, loops and neurons of the user's own,
runs in the float interpreter, so that every model that runs at all can be scored.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor

from snndeploy.compress.torch_graph import (
    TorchGraph,
    Weights,
    run_graph,
    tensor_of,
    torch_graph,
    weights_of,
)
from snndeploy.errors import UnsupportedError
from snndeploy.frames import frames_of
from snndeploy.ir.arrays import FloatArray
from snndeploy.ir.readout import reduce_steps
from snndeploy.model import Model
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.shapes import normalize_graph, shape_of
from snndeploy.samples import Samples
from snndeploy.target import Progress, no_progress

MEMORY = 1 << 29
"""Bytes that the values of one batch may take, all nodes and steps together (512 MiB)."""
NOT_IN_TORCH = ("E2301", "E2303")
"""Loops, and neurons of the user's own."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Activity:
    """A model that is ready to be watched.

    Attributes:
        steps: model steps per sample.
        dtype: precision of the run; always float64 in the float interpreter.
        batch: samples that fit `MEMORY` at once.
        graph: None where the float interpreter runs.
        weights: of the graph, in `dtype`.
    """

    model: Model
    steps: int
    dtype: torch.dtype
    batch: int
    graph: TorchGraph | None
    weights: Weights

    def traces(self, samples: Samples, record: tuple[str, ...]) -> Iterator[dict[str, Tensor]]:
        """Yield what nodes send, batch by batch in the order of the samples.

        Args:
            samples: what the model is run on.
            record: nodes; `NODE:v` is a neuron's potential after the reset of each step.

        Returns:
            [T, b, *shape] per output port and name in `record`.
        """
        for start in range(0, samples.n, self.batch):
            part = samples.rows(slice(start, start + self.batch))
            frames = frames_of(self.model, part, self.steps)
            if self.graph is not None:
                yield _run(self.graph, self.weights, frames, record, self.dtype)
            else:
                found = run_float(self.model, frames, record=record)
                yield {name: torch.from_numpy(array) for name, array in found.items()}


def activity_of(model: Model, *, steps: int, dtype: torch.dtype = torch.float32) -> Activity:
    """Return a model that is ready to be watched for so many steps per sample."""
    graph = _in_torch(model)
    dtype = torch.float64 if graph is None else dtype
    weights = {} if graph is None else {k: w.to(dtype) for k, w in weights_of(graph).items()}
    nodes = normalize_graph(model.graph).nodes.values()
    values = sum(prod(shape_of(node)) for node in nodes)
    batch = max(1, MEMORY // (values * steps * dtype.itemsize))
    return Activity(
        model=model, steps=steps, dtype=dtype, batch=batch, graph=graph, weights=weights
    )


def accuracy_of(
    model: Model, samples: Samples, *, steps: int, progress: Progress = no_progress
) -> float | None:
    """Return the share of right decisions in float64, as `run --backend float` gives it.

    None without labels.
    """
    if samples.label is None:
        return None
    port = model.outputs[0]
    right, start = 0, 0
    for found in activity_of(model, steps=steps, dtype=torch.float64).traces(samples, ()):
        y = found[port.name].numpy()
        decision = reduce_steps(port.decode, y).reshape(y.shape[1], -1).argmax(axis=1)
        right += int(np.count_nonzero(decision == samples.label[start : start + y.shape[1]]))
        start += y.shape[1]
        progress(start, samples.n)
    return right / samples.n


def _in_torch(model: Model) -> TorchGraph | None:
    try:
        return torch_graph(model)
    except UnsupportedError as error:
        if error.code not in NOT_IN_TORCH:
            raise
        return None


@torch.no_grad()
def _run(
    graph: TorchGraph,
    weights: Weights,
    frames: Mapping[str, FloatArray],
    record: tuple[str, ...],
    dtype: torch.dtype,
) -> dict[str, Tensor]:
    inputs = {name: tensor_of(frame, dtype) for name, frame in frames.items()}
    return run_graph(graph, weights, inputs, record=record)
