"""Threads for the kernels, which work without Python's lock: ranges of work, one task each.

Tasks of one call write to places of their own, so nothing depends on how many threads there are.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import pairwise
from types import TracebackType
from typing import Self, TypeVar

S = TypeVar("S")
T = TypeVar("T")

TASKS_PER_THREAD = 2
"""Ranges differ little in work, and every task begins with a cold cache."""


class Workers(AbstractContextManager["Workers"]):
    """Some threads; a single one is the caller itself."""

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool:
            self._pool.shutdown()

    def ranges(self, n: int) -> list[tuple[int, int]]:
        """Return ranges that cover 0 .. n in order: one, or a few for each thread."""
        pieces = max(1, min(self.threads * TASKS_PER_THREAD, n)) if self._pool else 1
        cuts = [n * k // pieces for k in range(pieces + 1)]
        return list(pairwise(cuts))

    def map(self, task: Callable[[S], T], parts: Sequence[S]) -> list[T]:
        """Return task(part) for every part, in order."""
        if self._pool is None or len(parts) == 1:
            return [task(part) for part in parts]
        return list(self._pool.map(task, parts))
