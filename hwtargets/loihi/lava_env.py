"""Lava's own environment: found if it exists, made once if it does not, shared by all runs.

lava-nc 0.10.0 takes CPython 3.10 and numpy < 2 only, so it lives in a virtual environment in the
user's cache, named after the digest of `requirements.txt`: new pins make a new environment.
`SNNDEPLOY_LAVA_PYTHON` names an interpreter to use instead: one that has lava-nc already, or a
plain 3.10 to make the environment from. `python -m hwtargets.loihi.lava_env` makes it and prints
its interpreter.
"""

import fcntl
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hwtargets.loihi.interpreters import (
    OVERRIDE,
    Interpreter,
    clean_environment,
    find_python,
    probe,
)
from hwtargets.loihi.program import LAVA_VERSION
from snndeploy.errors import SnnDeployError, TargetError

logger = logging.getLogger(__name__)
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
MAKE = "python -m hwtargets.loihi.lava_env"
INSTALL_TIMEOUT_S = 900.0


def ready_python(environ: Mapping[str, str]) -> Path | None:
    """Return an interpreter that has Lava, None if one would have to be made first.

    Raises:
        TargetError: E4001 if `SNNDEPLOY_LAVA_PYTHON` names something that cannot serve.
    """
    chosen = _chosen(environ)
    if chosen and chosen.lava == LAVA_VERSION:
        return chosen.path
    made = _python_in(environment_folder(environ))
    return made if made.exists() else None


def make_environment(environ: Mapping[str, str]) -> Path:
    """Return an interpreter that has Lava, making its environment if there is none.

    Two makers at once do the work once: the second waits for the first.

    Raises:
        TargetError: E4001 no CPython 3.10; E4002 the packages could not be installed.
    """
    ready = ready_python(environ)
    if ready:
        return ready
    base = _chosen(environ) or find_python(environ)
    if base is None:
        raise TargetError(
            "E4001",
            "Lava needs CPython 3.10 and none was found",
            remedy=f"install CPython 3.10 or set {OVERRIDE} to one",
        )
    folder = environment_folder(environ)
    with _lock(folder):
        if not _python_in(folder).exists():
            _install(base.path, folder, environ)
    return _python_in(folder)


def missing(environ: Mapping[str, str]) -> str | None:
    """Return None if Lava is ready to run, else one line: what is missing and how to get it."""
    try:
        if ready_python(environ):
            return None
        if _chosen(environ) or find_python(environ):
            return f"Lava's environment is not made yet: run `{MAKE}` (downloads 100 MB)"
    except TargetError as error:
        return error.line()
    return f"Lava needs CPython 3.10: install it or set {OVERRIDE}, then run `{MAKE}`"


def environment_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of the environment with today's pins."""
    home = Path(environ.get("HOME", "~")).expanduser()
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    return cache / "snndeploy" / f"lava-{digest[:16]}"


def _chosen(environ: Mapping[str, str]) -> Interpreter | None:
    """Return the interpreter that the user named, None if none is named."""
    named = environ.get(OVERRIDE)
    if not named:
        return None
    found = probe(Path(named), environ)
    if found is None:
        raise _refusal(named, "it does not run as a Python")
    if not found.is_usable:
        version = ".".join(map(str, found.version))
        raise _refusal(named, f"it is {found.implementation} {version}")
    if found.lava not in ("", LAVA_VERSION):
        raise _refusal(named, f"it has lava-nc {found.lava}, {LAVA_VERSION} is needed")
    return found


def _refusal(named: str, reason: str) -> TargetError:
    return TargetError(
        "E4001",
        f"{OVERRIDE}={named} cannot run Lava: {reason}",
        remedy=f"set it to a CPython 3.10, with lava-nc {LAVA_VERSION} or without lava-nc",
    )


def _python_in(folder: Path) -> Path:
    return folder / "bin" / "python"


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the lock beside an environment's folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _install(base: Path, folder: Path, environ: Mapping[str, str]) -> None:
    """Build beside the final folder, then rename: the folder is complete or absent."""
    logger.info("making Lava's environment in %s", folder)
    building = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    python = str(_python_in(building))
    pip = [python, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        for command in (
            [str(base), "-I", "-m", "venv", str(building)],
            [*pip, "--no-deps", "--requirement", str(REQUIREMENTS)],
        ):
            _run(command, environ)
        made = probe(Path(python), environ)
        if made is None or made.lava != LAVA_VERSION:
            raise _broken("lava-nc is not in it")
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _run(command: list[str], environ: Mapping[str, str]) -> None:
    keep = {k: v for k, v in environ.items() if k.startswith("PIP_")}
    try:
        subprocess.run(
            command,
            env={**clean_environment(environ), **keep},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.strip()]
        raise _broken(lines[-1].strip() if lines else f"status {error.returncode}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _broken(str(error)) from error


def _broken(reason: str) -> TargetError:
    return TargetError(
        "E4002",
        f"Lava's environment could not be made: {reason}",
        remedy=f"check the network and run `{MAKE}`, or set {OVERRIDE}",
    )


def main() -> int:
    """Make the environment and print its interpreter; return the exit status."""
    try:
        python = make_environment(os.environ)
    except SnnDeployError as error:
        sys.stderr.write(f"{error.line()}\n")
        return error.exit_code
    sys.stdout.write(f"{python}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
