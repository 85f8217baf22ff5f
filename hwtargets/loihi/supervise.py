"""Running a worker so that nothing of it outlives its caller, whatever happens.

Lava starts one process per network part; when one fails, or when the parent dies, the others wait
for it for ever. So the worker runs in a session of its own and is ended as a group. It is ended by
the caller on every way out, and by its own guard when the caller itself is killed: the guard reads
from a pipe that only the caller holds open. A second pipe, held open by every process of the
worker's tree, tells the caller when the last of them is gone.
"""

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from snndeploy.errors import TargetError

POLL_S = 0.05
END_TIMEOUT_S = 10.0
MAX_REASON = 300
TIMEOUT_VARIABLE = "SNNDEPLOY_LAVA_TIMEOUT"
_RAISED = re.compile(r"^[\w.]*(Error|Exception|Interrupt|Exit|Found)\b")


@contextmanager
def supervised(
    command: Sequence[str], *, folder: Path, environ: Mapping[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a worker; when the block is left, end every process it started.

    Args:
        command: the worker's command line.
        folder: where its stdout and stderr go.
        environ: its whole environment.
    """
    alive, held = os.pipe()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, alive)
        try:
            with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=out,
                    stderr=err,
                    env=dict(environ),
                    start_new_session=True,
                    pass_fds=(held,),
                )
        finally:
            os.close(held)
        stack.callback(_end, process, alive)
        yield process


def _end(process: "subprocess.Popen[bytes]", alive: int) -> None:
    """Kill the worker's group, let its guard go, wait until none of its processes is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    assert process.stdin is not None
    process.stdin.close()
    process.wait()
    select.select([alive], [], [], END_TIMEOUT_S)


def wait(
    process: "subprocess.Popen[bytes]",
    *,
    folder: Path,
    timeout_s: float,
    poll: Callable[[], None],
) -> None:
    """Wait for a worker to end well, calling `poll` all the while.

    Raises:
        TargetError: E4003 it failed; E4004 it took longer than `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            status = process.wait(POLL_S)
            break
        except subprocess.TimeoutExpired:
            poll()
        if time.monotonic() > deadline:
            raise TargetError(
                "E4004",
                f"Lava did not finish within {timeout_s:,g} s and was stopped",
                remedy=f"use fewer samples, or set {TIMEOUT_VARIABLE} to more seconds",
            )
    if status:
        reason = last_error(folder / "stderr") or f"it ended with status {status}"
        remedy = "report it; --backend sim computes the same spikes without Lava"
        raise TargetError("E4003", f"Lava failed: {reason}", remedy=remedy)
    poll()


def last_error(stderr: Path) -> str:
    """Return the last line that names an exception, else the last line, else nothing."""
    lines = [line.strip() for line in stderr.read_text(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    raised = [line for line in lines if _RAISED.match(line)]
    return (raised or lines or [""])[-1][:MAX_REASON]


def time_limit_s(environ: Mapping[str, str], estimate_s: float) -> float:
    """Return the user's time limit if there is one, else the estimate.

    Raises:
        TargetError: E4005 the variable holds no positive number.
    """
    text = environ.get(TIMEOUT_VARIABLE)
    if text is None:
        return estimate_s
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not limit > 0:
        raise TargetError(
            "E4005",
            f"{TIMEOUT_VARIABLE}={text} is not a positive number of seconds",
            remedy="set it to a number such as 600, or unset it",
        )
    return limit
