"""Finding a CPython 3.10: where it may be, and what it says about itself when it is run.

A version manager's shim on PATH can fail although a real 3.10 is installed, so real interpreters
are looked for first and every candidate is run before it is believed.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

OVERRIDE = "SNNDEPLOY_LAVA_PYTHON"
VERSION = (3, 10)
PROBE_TIMEOUT_S = 20.0
_FOREIGN = ("PYTHON", "VIRTUAL_ENV", "CONDA", "UV_", "PIP_")
_PROBE = """
import json, platform, sys
from importlib.metadata import PackageNotFoundError, version
try:
    lava = version("lava-nc")
except PackageNotFoundError:
    lava = ""
print(json.dumps([platform.python_implementation(), *sys.version_info[:2], lava]))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """A Python that ran: its path, what it is, and the lava-nc it has (empty: none)."""

    path: Path
    implementation: str
    version: tuple[int, int]
    lava: str

    @property
    def is_usable(self) -> bool:
        """Whether Lava can be installed into it: CPython 3.10."""
        return self.implementation == "CPython" and self.version == VERSION


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what would steer another interpreter or its packages."""
    return {k: v for k, v in environ.items() if not k.startswith(_FOREIGN)}


def probe(python: Path, environ: Mapping[str, str]) -> Interpreter | None:
    """Run a candidate in isolated mode; None if it does not answer like a Python."""
    try:
        answer = subprocess.run(
            [str(python), "-I", "-c", _PROBE],
            env=clean_environment(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=True,
        )
        implementation, major, minor, lava = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Interpreter(
        path=python, implementation=implementation, version=(major, minor), lava=lava
    )


def find_python(environ: Mapping[str, str]) -> Interpreter | None:
    """Return the first CPython 3.10 among the usual places; the override is the caller's."""
    for candidate in candidates(environ):
        if candidate.is_file():
            found = probe(candidate, environ)
            if found and found.is_usable:
                return found
    return None


def candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield paths that may be a Python 3.10, the most reliable first.

    Order: version managers' real installations (pyenv), PATH without shims, interpreters that uv
    manages, conda environments, the system's folders.
    """
    home = Path(environ.get("HOME", "~")).expanduser()
    roots = [Path(environ["PYENV_ROOT"])] if environ.get("PYENV_ROOT") else []
    for root in dict.fromkeys([*roots, home / ".pyenv"]):
        yield from _newest_first(root / "versions", "3.10*/bin/python3.10")
    for folder in environ.get("PATH", "").split(":"):
        if folder and "shims" not in folder:
            yield Path(folder) / "python3.10"
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")
    yield from _newest_first(data / "uv/python", "cpython-3.10*/bin/python3.10")
    for name in ("miniconda3", "anaconda3", "miniforge3", "mambaforge"):
        yield from _newest_first(home / name / "envs", "*/bin/python3.10")
    for folder in ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"):
        yield Path(folder) / "python3.10"


def _newest_first(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern), key=str, reverse=True) if folder.is_dir() else []
