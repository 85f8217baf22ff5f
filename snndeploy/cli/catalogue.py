"""Every error code: title, what it means, what to do. `snndeploy explain CODE` prints it."""

from collections.abc import Mapping
from typing import NamedTuple


class Entry(NamedTuple):
    """What `explain` says of a code."""

    title: str
    meaning: str
    remedy: str


CATALOGUE: Mapping[str, Entry] = {}
