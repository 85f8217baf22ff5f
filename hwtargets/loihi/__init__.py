"""Loihi through Lava: the network as Lava processes, the executor that runs them, the targets.

`LAVA`, `LOIHI1` and `LOIHI2` are what the entry points name; each is imported when asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwtargets.loihi.executor import LAVA
    from hwtargets.loihi.targets import LOIHI1, LOIHI2

__all__ = ["LAVA", "LOIHI1", "LOIHI2"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        module = "executor" if name == "LAVA" else "targets"
        return getattr(import_module(f"hwtargets.loihi.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
