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
from dataclasses import replace
from pathlib import Path
from typing import Any

from snndeploy.errors import ModelError, SnnDeployError, TargetError, UnsupportedError, UsageError
from snndeploy.frontends.content import content_of, model_of
from snndeploy.frontends.transport import give_arrays, take_arrays, unpack
from snndeploy.ir.arrays import AnyArray
from snndeploy.model import Model

CLASSES: dict[str, type[SnnDeployError]] = {
    kind.__name__: kind for kind in (ModelError, UnsupportedError, UsageError, TargetError)
}
END_TIMEOUT_S = 5.0


def read_model(reader: str, path: Path, options: dict[str, Any]) -> Model:
    """Read a model file where it can do no harm.

    Args:
        reader: `module:function` that returns `packed(model)`; imported in the reading process.
        path: the file.
        options: keyword arguments of the function, plain data.

    Raises:
        ModelError: E1470, the file takes too much memory or time, or crashes its reader; E1471, it
            would do something else than be read; and what the reader raises.
    """
    content = give_arrays(*read_plain(reader, path, options))
    said = {str(field): str(who) for field, who in content.pop("said").items()}
    return replace(model_of(content), said=said)


def read_plain(reader: str, path: Path, options: dict[str, Any]) -> tuple[Any, list[AnyArray]]:
    """Return the plain data and the arrays that a reader answers with; see `read_model`."""
    reply = _ask({"reader": reader, "path": str(path.absolute()), "options": options}, path)
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


def packed(model: Model) -> tuple[Any, list[AnyArray]]:
    """Return a model as plain data and arrays; readers answer with it."""
    arrays: list[AnyArray] = []
    return take_arrays({**content_of(model), "said": dict(model.said)}, arrays), arrays


class _Process:
    """The reading process; started when it is first needed, again if it is gone."""

    def __init__(self) -> None:
        self.running: subprocess.Popen[bytes] | None = None
        self.one_at_a_time = threading.Lock()

    def ask(self, request: dict[str, Any]) -> bytes:
        running = self.running
        if running is None or running.poll() is not None:
            running = self.running = subprocess.Popen(
                [sys.executable, "-P", "-m", "snndeploy.frontends.reader_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(json.dumps(request).encode() + b"\n")
        running.stdin.flush()
        size = int.from_bytes(running.stdout.read(8), "little")
        return running.stdout.read(size)

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


def _ask(request: dict[str, Any], path: Path) -> bytes:
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
