"""A network as Lava processes and connections: plain data, written without importing Lava.

`lower` makes it, `program_files` turns it into the two files (`lava.json`, `lava.npz`) that
`run.py` reads in Lava's own interpreter. The same program always gives the same bytes.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.program import Program

FORMAT = "snndeploy-lava 2"
LAVA_VERSION = "0.10.0"
JSON_NAME = "lava.json"
NPZ_NAME = "lava.npz"
LIF_STATES = ("u", "v")

ProcessKind = Literal[
    "stream", "lif", "program", "dense", "sparse", "delay_dense", "delay_sparse", "conv"
]
Setting = int | str | tuple[int, ...]
Via = tuple[tuple[Literal["reshape", "transpose", "flatten"], tuple[int, ...]], ...]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LavaProcess:
    """One Lava process: its kind, its scalar settings by Lava's own names, its arrays."""

    name: str
    kind: ProcessKind
    settings: Mapping[str, Setting]
    arrays: Mapping[str, IntArray]


@dataclass(frozen=True, kw_only=True, slots=True)
class LavaConnection:
    """An out-port wired to an in-port; `via` are the virtual ports between them, in order."""

    source: str
    target: str
    via: Via = ()


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LavaProgram:
    """A lowered network.

    Attributes:
        steps: model steps per sample (P).
        depth: chip steps from a sample's first input to the last population's first window.
        guard: dead steps before each window.
        alone: every sample is a run of its own, started from cleared processes.
        outputs: populations the host reads.
        neurons: the programs of processes of kind `program`, by name.
        processes: sources, synapses and populations.
        connections: the wiring.
    """

    name: str
    steps: int
    depth: int
    guard: int
    alone: bool
    outputs: tuple[str, ...]
    neurons: Mapping[str, Program]
    processes: tuple[LavaProcess, ...]
    connections: tuple[LavaConnection, ...]

    @property
    def period(self) -> int:
        """Chip steps from one sample's start to the next one's."""
        return self.steps + (self.depth if self.alone else self.guard)

    def process(self, name: str) -> LavaProcess:
        """Return a process by name."""
        return next(process for process in self.processes if process.name == name)

    def states(self, population: str) -> tuple[str, ...]:
        """Return the names of a population's states."""
        process = self.process(node_name(population))
        if process.kind == "lif":
            return LIF_STATES
        return tuple(state.name for state in self.neurons[str(process.settings["program"])].states)


def node_name(name: str) -> str:
    """Return the process name of a source or population."""
    return f"node:{name}"


def synapse_name(name: str) -> str:
    """Return the process name of a projection."""
    return f"synapse:{name}"


def program_files(program: LavaProgram) -> dict[str, bytes]:
    """Return `lava.json` and `lava.npz` of a program; equal programs give equal bytes."""
    arrays = {
        f"{process.name}.{key}": compact(value)
        for process in program.processes
        for key, value in process.arrays.items()
    }
    record = {
        "format": FORMAT,
        "lava": LAVA_VERSION,
        "name": program.name,
        "steps": program.steps,
        "depth": program.depth,
        "guard": program.guard,
        "alone": program.alone,
        "outputs": program.outputs,
        "programs": {name: neuron_record(neuron) for name, neuron in program.neurons.items()},
        "processes": [
            {"name": p.name, "kind": p.kind, "arrays": sorted(p.arrays), **p.settings}
            for p in program.processes
        ],
        "connections": [
            {"source": c.source, "target": c.target, "via": c.via} for c in program.connections
        ],
    }
    text = json.dumps(record, indent=1, sort_keys=True) + "\n"
    return {JSON_NAME: text.encode(), NPZ_NAME: npz_bytes(arrays)}


def neuron_record(program: Program) -> dict[str, object]:
    """Return a neuron program as JSON: states, statements `[target, op, *args]`, what is sent."""
    return {
        "states": [state.name for state in program.states],
        "body": [[s.target, s.op, *s.args] for s in program.body],
        "emits": program.emits,
    }


def compact(values: IntArray) -> AnyArray:
    """Return the same integers in the smallest signed word that holds them all."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    fits = (
        word
        for word in (np.int8, np.int16, np.int32, np.int64)
        if np.iinfo(word).min <= low and high <= np.iinfo(word).max
    )
    return values.astype(next(fits))


def npz_bytes(arrays: Mapping[str, AnyArray]) -> bytes:
    """Return an uncompressed .npz in name order with a fixed date: equal arrays, equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(arrays[name]))
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(info, member.getvalue())
    return buffer.getvalue()
