"""From a trained network to a proven deployment, with the commands a user would type.

    make demo        (or: python examples/demo.py)

Writes ./demo/: the digits, the bundle with its HTML report and certificate, and the answers.
"""

import sys
import time
from pathlib import Path

import numpy as np
from digits import load_digits

from snndeploy.cli.main import run
from snndeploy.npz import dump_npz
from snndeploy.registry import find_executor

HERE = Path(__file__).parent
OUT = Path("demo")
MODEL = HERE / "models" / "mnist_images.pt"
N_LAVA = 100


def main() -> int:
    """Run the demo; return the exit code of the first command that failed."""
    started = time.monotonic()
    OUT.mkdir(exist_ok=True)
    write_digits(OUT / "digits.npz", None)
    write_digits(OUT / f"digits{N_LAVA}.npz", N_LAVA)
    bundle = OUT / "mnist_images.loihi2"
    reason = find_executor("lava").missing()
    commands: list[tuple[object, ...]] = [
        ("run", MODEL, "--backend", "float", "--input", OUT / "digits.npz"),
        (
            "compile",
            MODEL,
            "--target",
            "loihi",
            "--data",
            OUT / "digits.npz",
            "-o",
            bundle,
            "--force",
        ),
        ("verify", bundle),
    ]
    for backend in ("sim",) if reason else ("sim", "lava"):
        answers = OUT / f"{backend}.npz"
        commands.append(
            ("run", bundle, "--backend", backend, "--input", OUT / f"digits{N_LAVA}.npz",
             "--output", answers, "--force")
        )  # fmt: skip
    for command in commands:
        words = [str(word) for word in command]
        print(f"\n$ snndeploy {' '.join(words)}", flush=True)
        code = run(words)
        if code:
            return code
    print(f"\n{summary(reason)}")
    print(f"{time.monotonic() - started:.0f} s; open {bundle / 'report.html'}")
    return 0


def write_digits(path: Path, n: int | None) -> None:
    """Write held-out digits as a user would: x [1, B, 1, 28, 28] and label [B]."""
    digits = load_digits()
    arrays = {"x": digits.test_images[None, :n], "label": digits.test_labels[:n]}
    path.write_bytes(dump_npz(arrays))


def summary(reason: str | None) -> str:
    """Say in one line what Lava answered, or why it was not asked."""
    if reason:
        return f"Lava was not run: {reason}"
    with np.load(OUT / "sim.npz") as ours, np.load(OUT / "lava.npz") as lavas:
        same = np.array_equal(ours["y"], lavas["y"])
    verdict = "the same numbers" if same else "DIFFERENT numbers"
    return f"Lava and our simulator answered {verdict} on {N_LAVA} digits"


if __name__ == "__main__":
    sys.exit(main())
