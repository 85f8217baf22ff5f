"""Compile trained spiking neural networks to neuromorphic hardware, and prove what was done.

    import snndeploy

    model = snndeploy.load("model.pt")
    compiled = snndeploy.compile(model, "loihi")
    bundle = snndeploy.write_bundle(compiled, "model.loihi")
    print(snndeploy.verify(bundle).is_equal)

Names are loaded when they are used: importing this package imports nothing heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snndeploy.api import compare as compare
    from snndeploy.api import compile as compile
    from snndeploy.api import estimate as estimate
    from snndeploy.api import finetune as finetune
    from snndeploy.api import load as load
    from snndeploy.api import read_data as read_data
    from snndeploy.api import run as run
    from snndeploy.bundle import read_bundle as read_bundle
    from snndeploy.bundle import write_bundle as write_bundle
    from snndeploy.errors import SnnDeployError as SnnDeployError
    from snndeploy.frontends.checkpoint import save as save
    from snndeploy.frontends.checkpoint import write_model as write_model
    from snndeploy.frontends.own import neuron as neuron
    from snndeploy.nirgraph.microcode import Microcode as Microcode
    from snndeploy.nirgraph.microcode import Parameter as Parameter
    from snndeploy.verification import verify as verify

HOMES = {
    "Microcode": "snndeploy.nirgraph.microcode",
    "Parameter": "snndeploy.nirgraph.microcode",
    "SnnDeployError": "snndeploy.errors",
    "compare": "snndeploy.api",
    "compile": "snndeploy.api",
    "estimate": "snndeploy.api",
    "finetune": "snndeploy.api",
    "load": "snndeploy.api",
    "neuron": "snndeploy.frontends.own",
    "read_bundle": "snndeploy.bundle",
    "read_data": "snndeploy.api",
    "run": "snndeploy.api",
    "save": "snndeploy.frontends.checkpoint",
    "verify": "snndeploy.verification",
    "write_bundle": "snndeploy.bundle",
    "write_model": "snndeploy.frontends.checkpoint",
}
"""Public names and the modules they live in."""


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(HOMES)
