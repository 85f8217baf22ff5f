"""How time and memory are measured: CPU seconds, wall seconds, the peak of this process."""

import ctypes
import time
from pathlib import Path

LEAST_S = 0.03
"""A measurement repeats what is shorter than this, so that it is not all start-up."""


def repeats(run):
    """Return how often to run something per measurement."""
    start = time.process_time()
    run()
    return max(1, int(LEAST_S / max(time.process_time() - start, 1e-6)))


def cpu_seconds(run, n=1):
    """Return CPU seconds of one of n runs, all threads of this process together."""
    start = time.process_time()
    for _ in range(n):
        run()
    return (time.process_time() - start) / n


def caller_seconds(run, n=1):
    """Return CPU seconds of one of n runs: of all threads, and of the calling one."""
    start, mine = time.process_time(), time.thread_time()
    for _ in range(n):
        run()
    return (time.process_time() - start) / n, (time.thread_time() - mine) / n


def wall_seconds(run, n=1):
    """Return wall seconds of one of n runs."""
    start = time.perf_counter()
    for _ in range(n):
        run()
    return (time.perf_counter() - start) / n


def peak_bytes(run):
    """Return by how much a run raises this process's resident memory at its peak."""
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before is not to be used again unseen
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    run()
    return max(0, _status("VmHWM") - before)


def _status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) * 1024
