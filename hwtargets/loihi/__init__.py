"""Loihi through Lava: the network as Lava processes, the executor that runs them, the targets."""

from hwtargets.loihi.executor import LavaExecutor
from hwtargets.loihi.targets import LOIHI1, LOIHI2, LoihiTarget

LAVA = LavaExecutor()

__all__ = ["LAVA", "LOIHI1", "LOIHI2", "LavaExecutor", "LoihiTarget"]
