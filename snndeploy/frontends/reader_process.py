"""The process that reads files nobody vouches for: every file in a fork of its own, with limits.

`python -m snndeploy.frontends.reader_process` takes one JSON request per line on stdin and answers
on stdout with a length and so many bytes (`transport`). The libraries are imported once; each
request is served by a fork that may use little memory and time, writes no file, opens no socket and
starts no program. A fork that dies, however, takes nothing with it.
"""

import importlib
import json
import os
import resource
import select
import signal
import sys
import time
from contextlib import suppress
from typing import Any, BinaryIO, NoReturn

from snndeploy.errors import ModelError, SnnDeployError
from snndeploy.frontends.transport import pack

MIB = 1 << 20
MEMORY = 1 << 30
"""Address space beyond what the libraries take, 1 GiB, and `MEMORY_PER_BYTE` of the file."""
MEMORY_PER_BYTE = 48
"""A weight that is a byte in an `.onnx` is checked as several int64."""
SECONDS, SECONDS_PER_MIB = 4.0, 2.0
"""CPU time for a file: good ones take a hundredth of it. The clock may show `WAITING_S` more."""
WAITING_S = 20.0
REFUSED_EVENTS = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn",
    "ftplib.", "urllib.", "http.", "smtplib.", "webbrowser.", "os.remove", "os.rename", "os.link",
    "os.symlink", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.truncate", "shutil.",
)  # fmt: skip
"""What reading a file has no business with, by the names of Python's audit events."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def serve() -> None:
    """Answer requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what libraries print is no answer
    for line in sys.stdin.buffer:
        reply = _reply(json.loads(line))
        answers.write(len(reply).to_bytes(8, "little") + reply)
        answers.flush()


def _reply(request: dict[str, Any]) -> bytes:
    """Read one file in a fork; say how it ended if it does not do so itself."""
    module, _, function = request["reader"].partition(":")
    reader = getattr(importlib.import_module(module), function)
    size = os.stat(request["path"]).st_size if os.path.exists(request["path"]) else 0  # noqa: PTH110, PTH116
    seconds = SECONDS + SECONDS_PER_MIB * size / MIB
    source, sink = os.pipe()
    child = os.fork()
    if not child:
        os.close(source)
        with os.fdopen(sink, "wb") as file:
            _read(reader, request, file, seconds=seconds, memory=MEMORY + MEMORY_PER_BYTE * size)
    os.close(sink)
    reply, in_time = _collect(source, seconds + WAITING_S)
    if not in_time:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    if os.WIFSIGNALED(status) or not in_time:
        reply = pack({"error": _ended(request["path"], os.WTERMSIG(status), in_time=in_time)}, [])
    took = {"peak_bytes": usage.ru_maxrss * 1024, "cpu_s": usage.ru_utime + usage.ru_stime}
    return pack(took, []) + reply


def _collect(source: int, seconds: float) -> tuple[bytes, bool]:
    """Read a pipe to its end; the second value is false if that took too long."""
    end = time.monotonic() + seconds
    parts: list[bytes] = []
    try:
        while select.select([source], [], [], max(end - time.monotonic(), 0))[0]:
            part = os.read(source, MIB)
            if not part:
                return b"".join(parts), True
            parts.append(part)
        return b"", False
    finally:
        os.close(source)


def _ended(path: str, number: int, *, in_time: bool) -> dict[str, str]:
    """Return the error of a fork that was ended."""
    how = "takes too long to read"
    if in_time and number != signal.SIGXCPU:
        how = f"makes its reader crash ({signal.Signals(number).name})"
    error = ModelError(
        "E1470", how, where=path, remedy="export the model again; report it if you trust the file"
    )
    return record_of(error)


def record_of(error: SnnDeployError) -> dict[str, str]:
    """Return an error as plain data."""
    return {
        "class": type(error).__name__,
        "code": error.code,
        "message": error.message,
        "where": error.where,
        "remedy": error.remedy,
    }


# ---- in the fork --------------------------------------------------------------------------------


def _read(
    reader: Any, request: dict[str, Any], file: BinaryIO, *, seconds: float, memory: int
) -> NoReturn:
    """Read a file, write the answer, and end."""
    header: dict[str, Any]
    arrays: list[Any] = []
    try:
        _confine(seconds, memory)
        header, arrays = reader(request["path"], **request["options"])
        header = {"content": header}
    except SnnDeployError as error:
        header = {"error": record_of(error)}
    except MemoryError:
        header = {"error": record_of(_too_much(request["path"]))}
    except Exception as error:  # noqa: BLE001 - a bug of ours: told to the caller, who reports it
        header = {"bug": f"{type(error).__name__}: {error}"}
    with suppress(BrokenPipeError):
        file.write(pack(header, arrays))
        file.flush()
    os._exit(0)


def _too_much(path: str) -> ModelError:
    return ModelError(
        "E1470", "needs more memory than a file of its size may", where=path,
        remedy="export the model again",
    )  # fmt: skip


def _confine(seconds: float, memory: int) -> None:
    """Take away what a reader does not need: it cannot be given back."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.dont_write_bytecode = True
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = int(used.ru_utime + used.ru_stime + seconds) + 1
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - before anything is imported late
        held = int(file.read().split()[0]) * resource.getpagesize()
    for limit, value in (
        (resource.RLIMIT_AS, held + memory),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    sys.addaudithook(_refuse)


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    """Refuse to do what no file needs to be read."""
    if event == "open":
        _, mode, flags = args
        if (isinstance(flags, int) and flags & WRITING) or (mode and set(mode) & set("wax+")):
            raise ModelError("E1471", "reading it would write a file")
    elif event.startswith(REFUSED_EVENTS):
        raise ModelError("E1471", f"reading it would do {event}")


if __name__ == "__main__":
    serve()
