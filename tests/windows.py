"""Run a kernel on windows whose whole input is known."""

from hwtargets.simulator.ran import start


def run_windows(a, kernel, exists, *, states, reset_at=0):
    """Run windows whose input is known: int32 [n_windows, steps, n]."""
    run = start(kernel, exists, a.shape[2], states=states, reset_at=reset_at)
    for k in range(a.shape[1]):
        run.step(k, a[:, k])
    return run.result()
