"""A progress bar for what takes longer than two seconds, on a terminal only."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snndeploy.target import Progress

PATIENCE_S = 2.0


@contextmanager
def progress_bar(label: str) -> "Iterator[Progress]":
    """Yield a callback (done, total) that draws on stderr once two seconds have passed."""
    if not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    bar = Bar(console=Console(stderr=True), transient=True)
    task = bar.add_task(label, total=None)
    started = time.monotonic()

    def show(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)
        if not bar.live.is_started and time.monotonic() - started > PATIENCE_S:
            bar.start()

    try:
        yield show
    finally:
        if bar.live.is_started:
            bar.stop()


def _silent(done: int, total: int) -> None:
    del done, total
