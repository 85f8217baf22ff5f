"""Ask lava-dl's netx, in its own interpreter, what it computes from a `.net` file."""

import os
import subprocess
from pathlib import Path

import numpy as np

PYTHON = os.environ.get("SNNDEPLOY_NETX_PYTHON")
DRIVER, SLAYER = (Path(__file__).with_name(f"{of}_driver.py") for of in ("netx", "slayer"))


def ask(driver, *args):
    """Run a script of ours in lava-dl's interpreter."""
    command = [PYTHON, "-I", str(driver), *map(str, args)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]


def ask_netx(folder, data, x, *, shape, message_bits=0, reset_interval=0, first=0):
    """Return what netx's layers hold and send at every chip step.

    Args:
        folder: where files may be written.
        data: the `.net` file's bytes.
        x: [chip steps, n] of what enters.
        shape: of the input.
        message_bits: of what enters; 0 is spikes.
        reset_interval: steps per sample; 0 is never.
        first: layer from which on words are recorded; every element of them costs time.

    Returns:
        [chip steps, n] by name and layer (`u0`, `out3`), images in our order C, H, W.
    """
    (folder / "a.net").write_bytes(data)
    np.savez(
        folder / "in.npz", x=x, shape=shape, message_bits=message_bits,
        reset_interval=reset_interval, first=first,
    )  # fmt: skip
    ask(DRIVER, *(folder / name for name in ("a.net", "in.npz", "out.npz")))
    with np.load(folder / "out.npz") as arrays:
        return {name: flat(arrays[name], len(x)) for name in arrays.files}


def flat(values, steps):
    """Return [W, H, C, T] or [n, T] as [T, n] in our order C, H, W."""
    return values.transpose(range(values.ndim)[::-1]).reshape(steps, -1)
