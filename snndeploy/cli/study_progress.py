"""The state of a running study on one line of the terminal: done, running, failed, time to go."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snndeploy.ablation.ablate import Progress, Watch


@contextmanager
def study_progress() -> "Iterator[Watch]":
    """Yield a function that shows a study's progress on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def show(progress: "Progress") -> None:
            bar.update(
                task, description=line_of(progress), completed=progress.done + progress.failed,
                total=progress.total,
            )  # fmt: skip

        yield show


def line_of(progress: "Progress") -> str:
    """Return progress in words."""
    from snndeploy.ablation.duration import words_of

    eta = f", {words_of(progress.eta_s)} to go" if progress.eta_s else ""
    return (
        f"{progress.done:,} of {progress.total:,} done, {progress.running:,} running, "
        f"{progress.failed:,} failed{eta}"
    )


def _silent(progress: "Progress") -> None:
    del progress
