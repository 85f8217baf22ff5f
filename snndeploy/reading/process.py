"""The process that reads files nobody vouches for: every file in a fork of its own, with limits.

`python -m snndeploy.reading.process` takes one JSON request per line on stdin and answers
on stdout with a length and so many bytes (`transport`). The libraries are imported once; each
request is served by a fork that may use little memory and time, writes no file, opens no socket and
starts no program. A fork that dies, however, takes nothing with it.
"""

import fcntl
import importlib
import json
import os
import resource
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from snndeploy.errors import ModelError, SnnDeployError
from snndeploy.reading.transport import pack

MIB = 1 << 20
MEMORY = 1 << 30
"""Address space beyond what the libraries take, 1 GiB, and `MEMORY_PER_BYTE` of the file."""
MEMORY_PER_BYTE = 48
"""A weight that is a byte in an `.onnx` is checked as several int64."""
SMALLEST = 1 << 10
"""Bytes that every file in a folder counts beyond its own: opening it takes time too."""
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
    _widen(answers.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what libraries print is no answer
    for line in sys.stdin.buffer:
        took, reply = _reply(json.loads(line))
        answers.write((len(took) + len(reply)).to_bytes(8, "little"))
        answers.write(took)
        answers.write(reply)
        answers.flush()


def _reply(request: dict[str, Any]) -> tuple[bytes, bytes | bytearray]:
    """Read one file in a fork; return what that took, and its answer or how it ended."""
    module, _, function = request["reader"].partition(":")
    reader = getattr(importlib.import_module(module), function)
    size = _size(Path(request["path"]))
    seconds = SECONDS + SECONDS_PER_MIB * size / MIB
    memory = MEMORY + MEMORY_PER_BYTE * size + int(request["room"])
    source, sink = os.pipe()
    _widen(sink)
    child = os.fork()
    if not child:
        os.close(source)
        with os.fdopen(sink, "wb") as file:
            _read(reader, request, file, seconds=seconds, memory=memory)
    os.close(sink)
    reply: bytes | bytearray | None = _collect(source, seconds + WAITING_S, memory)
    in_time = reply is not None
    if not in_time:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    if reply is None or os.WIFSIGNALED(status):
        error = _ended(request["path"], os.WTERMSIG(status), in_time=in_time)
        reply = b"".join(pack({"error": error}, []))
    took = {"peak_bytes": usage.ru_maxrss * 1024, "cpu_s": usage.ru_utime + usage.ru_stime}
    return b"".join(pack(took, [])), reply


def _widen(pipe: int) -> None:
    """Let a pipe hold more at a time, where the system can and grants it: Linux."""
    with suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, MIB)


def _size(path: Path) -> int:
    """Return the bytes of a file, or of the files in a folder of folders; 0 if it is neither."""
    try:
        if path.is_dir():
            return sum(SMALLEST + file.lstat().st_size for file in path.glob("*/*"))
        return path.stat().st_size
    except (OSError, ValueError):
        return 0


def _collect(source: int, seconds: float, limit: int) -> bytearray | None:
    """Read a pipe to its end; return None if that takes too long, or more than `limit` bytes."""
    end = time.monotonic() + seconds
    reply = bytearray()
    try:
        while select.select([source], [], [], max(end - time.monotonic(), 0))[0]:
            part = os.read(source, MIB)
            if not part:
                return reply
            reply += part
            if len(reply) > limit:
                return None
        return None
    finally:
        os.close(source)


def _ended(path: str, number: int, *, in_time: bool) -> dict[str, str]:
    """Return the error of a fork that was ended."""
    how = "takes too long to read, or is read without end"
    if in_time and number != signal.SIGXCPU:
        how = f"makes its reader crash ({signal.Signals(number).name})"
    error = ModelError(
        "E1470", how, where=path, remedy="write the file again; report it if you trust it"
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
    try:
        _confine(seconds, memory)
        content, arrays = reader(request["path"], **request["options"])
        answer = pack({"content": content}, arrays)
    except SnnDeployError as error:
        answer = pack({"error": record_of(error)}, [])
    except MemoryError:
        answer = pack({"error": record_of(_too_much(request["path"]))}, [])
    except Exception as error:  # noqa: BLE001 - a bug of ours: told to the caller, who reports it
        answer = pack({"bug": f"{type(error).__name__}: {error}"}, [])
    with suppress(BrokenPipeError):
        file.writelines(answer)
        file.flush()
    os._exit(0)


def _too_much(path: str) -> ModelError:
    return ModelError(
        "E1470", "needs more memory than a file of its size may", where=path,
        remedy="write the file again",
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
