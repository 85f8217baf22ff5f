"""Durations as people write them: `90s`, `20min`, `2h`."""

import re

from snndeploy.errors import UsageError

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")


def seconds_of(text: str, where: str) -> float:
    """Return a duration in seconds.

    Raises:
        UsageError: E5104, it is none.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise UsageError(
            "E5104", f"{text!r} is no duration", where=where, remedy="write 90s, 20min, 2h or 1d"
        )
    return float(found[1]) * UNITS[found[2]]


def words_of(seconds: float) -> str:
    """Return a duration in words, to the unit that matters."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
