"""Executor `onnx`: the network as an ONNX Scan, on ONNX Runtime."""

from collections.abc import Callable, Mapping

import numpy as np

from hwtargets.onnxruntime.session import INSTALL, Session, is_installed
from snndeploy.energy import Level
from snndeploy.errors import ModelError
from snndeploy.ir.arrays import AnyArray, IntArray, frozen_int
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.ir.trace import PopulationTrace
from snndeploy.onnxgraph.network import OnnxNetwork, write_network
from snndeploy.target import ChipSpec, Progress, RunResult, no_progress

CHUNK_BYTES = 64 << 20
"""States and spikes of so many samples are asked for at a time."""


class OnnxExecutor:
    """Satisfies `snndeploy.target.Executor`."""

    name = "onnx"

    def missing(self) -> str | None:
        """Return None if ONNX Runtime is installed, else how to get it."""
        return None if is_installed() else f"ONNX Runtime is not installed: {INSTALL}"

    def run(
        self,
        network: Network,
        inputs: Mapping[str, IntArray],
        *,
        record: tuple[str, ...],
        placement: Placement | None = None,  # noqa: ARG002 - ONNX knows neurons, no cores
        chip: ChipSpec | None = None,  # noqa: ARG002
        timing: Level = "bound",  # noqa: ARG002
        progress: Progress = no_progress,
    ) -> RunResult:
        """Run samples side by side, each in its window; no counts, no timing.

        Raises:
            ModelError: E1400, integers beyond a source's range.
            UnsupportedError: E2400 to E2403, what ONNX cannot say exactly.
            TargetError: E4040 ONNX Runtime failed; E4041 it is not installed.
        """
        check_range(network, inputs)
        written = write_network(network, record=record)
        session = Session(written.model.SerializeToString())
        n_samples = next(iter(inputs.values())).shape[1]
        words = sum(p.n * (1 + len(p.program.states)) for p in network.populations)
        size = max(1, CHUNK_BYTES // (8 * max(1, network.steps * words)))
        parts = []
        for start in range(0, n_samples, size):
            part = {name: inputs[name][:, start : start + size] for name in written.inputs}
            answer = session.run({written.inputs[name].name: x for name, x in part.items()})
            parts.append(traces(written, answer))
            progress(min(start + size, n_samples), n_samples)
        return RunResult(executor=self.name, traces={name: _joined(name, parts) for name in record})

    def load_file(
        self, data: bytes, *, optimised: bool
    ) -> Callable[[Mapping[str, AnyArray]], dict[str, AnyArray]]:
        """Load an ONNX file as it is; return what runs it: inputs by name in, outputs out.

        Args:
            data: the file.
            optimised: with all of ONNX Runtime's rewriting of the graph, or with none.

        Raises:
            TargetError: E4040 ONNX Runtime refuses the file; E4041 it is not installed.
        """
        return Session(data, optimised=optimised).run


def check_range(network: Network, inputs: Mapping[str, IntArray]) -> None:
    """Refuse integers that a source does not declare: nothing is proven of them.

    Raises:
        ModelError: E1400.
    """
    for source in network.inputs:
        values = inputs[source.name]
        low, high = int(values.min(initial=0)), int(values.max(initial=0))
        if low < min(source.low, 0) or high > max(source.high, 0):
            raise ModelError(
                "E1400",
                f"integers {low}..{high}, the network takes {source.low}..{source.high}",
                where=source.name,
                remedy="encode the samples as the network declares them",
            )


def traces(written: OnnxNetwork, answer: Mapping[str, AnyArray]) -> dict[str, PopulationTrace]:
    """Return the recorded populations' traces [P, B, n] among a sequence's outputs."""
    return {
        name: PopulationTrace(
            spikes=answer[port.name].astype(np.int64),
            states={
                word: answer[state.name].astype(np.int64)
                for (owner, word), state in written.states.items()
                if owner == name
            },
        )
        for name, port in written.spikes.items()
    }


def _joined(name: str, parts: list[dict[str, PopulationTrace]]) -> PopulationTrace:
    """Return one population's traces of consecutive samples as one."""
    states = parts[0][name].states
    return PopulationTrace(
        spikes=frozen_int(np.concatenate([part[name].spikes for part in parts], axis=1)),
        states={
            word: frozen_int(np.concatenate([part[name].states[word] for part in parts], axis=1))
            for word in states
        },
    )
