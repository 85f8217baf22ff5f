"""The trial store: one file per record, named by its content's key, written once.

A record is written to a hidden file, synced and renamed, so that another process sees all of it or
nothing. That is chosen over one log for all: a log needs a lock among its writers and a repair of
its tail after a kill, and neither works on every file system that machines share. Any number of
processes may write; a second writer of a key finds it there and leaves it. Every record carries the
digest of its content, and a file that does not agree with its digest is an error, never a result.

    study.json              what the study is; another space, version or data set is refused
    trials/KEY.json         one finished trial
    failures/KEY-N.json     a trial that failed however often it was tried, the N-th time
    shelf/KEY-DIGEST.*      models and numbers that trials share
    lock                    held by the run that is at work
"""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snndeploy.errors import ModelError, UsageError

FORMAT = 1
STUDY, TRIALS, FAILURES, SHELF, LOCK = "study.json", "trials", "failures", "shelf", "lock"
FOLDERS = (TRIALS, FAILURES, SHELF)
HIDDEN = ".new-"
KEY_DIGITS = 32
DIGEST_DIGITS = 16


def digest_of(record: Any) -> str:
    """Return the digest of plain data, the same for the same data."""
    return hashlib.sha256(canonical(record)).hexdigest()[:KEY_DIGITS]


def canonical(record: Any) -> bytes:
    """Return plain data as bytes: JSON with sorted keys; NaN is refused."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """A folder that holds one study's trials."""

    folder: Path

    def trial(self, key: str) -> dict[str, Any] | None:
        """Return the record of a finished trial, None if there is none.

        Raises:
            ModelError: E1310 damaged, E1311 of a newer version.
        """
        return self._read(TRIALS, key)

    def put_trial(self, key: str, record: Mapping[str, Any]) -> None:
        """Keep the record of a finished trial; the first one written stays."""
        self._write(TRIALS, key, record)

    def failure(self, key: str) -> dict[str, Any] | None:
        """Return the newest failure of a trial that never finished."""
        numbers = self._failure_numbers(key)
        return self._read(FAILURES, f"{key}-{max(numbers)}") if numbers else None

    def put_failure(self, key: str, record: Mapping[str, Any]) -> None:
        """Keep a failure, after those that are there."""
        self._write(FAILURES, f"{key}-{max(self._failure_numbers(key), default=0) + 1}", record)

    def finished(self) -> tuple[str, ...]:
        """Return the keys of all finished trials, sorted, once every record is found whole.

        Raises:
            ModelError: E1310 damaged, E1311 of a newer version.
        """
        keys = sorted(path.stem for path in (self.folder / TRIALS).glob("[!.]*.json"))
        for key in keys:
            self.trial(key)
        return tuple(keys)

    def shelved(self, key: str) -> Path | None:
        """Return a file that trials share, None if there is none.

        Raises:
            ModelError: E1310, its bytes are not those that were written.
        """
        for path in sorted((self.folder / SHELF).glob(f"{key}-*.*")):
            if path.stem.removeprefix(f"{key}-") != _digest(path.read_bytes()):
                raise _damaged(path, "its bytes are not those that its name says")
            return path
        return None

    def put_shelved(self, key: str, data: bytes, suffix: str) -> None:
        """Keep a file that trials share."""
        put_file(self.folder / SHELF / f"{key}-{_digest(data)}{suffix}", data)

    @contextmanager
    def making(self, key: str) -> Iterator[None]:
        """Hold the others back while one process makes what `key` names; a kill lets go."""
        with (self.folder / SHELF / f".{key}.lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _failure_numbers(self, key: str) -> list[int]:
        names = (path.stem for path in (self.folder / FAILURES).glob(f"{key}-*.json"))
        return [int(name.rpartition("-")[2]) for name in names]

    def _read(self, kind: str, name: str) -> dict[str, Any] | None:
        path = self.folder / kind / f"{name}.json"
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        return read_record(path, data)

    def _write(self, kind: str, name: str, record: Mapping[str, Any]) -> None:
        put_file(self.folder / kind / f"{name}.json", dump_record(record))


def dump_record(record: Mapping[str, Any]) -> bytes:
    """Return a record as a file's bytes: format, digest of the content, content."""
    frame = {"format": FORMAT, "digest": digest_of(record), "content": record}
    return json.dumps(frame, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"


def read_record(path: Path, data: bytes) -> dict[str, Any]:
    """Return the content of a record.

    Raises:
        ModelError: E1310 damaged, E1311 of a newer version.
    """
    try:
        frame = json.loads(data)
        version, digest, content = frame["format"], frame["digest"], frame["content"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from None
    if isinstance(version, int) and version > FORMAT:
        raise ModelError(
            "E1311", f"written in format {version}, this release reads up to {FORMAT}",
            where=str(path), remedy="use the newer snndeploy, or choose another -o",
        )  # fmt: skip
    if version != FORMAT or not isinstance(content, dict) or digest_of(content) != digest:
        raise _damaged(path, "its content does not have the digest that it states")
    return content


def put_file(path: Path, data: bytes) -> None:
    """Write a file that is not there yet: whole or not at all, and lasting.

    Raises:
        UsageError: E5103, the disk is full or the folder cannot be written.
    """
    if path.exists():
        return
    try:
        _write_new(path, data)
    except OSError as error:
        raise UsageError(
            "E5103", f"cannot be written: {error.strerror or error}", where=str(path.parent),
            remedy="check its permissions and free space, then go on with --resume",
        ) from None  # fmt: skip


def _write_new(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=HIDDEN, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).rename(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:DIGEST_DIGITS]


def _damaged(path: Path, why: str) -> ModelError:
    return ModelError(
        "E1310", f"damaged: {why}", where=str(path),
        remedy="remove that file and give --resume: what it held is made anew",
    )  # fmt: skip
