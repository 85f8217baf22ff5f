"""A study's folder: made once, held by one run at a time, and never another study's."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from snndeploy.ablation.store import (
    FAILURES,
    FOLDERS,
    HIDDEN,
    LOCK,
    STUDY,
    TRIALS,
    Store,
    canonical,
    dump_record,
    put_file,
    read_record,
)
from snndeploy.errors import ModelError, UsageError


def open_store(folder: Path, identity: Mapping[str, Any], *, resume: bool) -> Store:
    """Return the store of a study in its folder, made if it is not there.

    Args:
        folder: of the study; its parent exists.
        identity: what the study is: `name`, `tool` and all that its results depend on.
        resume: go on with the trials that are there.

    Raises:
        UsageError: E5100 there are trials and nobody said --resume, E5102 there is nothing to
            resume, E5103 the folder holds something else or cannot be written.
        ModelError: E1310 to E1313.
    """
    path = folder / STUDY
    if path.is_file():
        _check_identity(path, identity, resume=resume)
    else:
        _make(folder, identity, resume=resume)
    store = Store(folder=folder)
    store.finished()
    return store


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a study for one run; killed, it lets go.

    Raises:
        ModelError: E1315, another run is at work on it.
    """
    with (folder / LOCK).open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            who = file.read(200).decode(errors="replace").strip() or "unknown"
            raise ModelError(
                "E1315", f"another run is at work on this study ({who})", where=str(folder),
                remedy="wait for it, or end it; what it has finished is kept",
            ) from None  # fmt: skip
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}".encode())
        file.flush()
        _sweep(folder)
        yield


def _check_identity(path: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
    held = read_record(path, path.read_bytes())
    if held.get("tool") != identity["tool"]:
        raise ModelError(
            "E1313",
            f"its trials were made with {held.get('tool')}, this is {identity['tool']}",
            where=str(path), remedy="results of two versions are not mixed; choose another -o",
        )  # fmt: skip
    if held != json.loads(canonical(identity)):
        differences = ", ".join(_differences(held, json.loads(canonical(identity))))
        raise ModelError(
            "E1312", f"study {held.get('name')!r} is another one there: {differences}",
            where=str(path), remedy="give the study another name, or choose another -o",
        )  # fmt: skip
    begun = any(any((path.parent / kind).glob("*.json")) for kind in (TRIALS, FAILURES))
    if begun and not resume:
        raise UsageError(
            "E5100", "holds trials of this study", where=str(path.parent),
            remedy="give --resume to go on with them, or choose another -o",
        )  # fmt: skip


def _differences(held: Mapping[str, Any], wanted: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Yield what differs, as `key: there, here`."""
    for key in sorted({*held, *wanted}):
        there, here = held.get(key), wanted.get(key)
        if isinstance(there, dict) and isinstance(here, dict):
            yield from _differences(there, here, f"{at}{key}.")
        elif there != here:
            yield f"{at}{key} is {json.dumps(there)} there, {json.dumps(here)} here"


def _make(folder: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
    """Make the folder; `study.json` comes last, so that a folder with it is whole."""
    if resume:
        raise UsageError(
            "E5102", "no study to go on with", where=str(folder), remedy="start it without --resume"
        )
    strange = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    strange = [name for name in strange if name not in (*FOLDERS, LOCK)]
    if strange or (folder.exists() and not folder.is_dir()):
        what = f"holds {sorted(strange)[0]!r}, which is no part of a study" if strange else "a file"
        raise UsageError("E5103", what, where=str(folder), remedy="choose another -o")
    try:
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        put_file(folder / STUDY, dump_record(identity))
    except OSError as error:
        raise UsageError(
            "E5103", f"cannot be written: {error.strerror or error}", where=str(folder),
            remedy="check its permissions and free space, or choose another -o",
        ) from None  # fmt: skip


def _sweep(folder: Path) -> None:
    """Remove what writers that were killed have left."""
    for left in folder.rglob(f"{HIDDEN}*"):
        with suppress(OSError):
            left.unlink()
