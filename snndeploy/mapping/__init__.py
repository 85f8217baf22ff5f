"""Mapping: neurons to cores, every violated limit at once, and an independent check."""

from snndeploy.mapping.check_placement import check_placement
from snndeploy.mapping.constraints import unchecked
from snndeploy.mapping.place import place

__all__ = ["check_placement", "place", "unchecked"]
