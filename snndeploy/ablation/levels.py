"""Levels that the factors of a space may take: what the compression stages know by name."""

from typing import get_args

from snndeploy.compress.criteria import CRITERIA as RANKINGS
from snndeploy.nirgraph.weight_grid import Kind, Rule

CRITERIA = tuple(RANKINGS)
GAMMAS: tuple[str, ...] = get_args(Rule)
GRIDS: tuple[str, ...] = get_args(Kind)
MIN_BITS, MAX_BITS = 2, 8
