"""Chips that are priced only: a TOML file each, and no code.

`XYLO` and the others are what the entry points name; each file is read when its name is asked for.
"""

from pathlib import Path

from snndeploy.target import PricedTarget, load_priced_chip

CHIPS = Path(__file__).parent / "chips"
NAMES = ("akida", "cortex-m", "digital45", "odin", "speck", "spinnaker2", "xylo")


def __getattr__(name: str) -> PricedTarget:
    file = name.lower().replace("_", "-")
    if file in NAMES and name.isupper():
        return PricedTarget(chip=load_priced_chip(CHIPS / f"{file}.toml"))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
