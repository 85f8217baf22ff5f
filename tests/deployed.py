"""A small compiled network made by hand, for suites of what comes after compilation."""

from dataclasses import replace

import nir
import numpy as np

from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import LIF, integrator, lif
from snndeploy.ir.synapses import Dense
from snndeploy.mapping.place import place
from snndeploy.model import ImportNote, InputPort, Model, OutputPort
from snndeploy.passes.layer_report import LayerReport
from snndeploy.pipeline import Compiled, CompileOptions
from snndeploy.registry import find_target
from snndeploy.samples import Samples, check_samples
from snndeploy.semantics import Semantics

STEPS, N_IN, N_HIDDEN, N_OUT = 5, 6, 8, 3


def small_network(*, name: str = "hidden") -> Network:
    """Return spikes [6] -> LIF [8] -> integrator [3], five steps per sample."""
    rng = np.random.default_rng(7)
    return Network(
        name="small",
        steps=STEPS,
        sources=(Source(name="in", shape=(N_IN,)),),
        populations=(
            Population(
                name=name, shape=(N_HIDDEN,), program=LIF, wave=1,
                params=lif(du=4095, dv=512, vth=90),
            ),
            Population(name="out", shape=(N_OUT,), program=LIF, params=integrator(), wave=2),
        ),
        projections=(
            Projection(
                name="first", source="in", target=name,
                synapse=Dense(weight=2 * rng.integers(-30, 60, (N_HIDDEN, N_IN))),
            ),
            Projection(
                name="second", source=name, target="out",
                synapse=Dense(weight=2 * rng.integers(-100, 100, (N_OUT, N_HIDDEN))),
            ),
        ),
        outputs=(
            Output(
                name="class", population="out", shape=(N_OUT,), readout="increment", decode="sum",
                scale=0.01,
            ),
        ),
    )  # fmt: skip


def small_model(*, origin: str = "small.pt") -> Model:
    """Return a float model that stands for the network; nothing here runs it."""
    graph = nir.NIRGraph(
        nodes={
            "in": nir.Input({"input": np.array([N_IN])}),
            "fc": nir.Linear(weight=np.zeros((N_OUT, N_IN))),
            "class": nir.Output({"output": np.array([N_OUT])}),
        },
        edges=[("in", "fc"), ("fc", "class")],
    )
    return Model(
        graph=graph,
        semantics=Semantics(),
        inputs=(InputPort(name="in", shape=(N_IN,), values="spikes", low=0.0, high=1.0),),
        outputs=(OutputPort(name="class", shape=(N_OUT,)),),
        steps=STEPS,
        notes=(ImportNote(kind="dropped", node="drop", text="dropout does nothing here"),),
        origin=origin,
    )


def small_compiled(*, target: str = "loihi2", name: str = "hidden", origin: str = "small.pt"):
    """Return the network placed on a chip, as compilation returns it."""
    network, chip = small_network(name=name), find_target(target)
    return Compiled(
        options=CompileOptions(),
        target=chip,
        model=small_model(origin=origin),
        host=None,
        network=network,
        layers=(
            LayerReport(
                population=name, node="fc", synapse="dense", n_neurons=N_HIDDEN, n_weights=48,
                unit=0.01, unit_largest=0.01, weight_exp=0, vth=90, du=4095, dv=512, rounded=3,
                clipped=0, program="lif",
                weight_rms=0.004, bias_error=0.0, decay_error=0.0, headroom_bits=4.5, enlarged=1.0,
                exact=False, why=("3 weights are rounded",),
            ),
        ),
        placement=place(network, chip.chip),
        violations=(),
    )  # fmt: skip


def too_large(compiled: Compiled) -> Compiled:
    """Return it as a compilation that does not fit."""
    from snndeploy.errors import Violation

    broken = Violation(
        node="hidden",
        rule="neurons_per_core",
        have=9000,
        limit=8192,
        unit="neurons",
        hint="split it",
    )
    return replace(compiled, placement=None, violations=(broken,))


def small_samples(n: int = 4, *, seed: int = 3) -> Samples:
    """Return spikes [5, n, 6] and labels."""
    rng = np.random.default_rng(seed)
    x = (rng.random((STEPS, n, N_IN)) < 0.4).astype(np.uint8)
    return check_samples({"in": x}, {"in": (N_IN,)}, label=rng.integers(0, N_OUT, n))
