"""Read a file in a process of its own, which has little memory and time and can do nothing else.

The guards look at a file before a library parses it; this is what holds if a guard, or HDF5, or
torch, has a hole. What comes back is plain data, and is checked once more.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Any

from snndeploy.errors import ModelError, SnnDeployError, TargetError, UnsupportedError, UsageError
from snndeploy.ir.arrays import AnyArray
from snndeploy.reading.transport import unpack

CLASSES: dict[str, type[SnnDeployError]] = {
    kind.__name__: kind for kind in (ModelError, UnsupportedError, UsageError, TargetError)
}
END_TIMEOUT_S = 5.0


def read_plain(
    reader: str, path: Path, options: dict[str, Any], *, room: int = 0
) -> tuple[Any, list[AnyArray]]:
    """Return the plain data and the arrays that a reader answers with.

    Args:
        reader: `module:function`, imported in the reading process.
        path: the file, or a folder of folders of files.
        options: keyword arguments of the function, plain data.
        room: bytes of memory that reading may take beyond what the file's size allows.

    Raises:
        ModelError: E1470, the file takes too much memory or time, or crashes its reader; E1471, it
            would do something else than be read; and what the reader raises.
    """
    request = {"reader": reader, "path": str(path.absolute()), "options": options, "room": room}
    reply = _ask(request, path)
    _, _, rest = unpack(memoryview(reply))  # what reading took, for tests
    header, arrays, _ = unpack(rest)
    if "error" in header:
        error = header["error"]
        where = error["where"].replace(str(path.absolute()), str(path), 1)
        kind = CLASSES[error["class"]]
        raise kind(error["code"], error["message"], where=where, remedy=error["remedy"])
    if "bug" in header:
        raise RuntimeError(header["bug"])
    return header["content"], arrays


class _Process:
    """The reading process; started when it is first needed, again if it is gone."""

    def __init__(self) -> None:
        self.running: subprocess.Popen[bytes] | None = None
        self.one_at_a_time = threading.Lock()

    def ask(self, request: dict[str, Any]) -> bytearray:
        """Return the answer, empty if the process ended."""
        running = self.running
        if running is None or running.poll() is not None:
            running = self.running = subprocess.Popen(
                [sys.executable, "-P", "-m", "snndeploy.reading.process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        assert running.stdin is not None
        assert isinstance(running.stdout, BufferedReader)
        running.stdin.write(json.dumps(request).encode() + b"\n")
        running.stdin.flush()
        reply = bytearray(int.from_bytes(running.stdout.read(8), "little"))
        whole = running.stdout.readinto(reply) == len(reply)
        return reply if whole else bytearray()

    def end(self, *, patience_s: float = END_TIMEOUT_S) -> None:
        """End the process; one that is still busy when patience is over is killed."""
        running, self.running = self.running, None
        if running is None:
            return
        try:
            if patience_s:
                _close(running)
                running.wait(patience_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with suppress(ProcessLookupError):  # its fork too: they are a session of their own
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            _close(running)


def _close(running: "subprocess.Popen[bytes]") -> None:
    for pipe in (running.stdin, running.stdout):
        assert pipe is not None
        with suppress(BrokenPipeError):  # a request that was never read
            pipe.close()


_process = _Process()
atexit.register(_process.end)


def _ask(request: dict[str, Any], path: Path) -> bytearray:
    with _process.one_at_a_time:
        try:
            reply = _process.ask(request)
        except BaseException:
            _process.end(patience_s=0)
            raise
        if not reply:
            _process.end()
            raise ModelError("E1470", "makes the reading process end", where=str(path))
        return reply
