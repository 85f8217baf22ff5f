"""A worker process of the process engine: `python -m snndeploy.ablation.worker`.

On stdin comes the job, then one trial per line, as JSON; on stdout goes one line per trial. Records
go into the store from here. When stdin ends the one that gave work is gone, and so is this process,
in the middle of a trial too.
"""

import json
import os
import queue
import resource
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from snndeploy.ablation.attempt import attempt, open_bench
from snndeploy.ablation.job import job_of
from snndeploy.ablation.space import Point, Trial
from snndeploy.ablation.store import Store

GIGABYTE = 10**9
ORPHANED = 3
"""Exit code of a worker whose stdin ended."""


def main() -> None:
    """Run trials until stdin ends."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    answers = _take_stdout()
    threading.Thread(target=_listen, args=(sys.stdin, lines), daemon=True).start()
    job = job_of(json.loads(lines.get()))
    store, bench = Store(folder=Path(job.folder)), open_bench(job)
    limit_memory(job.study.limits.memory_gb)
    while True:
        order = json.loads(lines.get())
        trial = trial_of(order["trial"])
        failed = attempt(bench, store, job, trial, number=order["attempt"])
        answers.write(json.dumps(asdict(failed) if failed else None) + "\n")
        answers.flush()


def trial_of(record: dict[str, Any]) -> Trial:
    """Return the trial that JSON describes."""
    return Trial(point=Point(**record["point"]), seed=record["seed"], key=record["key"])


def limit_memory(gigabytes: float) -> None:
    """Let this process take that much address space beyond what it has now."""
    has = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = has + int(gigabytes * GIGABYTE)
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _take_stdout() -> IO[str]:
    """Return the pipe that answers go through; what a trial prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _listen(source: IO[str], lines: "queue.SimpleQueue[str]") -> None:
    for line in source:
        lines.put(line)
    os._exit(ORPHANED)


if __name__ == "__main__":
    main()
