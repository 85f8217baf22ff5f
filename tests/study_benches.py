"""Benches that need no model: their numbers follow from the trial alone, some of them misbehave.

They are named in a job as `study_benches:NAME`, so worker processes import this file.
"""

import hashlib
import os
import signal
import time
from pathlib import Path

from snndeploy.ablation.measures import Measures
from snndeploy.errors import CapacityError, ModelError, Violation

PAUSE_S = 0.2
TRIED = "tried.txt"


def numbers(trial):
    """Measures that only this trial has."""
    share = int.from_bytes(hashlib.sha256(trial.label().encode()).digest()[:4]) / 2**32
    size = 8 if trial.point.bits == "fp32" else trial.point.bits
    return Measures(
        accuracy=0.9 + 0.05 * share,
        control_accuracy=0.95,
        energy_j=(1e-6 * size, 2e-6 * size * (1 - trial.point.ratio), 4e-6 * size),
        energy_grade="assumed",
        cores=size,
        weights=100 * size,
        synaptic_ops=1000.0 * size,
        spikes=10.0 + share,
        latency_s=None,
        missing=("neuron_idle",),
        n_test=100,
    )


def steady(job):
    """Answer at once, and note every try."""

    def measure(trial):
        note(job, trial)
        return numbers(trial)

    return measure


def slow(job):
    """Answer after a while, and note every try."""

    def measure(trial):
        note(job, trial)
        time.sleep(PAUSE_S)
        return numbers(trial)

    return measure


def slower(job):
    """Answer after a longer while: time enough to lose a machine."""
    measure = slow(job)

    def wait(trial):
        time.sleep(2 * PAUSE_S)
        return measure(trial)

    return wait


def unproven(job):
    """No unit keeps the sums of any network in a word."""

    def measure(trial):
        note(job, trial)
        raise ModelError("E1053", "no step keeps its sums in 24 bits", where="fc")

    return measure


def troubled(job):
    """Misbehave by seed; seed 0 does not."""

    def measure(trial):
        note(job, trial)
        {1: fail, 2: lambda: None, 3: hang, 4: die, 5: hoard, 6: refuse}.get(trial.seed, str)()
        if trial.seed == 7 and tries(job, trial) == 1:
            die()
        found = numbers(trial)
        if trial.seed == 2:
            object.__setattr__(found, "accuracy", float("nan"))
        return found

    return measure


def note(job, trial):
    """Append a line to the file of tries; one short write is never torn."""
    handle = os.open(Path(job.folder).parent / TRIED, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{trial.key}\n".encode())
    os.close(handle)


def tries(job, trial):
    """How often a trial was tried, this time included."""
    return (Path(job.folder).parent / TRIED).read_text().split().count(trial.key)


def fail():
    raise RuntimeError("what a mistake")


def hang():
    time.sleep(600)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def hoard():
    return bytearray(10**12)


def refuse():
    broken = Violation(node="fc", rule="r", have=9, limit=4, unit="axons", hint="split it")
    raise CapacityError("loihi2", (broken,))
