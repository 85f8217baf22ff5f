# /// script
# requires-python = ">=3.10,<3.11"
# dependencies = ["lava-nc==0.10.0", "numpy<2"]
# ///
"""Run a lowered network in Lava and write what every recorded population did.

This is the only file that imports Lava, and the `run.py` of a bundle. It needs CPython 3.10,
numpy and lava-nc, nothing else:

    python run.py --program DIR --input X.npz --output Y.npz [--record NAME,NAME]
    python run.py --input probes.npz --output answer.npz --expect expected.npz

DIR holds `lava.json` and `lava.npz`. X.npz holds integers [P, B, *shape] as `x`, or `x.SOURCE`
where there are several sources. Y.npz gets `POPULATION.spikes`, `.u` and `.v`, [P, B, n] each, in
C, H, W order; u and v are those after the step's reset. Neurons that are not Lava's own run from
their statements, and their states have names of their own. With --expect the answer is compared
with the arrays of a file, and the exit status is 7 if one value differs. Runs on the CPU in Lava's
fixed-point models; it has not been tested on a Loihi board.

Samples are streamed back to back: step k of sample b enters at chip step b * P + k, and a
population with wave offset w answers it at chip step b * P + w + k.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
import traceback
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE, enum_equal
from lava.proc.conv.process import Conv
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.lif.models import PyLifResetModelBitAcc
from lava.proc.lif.process import LIFReset
from lava.proc.sparse.process import DelaySparse, Sparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix

FORMAT = "snndeploy-lava 2"
POLL_S = 0.01
ERROR_TIMEOUT_S = 5.0
STATUS_DIVERGENCE = 7
SPIKES = "spikes"
POPULATIONS = ("lif", "program")
Process = dict[str, Any]
"""A process of lava.json: name, kind and settings."""


class StreamSource(AbstractProcess):
    """Sends row t - wave of a file [n_rows, n] at chip step t, over and over or zeros around it.

    Lava's own source keeps its data as a Var, copied into every actor; this one reads a file.
    """

    def __init__(self, *, n: int, wave: int, repeats: bool, path: Path) -> None:
        super().__init__(n=n, wave=wave, repeats=repeats, path=path)
        self.s_out = OutPort(shape=(n,))


@implements(proc=StreamSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyStreamSourceModel(PyLoihiProcessModel):
    """Streams a memory-mapped file."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.rows = np.load(proc_params["path"], mmap_mode="r")
        self.wave, self.repeats = proc_params["wave"], proc_params["repeats"]
        self.silence = np.zeros(proc_params["n"], dtype=np.int32)

    def run_spk(self) -> None:
        """Send this step's row; Lava counts steps from 1."""
        row = self.time_step - 1 - self.wave
        row = row % len(self.rows) if self.repeats else row
        self.s_out.send(self.rows[row] if 0 <= row < len(self.rows) else self.silence)


class RecordingLIF(LIFReset):
    """Lava's LIFReset that also writes its spikes, u and v to files.

    Reading a Var back moves one element per message, and a Monitor does that every step.
    """

    def __init__(self, *, record: "Record", **settings: Any) -> None:
        super().__init__(**settings)
        self.proc_params["record"] = record


class PyRecordingLifModel(PyLifResetModelBitAcc):
    """Lava's own model, unchanged; what it computed is copied to disk after each step."""

    implements_process = RecordingLIF  # Lava's decorator refuses models that inherit from models

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.record = proc_params["record"]
        self.logs = self.record.open_logs(np.uint8, np.int32)

    def reset_voltage(self, spike_vector: np.ndarray) -> None:
        """Keep the spikes that Lava computed, then let Lava go on."""
        self.logs["spikes"][self.time_step - 1] = spike_vector
        super().reset_voltage(spike_vector)

    def run_spk(self) -> None:
        """Run Lava's step, then copy the state it left."""
        super().run_spk()
        self.logs["u"][self.time_step - 1] = self.u
        self.logs["v"][self.time_step - 1] = self.v
        self.record.tell(self.time_step)


def wrap(a: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return a as a signed word of some bits."""
    half = np.left_shift(np.int64(1), bits - 1)
    return np.mod(a + half, 2 * half) - half


OPS = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "shift": lambda a, b: np.where(b < 0, a >> np.maximum(-b, 0), a << np.maximum(b, 0)),
    "shz": lambda a, b: np.sign(a) * np.right_shift(np.abs(a), b),
    "gt": lambda a, b: np.greater(a, b).astype(np.int64),
    "le": lambda a, b: np.less_equal(a, b).astype(np.int64),
    "max": np.maximum,
    "select": lambda a, b, c: np.where(a != 0, b, c),
    "clip": np.clip,
    "wrap": wrap,
}
"""The statements of neuron programs, on 64-bit integers."""


class ProgramNeuron(AbstractProcess):
    """A population of any neuron program; `program` and `params` are those of lava.json and npz."""

    def __init__(self, *, n: int, **settings: Any) -> None:
        super().__init__(n=n, **settings)
        self.a_in = InPort(shape=(n,))
        self.s_out = OutPort(shape=(n,))


@implements(proc=ProgramNeuron, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyProgramNeuronModel(PyLoihiProcessModel):
    """Interprets the statements; states are reset as Lava's LIFReset does it."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        program = proc_params["program"]
        self.n, self.body, self.emits = proc_params["n"], program["body"], program["emits"]
        self.interval, self.offset = proc_params["reset_interval"], proc_params["reset_offset"]
        self.params = proc_params["params"]
        self.states = {name: self.zeros() for name in program["states"]}
        self.record = proc_params["record"]
        self.logs = self.record.open_logs(np.int32, np.int64) if self.record else {}

    def zeros(self) -> np.ndarray:
        """Return the value of a state after a reset."""
        return np.zeros(self.n, dtype=np.int64)

    def run_spk(self) -> None:
        """Reset if it is time, take the input, run the statements, send."""
        if self.time_step % self.interval == self.offset % self.interval:
            self.states = {name: self.zeros() for name in self.states}
        words = {**self.params, **self.states, "a": self.a_in.recv().astype(np.int64)}
        for target, op, *args in self.body:
            words[target] = OPS[op](*(words[a] if a in words else np.int64(a) for a in args))
        self.states = {name: words[name] for name in self.states}
        sent = np.broadcast_to(words[self.emits], self.n)
        for word, values in {SPIKES: sent, **self.states}.items() if self.logs else ():
            self.logs[word][self.time_step - 1] = values
        self.s_out.send(sent.astype(np.int32))
        if self.record:
            self.record.tell(self.time_step)


class Record:
    """Where one population's spikes and states [chip_steps, n] go."""

    def __init__(
        self,
        stem: Path,
        *,
        states: "list[str]",
        shape: "tuple[int, int]",
        progress: "Progress | None",
    ) -> None:
        self.stem, self.words, self.shape = stem, [SPIKES, *states], shape
        self.progress = progress

    def path(self, word: str) -> Path:
        """Return the file of one word."""
        return self.stem.with_suffix(f".{self.words.index(word)}.npy")

    def tell(self, time_step: int) -> None:
        """Report progress, if this record is the one that does."""
        if self.progress:
            self.progress.update(time_step)

    def open_logs(self, spikes: type, states: type) -> "dict[str, np.ndarray]":
        """Create the files of all words; rows written to them are on disk at once."""
        return {
            word: np.lib.format.open_memmap(
                self.path(word), mode="w+", dtype=spikes if word == SPIKES else states,
                shape=self.shape,
            )
            for word in self.words
        }  # fmt: skip


class Progress:
    """Writes `done total`, in samples over all jobs, to a file that a parent may read."""

    def __init__(self, path: "Path | None", *, done: int, total: int, program: "Program") -> None:
        self.path, self.done, self.total = path, done, total
        self.period, self.tail = program.period, program.chip_steps(0)

    def update(self, time_step: int) -> None:
        """Write the count when a sample is complete; Lava's steps count from 1."""
        samples, rest = divmod(time_step - self.tail, self.period)
        if self.path and samples > 0 and rest == 0:
            self.path.write_text(f"{self.done + samples} {self.total}\n")


class Program:
    """A lowered network read from its folder."""

    def __init__(self, folder: Path) -> None:
        self.record = json.loads((folder / "lava.json").read_text())
        if self.record.get("format") != FORMAT:
            raise ValueError(f"{folder}: not a program of format {FORMAT!r}")
        with np.load(folder / "lava.npz") as arrays:
            self.arrays = {name: arrays[name] for name in arrays.files}
        self.steps, self.depth = self.record["steps"], self.record["depth"]
        self.guard, self.alone = self.record["guard"], self.record["alone"]
        self.period = self.steps + (self.depth if self.alone else self.guard)
        self.processes = {p["name"]: p for p in self.record["processes"]}

    def last(self, steps: int) -> None:
        """Give a network without end, whose P is 0, the length of its input."""
        if not self.steps:
            self.steps, self.period = steps, steps + self.depth
            for process in self.of_kind(*POPULATIONS):
                process["reset_interval"] = self.period

    def chip_steps(self, samples: int) -> int:
        """Return the steps that run some samples, pipeline drain included."""
        return (samples - 1) * self.period + self.steps + self.depth

    def array(self, process: Process, key: str, dtype: type = np.int32) -> np.ndarray:
        """Return one array of a process."""
        return self.arrays[f"{process['name']}.{key}"].astype(dtype)

    def of_kind(self, *kinds: str) -> list[Process]:
        """Return the processes of some kinds: source or population records."""
        return [p for p in self.record["processes"] if p["kind"] in kinds]

    def neuron(self, process: Process) -> dict[str, Any]:
        """Return the neuron program of a process: states, body, emits."""
        return self.record["programs"][process["program"]]

    def states(self, process: Process) -> list[str]:
        """Return the names of a population's states."""
        return ["u", "v"] if process["kind"] == "lif" else self.neuron(process)["states"]

    def components(self) -> list[set[str]]:
        """Return sets of connected process names; Lava runs one connected graph at a time."""
        groups = {name: {name} for name in self.processes}
        for wire in self.record["connections"]:
            merged = groups[wire["source"]] | groups[wire["target"]]
            for name in merged:
                groups[name] = merged
        return list({id(group): group for group in groups.values()}.values())


def node_name(process: Process) -> str:
    """Return a source's or population's own name."""
    return process["name"].split(":", 1)[1]


def synapse_settings(process: Process) -> dict[str, Any]:
    """Return the settings that all of Lava's matrix synapses take, the sign mode explicit."""
    return {
        "sign_mode": SignMode[process["sign_mode"].upper()],
        "num_weight_bits": process["num_weight_bits"],
        "weight_exp": process["weight_exp"],
        "num_message_bits": process["num_message_bits"],
    }


def build_dense(program: Program, process: Process) -> AbstractProcess:
    """Return Dense, or DelayDense with one delay for all synapses."""
    settings = {"weights": program.array(process, "weights"), **synapse_settings(process)}
    if process["kind"] == "dense":
        return Dense(**settings)
    return DelayDense(delays=process["delay"], max_delay=process["delay"], **settings)


def build_sparse(program: Program, process: Process) -> AbstractProcess:
    """Return Sparse, or DelaySparse with one delay for all synapses."""
    shape = (process["n_out"], process["n_in"])
    indices, indptr = program.array(process, "indices"), program.array(process, "indptr")
    weights = csr_matrix((program.array(process, "weights"), indices, indptr), shape)
    if process["kind"] == "sparse":
        return Sparse(weights=weights, **synapse_settings(process))
    same = np.full(len(indices), process["delay"], dtype=int)
    return DelaySparse(
        weights=weights,
        delays=csr_matrix((same, indices, indptr), shape),
        max_delay=process["delay"],
        **synapse_settings(process),
    )


def build_conv(program: Program, process: Process) -> AbstractProcess:
    """Return Conv; it knows no sign mode."""
    return Conv(
        weight=program.array(process, "weight"),
        input_shape=tuple(process["input_shape"]),
        stride=tuple(process["stride"]),
        padding=tuple(process["padding"]),
        dilation=tuple(process["dilation"]),
        groups=process["groups"],
        weight_exp=process["weight_exp"],
        num_weight_bits=process["num_weight_bits"],
        num_message_bits=process["num_message_bits"],
    )


SYNAPSES = {
    "dense": build_dense,
    "delay_dense": build_dense,
    "sparse": build_sparse,
    "delay_sparse": build_sparse,
    "conv": build_conv,
}


def build_lif(program: Program, process: Process, record: "Record | None") -> LIFReset:
    """Return a population, recording if `record` says where to."""
    n = process["n"]
    settings = {
        "shape": (n,),
        "bias_mant": np.broadcast_to(program.array(process, "bias_mant"), n).copy(),
        "bias_exp": np.broadcast_to(program.array(process, "bias_exp"), n).copy(),
        **{k: process[k] for k in ("du", "dv", "vth", "reset_interval", "reset_offset")},
    }
    return LIFReset(**settings) if record is None else RecordingLIF(record=record, **settings)


def build_program(program: Program, process: Process, record: "Record | None") -> ProgramNeuron:
    """Return a population that runs its own program, recording if `record` says where to."""
    return ProgramNeuron(
        n=process["n"],
        program=program.neuron(process),
        params={k: program.array(process, k, np.int64) for k in process["arrays"]},
        reset_interval=process["reset_interval"],
        reset_offset=process["reset_offset"],
        record=record,
    )


def connect(wire: dict[str, Any], processes: dict[str, AbstractProcess]) -> None:
    """Wire an out-port to an in-port through the virtual ports that the program lists."""
    source, target = processes[wire["source"]], processes[wire["target"]]
    port = source.s_out if hasattr(source, "s_out") else source.a_out
    for name, numbers in wire["via"]:
        change = getattr(port, name)
        port = change(tuple(numbers)) if numbers else change()
    port.connect(target.s_in if hasattr(target, "s_in") else target.a_in)


def rows_of(program: Program, process: Process, values: "np.ndarray | None") -> np.ndarray:
    """Return what a source sends, from its first window on [n_rows, n].

    `values` are its integers [P, B, *shape], None for a source that repeats one period for ever.
    """
    steps, n = program.steps, process["n"]
    samples = 1 if values is None else values.shape[1]
    rows = np.zeros((samples, program.period, n), dtype=np.int32)
    if values is not None:
        rows[:, :steps] = values.reshape(steps, samples, n).swapaxes(0, 1)
    elif process["sends"] == "bias":
        rows[:, :steps] = 1
    else:
        rows[:, program.period - program.guard :] = 1
    return rows.reshape(-1, n)


def in_windows(rows: np.ndarray, program: Program, *, wave: int, samples: int) -> np.ndarray:
    """Cut rows [chip_steps, n] into a population's windows [P, B, n]."""
    starts = range(wave, wave + samples * program.period, program.period)
    return np.stack([rows[start : start + program.steps] for start in starts], axis=1)


def run_job(job: dict[str, Any], scratch: Path, *, progress: "tuple[Path | None, int, int]") -> int:
    """Run one program on one input file, write its output file, return how many samples it had.

    Args:
        job: program, input, output, record; no record means the program's outputs.
        scratch: an empty folder.
        progress: file or None, samples done by earlier jobs, samples of all jobs.
    """
    program = Program(Path(job["program"]))
    inputs = read_inputs(program, job["input"])
    program.last(len(next(iter(inputs.values()))))
    wanted = job["record"] or program.record["outputs"]
    samples = next(iter(inputs.values())).shape[1]
    path, done, total = progress
    size = 1 if program.alone else samples  # new processes have cleared states and buffers
    parts = []
    for start in range(0, samples, size):
        place = scratch / str(start)
        place.mkdir()
        teller = Progress(path, done=done + start, total=total, program=program)
        part = {name: values[:, start : start + size] for name, values in inputs.items()}
        parts.append(run_stretch(program, part, wanted, place, teller))
        shutil.rmtree(place)
    arrays = {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
    write_outputs(Path(job["output"]), arrays)
    return samples


def run_stretch(
    program: Program,
    inputs: dict[str, np.ndarray],
    wanted: "list[str]",
    place: Path,
    teller: Progress,
) -> dict[str, np.ndarray]:
    """Run samples without a break; return the words of wanted populations, [P, B, n]."""
    samples = next(iter(inputs.values())).shape[1]
    chip_steps = program.chip_steps(samples)
    places, records = {}, {}
    for index, process in enumerate(program.of_kind("stream")):
        places[process["name"]] = place / f"source{index}.npy"
        rows = rows_of(program, process, inputs.get(node_name(process)))
        np.save(places[process["name"]], rows)
    for index, process in enumerate(program.of_kind(*POPULATIONS)):
        if node_name(process) in wanted:
            records[process["name"]] = Record(
                place / f"population{index}",
                states=program.states(process),
                shape=(chip_steps, process["n"]),
                progress=None if records else teller,
            )
    for component in program.components():
        if any(program.processes[name]["kind"] in POPULATIONS for name in component):
            run_component(build(program, component, places, records), program, chip_steps)
    arrays = {}
    for name, record in records.items():
        process = program.processes[name]
        for word in record.words:
            rows = np.load(record.path(word), mmap_mode="r")
            cut = in_windows(rows, program, wave=process["wave"], samples=samples)
            arrays[f"{node_name(process)}.{word}"] = cut
    return arrays


def read_inputs(program: Program, path: str) -> dict[str, np.ndarray]:
    """Return integers [P, B, *shape] by source; a single source may be called `x`."""
    given = [p for p in program.of_kind("stream") if p["sends"] == "given"]
    sources = [node_name(process) for process in given]
    with np.load(path) as arrays:
        if len(sources) == 1 and "x" in arrays.files:
            inputs = {sources[0]: arrays["x"]}
        else:
            inputs = {name: arrays[f"x.{name}"] for name in sources}
    for process in given:
        values = inputs[node_name(process)]
        if values.dtype.kind not in "iub":
            raise ValueError(f"{path}: input {node_name(process)} does not hold integers")
        if values.shape[0] != (program.steps or len(values)) or values[:1, :1].size != process["n"]:
            raise ValueError(
                f"{path}: input {node_name(process)} has shape {list(values.shape)}, "
                f"the program takes {program.steps} steps of {process['n']} values"
            )
    return inputs


def build(
    program: Program, component: set[str], places: dict[str, Path], records: dict[str, Record]
) -> dict[str, AbstractProcess]:
    """Return the wired Lava processes of one connected component by name."""
    processes: dict[str, AbstractProcess] = {}
    for name in sorted(component):
        process = program.processes[name]
        if process["kind"] == "stream":
            repeats = process["sends"] != "given"
            processes[name] = StreamSource(
                n=process["n"], wave=process["wave"], repeats=repeats, path=places[name]
            )
        elif process["kind"] == "lif":
            processes[name] = build_lif(program, process, records.get(name))
        elif process["kind"] == "program":
            processes[name] = build_program(program, process, records.get(name))
        else:
            processes[name] = SYNAPSES[process["kind"]](program, process)
    for wire in program.record["connections"]:
        if wire["source"] in component:
            connect(wire, processes)
    return processes


def run_component(processes: dict[str, AbstractProcess], program: Program, chip_steps: int) -> None:
    """Run connected processes for all chip steps."""
    first = next(iter(processes.values()))
    began = time.monotonic()
    # Without the tag Lava would take its first-listed model, which computes in floating point.
    config = Loihi2SimCfg(select_tag="fixed_pt")
    first.run(condition=RunSteps(num_steps=chip_steps, blocking=False), run_cfg=config)
    started = time.monotonic()
    wait_for_steps(first.runtime)
    ended = time.monotonic()
    first.stop()
    sys.stderr.write(
        f"{program.record['name']}: {len(processes)} processes, {chip_steps} steps; "
        f"start {started - began:.2f} s, run {ended - started:.2f} s\n"
    )


def wait_for_steps(runtime: Any) -> None:
    """Wait for the run to end; raise what an actor raised.

    A blocking run would hang: Lava joins every actor, and the others wait for the dead one.
    """
    ports = runtime.service_to_runtime
    while not all(port.probe() for port in ports):
        raise_from_actors(runtime)
        time.sleep(POLL_S)
    deadline = time.monotonic() + ERROR_TIMEOUT_S
    while not all(enum_equal(port.peek(), MGMT_RESPONSE.DONE) for port in ports):
        raise_from_actors(runtime)  # the answer "error" comes before its reason
        if time.monotonic() > deadline:
            raise RuntimeError("Lava stopped and gave no reason")
        time.sleep(POLL_S)
    runtime.wait()


def raise_from_actors(runtime: Any) -> None:
    """Raise what an actor raised; an actor that was killed raises nothing."""
    actors = runtime._messaging_infrastructure.actors
    for actor in actors:
        if actor.exception:
            error, trace = actor.exception
            sys.stderr.write(trace)
            raise error
    for actor in actors:
        if actor.exitcode:
            raise RuntimeError(f"an actor ended with status {actor.exitcode}")


def write_outputs(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an output file; it appears complete or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)
    partial.replace(path)


def obey_owner(owner: Path) -> None:
    """End this process group, shared memory and the owner's folder when stdin closes.

    The owner keeps the other end of stdin open for as long as it lives, so this holds even when
    it is killed. The guard is a process of its own because Lava's main thread may be stuck.
    """
    prefix = f"{owner.name}-"
    shared_memory._make_filename = lambda: f"/{prefix}{secrets.token_hex(5)}"
    group = os.getpid()
    if os.fork():
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        return
    os.setsid()
    while os.read(0, 4096):
        pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    for leftover in Path("/dev/shm").glob(f"{prefix}*"):
        leftover.unlink(missing_ok=True)
    shutil.rmtree(owner, ignore_errors=True)
    os._exit(0)


def hide_neighbours(scratch: Path) -> None:
    """Keep Lava from executing every script beside this one when it searches for models."""
    sys.modules["__main__"].__file__ = str(scratch / "run.py")


def parse(argv: "list[str] | None") -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--program", default=".", help="folder with lava.json and lava.npz")
    parser.add_argument("--input", help="integers [P, B, *shape] as x or x.SOURCE (.npz)")
    parser.add_argument("--output", help="file to write (.npz)")
    parser.add_argument("--record", help="populations, comma-separated; default: the outputs")
    parser.add_argument("--expect", type=Path, help="arrays that the answer must equal (.npz)")
    parser.add_argument("--jobs", help="JSON list of program, input, output, record; for tools")
    parser.add_argument("--progress", type=Path, help="file that gets `done total` in samples")
    parser.add_argument("--owner", type=Path, help="when stdin closes, end and remove this folder")
    args = parser.parse_args(argv)
    if not args.jobs and not (args.input and args.output):
        parser.error("--input and --output are needed")
    return args


def read_jobs(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the list of jobs: from a file, or the one on the command line."""
    if args.jobs:
        return json.loads(Path(args.jobs).read_text())
    record = args.record.split(",") if args.record else []
    if args.expect:
        with np.load(args.expect) as expected:
            record = sorted({*record, *(name.rpartition(".")[0] for name in expected.files)})
    return [{"program": args.program, "input": args.input, "output": args.output, "record": record}]


def count_samples(job: dict[str, Any]) -> int:
    """Return the samples in a job's input file."""
    with np.load(job["input"]) as arrays:
        return arrays[arrays.files[0]].shape[1]


def run_jobs(args: argparse.Namespace, scratch: Path) -> None:
    """Run all jobs, one after the other."""
    jobs = read_jobs(args)
    done, total = 0, sum(map(count_samples, jobs))
    for index, job in enumerate(jobs):
        place = scratch / str(index)
        place.mkdir()
        done += run_job(job, place, progress=(args.progress, done, total))
        shutil.rmtree(place)


def first_difference(answer: Path, expected: Path) -> str:
    """Return the first array and place where two files differ, empty if they are equal."""
    with np.load(answer) as ours, np.load(expected) as theirs:
        for name in theirs.files:
            if ours[name].shape != theirs[name].shape:
                return f"{name}: shape {ours[name].shape}, expected {theirs[name].shape}"
            places = np.argwhere(ours[name] != theirs[name])
            if len(places):
                step, sample, neuron = (int(number) for number in places[0])
                where = f"step {step}, sample {sample}, neuron {neuron}"
                return f"{name}: {len(places)} values differ, first at {where}"
    return ""


def main(argv: "list[str] | None" = None) -> int:
    """Run all jobs; return the exit status."""
    args = parse(argv)
    if args.owner:
        obey_owner(args.owner.resolve())
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    scratch = Path(tempfile.mkdtemp(prefix="run-"))
    tempfile.tempdir = str(scratch)  # Lava's sockets too: killed actors cannot remove them
    try:
        hide_neighbours(scratch)
        run_jobs(args, scratch)
        difference = first_difference(Path(args.output), args.expect) if args.expect else ""
    except Exception:  # noqa: BLE001 - whatever Lava raises, its actors must not outlive it
        traceback.print_exc()
        return 1
    finally:
        for child in multiprocessing.active_children():
            child.kill()  # Python's resource tracker then frees the shared memory
        shutil.rmtree(scratch, ignore_errors=True)
    if args.expect:
        sys.stderr.write(f"{args.expect}: {difference or 'every value is as expected'}\n")
    return STATUS_DIVERGENCE if difference else 0


if __name__ == "__main__":
    sys.exit(main())
