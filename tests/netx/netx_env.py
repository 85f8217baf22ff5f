"""The environment of lava-dl's netx: made once in the user's cache, its interpreter printed.

It holds torch and takes 2 GB, so `make test-netx` makes it and no other target does.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hwtargets.loihi.interpreters import OVERRIDE, clean_environment, find_python, probe

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def main():
    """Make the environment if there is none; print its interpreter."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    folder = cache / "snndeploy" / f"netx-{digest[:16]}"
    if not (folder / "bin" / "python").exists():
        make(folder)
    print(folder / "bin" / "python")  # noqa: T201 - what the Makefile reads


def make(folder):
    """Build beside the final folder, then rename: the folder is complete or absent."""
    chosen = os.environ.get(OVERRIDE)
    base = probe(Path(chosen), os.environ) if chosen else find_python(os.environ)
    if base is None:
        sys.exit(f"netx needs CPython 3.10: install it or set {OVERRIDE}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    keep = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    pip = [str(building / "bin" / "python"), "-I", "-m", "pip", "install", "--quiet"]
    try:
        for command in (
            [str(base.path), "-I", "-m", "venv", str(building)],
            [*pip, "--no-deps", "--requirement", str(REQUIREMENTS)],
        ):
            environ = {**clean_environment(os.environ), **keep}
            subprocess.run(command, env=environ, check=True, stdout=sys.stderr)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


if __name__ == "__main__":
    main()
