"""Putting a folder of files in place: whole or not at all, and never over what is not ours.

Files are written and synced in a hidden folder beside the destination, which is then renamed. What
an error, a full disk or Ctrl-C leaves behind is nothing.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from snndeploy.errors import UsageError


def check_destination(out: Path, *, force: bool, ours: Iterable[str]) -> None:
    """Refuse a destination before any work is done.

    Args:
        out: folder to be written.
        force: whether the bundle that is there may be replaced.
        ours: relative paths of files that may be replaced; anything else is never deleted.

    Raises:
        UsageError: E5003 it exists, E5004 it cannot be written.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        what = "is a symbolic link" if out.is_symlink() else "is a file"
        raise UsageError(
            "E5004", f"{what}, not a folder", where=str(out), remedy="choose another -o"
        )
    if out.is_dir():
        _check_replaceable(out, force=force, ours=set(ours))
    parent = out.absolute().parent
    if not parent.is_dir():
        raise UsageError("E5004", "there is no such folder", where=str(parent), remedy="create it")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError("E5004", "not writable", where=str(parent), remedy="choose another -o")


def check_file(path: Path, *, force: bool) -> None:
    """Refuse a file to be written before any work is done.

    Raises:
        UsageError: E5003 it exists, E5004 it cannot be written.
    """
    parent = path.absolute().parent
    if path.is_dir():
        raise UsageError("E5004", "is a folder, not a file", where=str(path), remedy="name a file")
    if path.exists() and not force:
        raise UsageError("E5003", "exists", where=str(path), remedy="give --force to replace it")
    if not parent.is_dir():
        raise UsageError("E5004", "there is no such folder", where=str(parent), remedy="create it")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError("E5004", "not writable", where=str(parent), remedy="choose another -o")


def publish(files: Mapping[str, bytes], out: Path) -> None:
    """Write files into a new folder `out`; an existing one is replaced in one rename.

    Raises:
        UsageError: E5004, the folder cannot be written; the old one is untouched.
    """
    out = out.absolute()
    try:
        with tempfile.TemporaryDirectory(prefix=f".{out.name[:60]}.", dir=out.parent) as scratch:
            fresh = Path(scratch) / "new"
            for name, data in sorted(files.items()):
                _write(fresh / PurePosixPath(name), data)
            _sync_folder(fresh)
            if out.exists():
                _swap(fresh, out, Path(scratch) / "old")
            else:
                fresh.rename(out)
            _sync_folder(out.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = "free space or choose another -o"
        raise UsageError(
            "E5004", f"cannot be written: {reason}", where=str(out), remedy=remedy
        ) from None


def write_file(path: Path, data: bytes) -> None:
    """Write one file whole or not at all.

    Raises:
        UsageError: E5004, it cannot be written.
    """
    path = path.absolute()
    if path.is_dir():
        raise UsageError("E5004", "is a folder, not a file", where=str(path), remedy="name a file")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name[:60]}.", dir=path.parent) as scratch:
            _write(Path(scratch) / "new", data)
            (Path(scratch) / "new").replace(path)
            _sync_folder(path.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = "check the folder and its free space"
        raise UsageError(
            "E5004", f"cannot be written: {reason}", where=str(path), remedy=remedy
        ) from None


def _check_replaceable(out: Path, *, force: bool, ours: set[str]) -> None:
    held = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if not p.is_dir())
    if not held:
        return
    foreign = [name for name in held if name not in ours]
    if foreign:
        raise UsageError(
            "E5003",
            f"holds {foreign[0]!r}, which is no part of a bundle; it would be lost",
            where=str(out),
            remedy="move it away or choose another -o",
        )
    if not force:
        raise UsageError("E5003", "exists", where=str(out), remedy="give --force to replace it")


def _swap(fresh: Path, out: Path, old: Path) -> None:
    """Replace `out` by `fresh`; put the old folder back if the second rename fails."""
    out.rename(old)
    try:
        fresh.rename(out)
    except BaseException:
        shutil.move(old, out)
        raise


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
