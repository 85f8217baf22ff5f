"""Executor `lava`: the real Lava in its own interpreter, as an independent judge.

The network is lowered to plain data and written to a private folder with its inputs; the worker
runs it there and leaves the traces. The folder and every process are gone when `run` returns.
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from hwtargets.loihi import lava_env
from hwtargets.loihi.interpreters import clean_environment
from hwtargets.loihi.lower import lower
from hwtargets.loihi.program import LavaProcess, LavaProgram, compact, npz_bytes, program_files
from hwtargets.loihi.supervise import supervised, time_limit_s, wait
from snndeploy.energy import Level
from snndeploy.ir.arrays import IntArray, frozen_int
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.ir.trace import PopulationTrace
from snndeploy.target import ChipSpec, Progress, RunResult, no_progress

WORKER = Path(__file__).with_name("lava_worker.py")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
MAX_BASE = 40
"""Longest base path: the sockets of Lava's processes lie 60 characters deeper, 103 are allowed."""

IMPORT_S, START_S, STEP_S, CONV_S, SYNAPSE_S = 60.0, 5.0, 0.05, 1e-3, 5e-8
"""Time limit: for the import; per process; per process and step; per convolved channel pair and
step; per synapse and step. Ten times and more what was measured on two idle cores."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LavaJob:
    """One run: a program, integers [P, B, *shape] per source, the populations to record."""

    program: LavaProgram
    inputs: Mapping[str, IntArray]
    record: tuple[str, ...]

    @property
    def n_samples(self) -> int:
        return int(next(iter(self.inputs.values())).shape[1])

    @property
    def chip_steps(self) -> int:
        program = self.program
        return (self.n_samples - 1) * program.period + program.steps + program.depth


class LavaExecutor:
    """Satisfies `snndeploy.target.Executor`."""

    name = "lava"

    def missing(self) -> str | None:
        """Return None if Lava is ready, else what is missing; nothing is made or downloaded."""
        return lava_env.missing(os.environ)

    def run(
        self,
        network: Network,
        inputs: Mapping[str, IntArray],
        *,
        record: tuple[str, ...],
        placement: Placement | None = None,  # noqa: ARG002 - Lava's CPU models have no cores
        chip: ChipSpec | None = None,  # noqa: ARG002
        timing: Level = "bound",  # noqa: ARG002
        progress: Progress = no_progress,
    ) -> RunResult:
        """Stream samples through Lava; makes Lava's environment first if there is none.

        Returns:
            Spikes and states [P, B, n] of the populations in `record`; no counts, no timing. Lava
            is an independent judge of those that `judged_by_lava` names, of the others' neurons it
            only runs our program.

        Raises:
            UnsupportedError: E2202-E2207, see `hwtargets.loihi.lower.lower`.
            TargetError: E4001 no CPython 3.10; E4002 the environment could not be made; E4003 Lava
                failed; E4004 time-out; E4005 a time limit that is no number.
        """
        job = LavaJob(program=lower(network), inputs=inputs, record=record)
        (traces,) = run_jobs([job], environ=os.environ, progress=progress)
        return RunResult(executor=self.name, traces=traces)


def run_jobs(
    jobs: Sequence[LavaJob],
    *,
    environ: Mapping[str, str],
    progress: Progress = no_progress,
) -> list[dict[str, PopulationTrace]]:
    """Run jobs one after the other in one worker, which pays for Lava's import once.

    Raises:
        TargetError: E4001-E4005, see `LavaExecutor.run`.
    """
    python = lava_env.make_environment(environ)
    timeout_s = time_limit_s(environ, estimate_s(jobs))
    with tempfile.TemporaryDirectory(
        prefix="sd-", dir=scratch_base(), ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        command = [str(python), "-I", str(WORKER), *write_jobs(jobs, folder)]
        child = {**clean_environment(environ), **ONE_THREAD, "TMPDIR": str(folder)}
        with supervised(command, folder=folder, environ=child) as process:
            teller = _Teller(folder / "progress", progress)
            wait(process, folder=folder, timeout_s=timeout_s, poll=teller.tell)
            return [read_traces(folder / f"{i}.npz", job) for i, job in enumerate(jobs)]


def scratch_base() -> str:
    """Return where temporary folders go: the usual place, unless its path is too long."""
    usual = tempfile.gettempdir()
    return usual if len(usual) <= MAX_BASE else "/tmp"


def write_jobs(jobs: Sequence[LavaJob], folder: Path) -> list[str]:
    """Write programs, inputs and the list of jobs; return the worker's arguments."""
    records = []
    for index, job in enumerate(jobs):
        _check_inputs(job)
        place = folder / str(index)
        place.mkdir()
        for name, data in program_files(job.program).items():
            (place / name).write_bytes(data)
        inputs = {f"x.{name}": compact(values) for name, values in job.inputs.items()}
        (place / "input.npz").write_bytes(npz_bytes(inputs))
        records.append(
            {
                "program": str(place),
                "input": str(place / "input.npz"),
                "output": str(folder / f"{index}.npz"),
                "record": job.record,
            }
        )
    (folder / "jobs.json").write_text(json.dumps(records))
    arguments = {"jobs": "jobs.json", "progress": "progress", "owner": "."}
    return [f"--{key}={folder / name}" for key, name in arguments.items()]


def _check_inputs(job: LavaJob) -> None:
    for process in job.program.processes:
        if process.kind == "stream" and process.settings["sends"] == "given":
            values = job.inputs[process.name.split(":", 1)[1]]
            assert values.shape[:2] == (job.program.steps, job.n_samples)
            assert prod(values.shape[2:]) == process.settings["n"]


def read_traces(path: Path, job: LavaJob) -> dict[str, PopulationTrace]:
    """Return the worker's answer: spikes and states [P, B, n] by population."""
    with np.load(path) as arrays:
        return {
            name: PopulationTrace(
                spikes=frozen_int(arrays[f"{name}.spikes"]),
                states={
                    state: frozen_int(arrays[f"{name}.{state}"])
                    for state in job.program.states(name)
                },
            )
            for name in job.record
        }


def estimate_s(jobs: Sequence[LavaJob]) -> float:
    """Return a generous time limit for jobs, in seconds."""
    return IMPORT_S + sum(
        START_S * len(job.program.processes) * (job.n_samples if job.program.alone else 1)
        + job.chip_steps * sum(STEP_S + _work_s(p) for p in job.program.processes)
        for job in jobs
    )


def _work_s(process: LavaProcess) -> float:
    if process.kind == "conv":
        return CONV_S * prod(process.arrays["weight"].shape[::3])
    if process.kind in ("stream", "lif", "program"):
        return 0.0
    delay = process.settings.get("delay", 0)
    assert isinstance(delay, int)
    return SYNAPSE_S * process.arrays["weights"].size * (1 + delay)


class _Teller:
    """Passes on what the worker wrote into its progress file, when it changed."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self.path = path
        self.progress = progress
        self.last = ""

    def tell(self) -> None:
        text = self.path.read_text() if self.path.exists() else ""
        if text != self.last and text.endswith("\n"):
            self.last = text
            done, total = map(int, text.split())
            self.progress(done, total)


LAVA = LavaExecutor()
