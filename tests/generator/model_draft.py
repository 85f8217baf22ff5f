"""A random float model while it grows: NIR nodes and edges, and where the next layer may start."""

from dataclasses import dataclass, field, replace
from math import prod

import nir
import numpy as np

from snndeploy.model import InputPort, Model, OutputPort
from snndeploy.nirgraph.metadata import with_semantics
from snndeploy.nirgraph.rebuild import build_graph
from snndeploy.semantics import Semantics
from tests import chains

RULES = (
    {"reset": "subtract"}, {"reset": "subtract-delayed"}, {"reset": "none"}, {"v_min": -0.5},
    {"reset": "subtract", "v_min": 0.0}, {"reset": "subtract", "multi_spike": True},
    {"reset": "subtract", "multi_spike": True, "v_min": -1.0},
)  # fmt: skip
"""Semantics beyond Loihi's own neuron."""


@dataclass(frozen=True)
class Tip:
    """A node that sends spikes, or an input: where the next layer may start."""

    name: str
    shape: tuple[int, ...]
    binary: bool = True

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3 and min(self.shape[1:]) >= 3


@dataclass(kw_only=True)
class Draft:
    """A model while it grows; with `grid` all weights are sixteenths, so that sums can tie."""

    rng: np.random.Generator
    semantics: Semantics
    grid: bool
    nodes: dict = field(default_factory=dict)
    edges: list = field(default_factory=list)
    inputs: dict = field(default_factory=dict)
    outputs: dict = field(default_factory=dict)
    tips: list[Tip] = field(default_factory=list)

    @property
    def top(self) -> Tip:
        return self.tips[-1]

    def add(self, kind: str, node, *sources: str) -> str:
        name = f"{kind}{len(self.nodes)}"
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return name

    def input(self, shape, *, values="spikes") -> Tip:
        name = "in" if not self.inputs else f"in{len(self.inputs) + 1}"
        self.inputs[name] = InputPort(
            name=name, shape=shape, values=values, low=-1.0 if values == "real" else 0.0, high=1.0
        )
        self.tips.append(Tip(name, shape, values == "spikes"))
        return self.top

    def output(self, source: str, shape) -> None:
        name = "out" if not self.outputs else f"out{len(self.outputs) + 1}"
        self.outputs[name] = OutputPort(name=name, shape=shape, decode="sum")
        self.edges.append((source, name))

    def weights(self, shape) -> np.ndarray:
        size = 1.8 / np.sqrt(prod(shape[1:]))
        weight = self.rng.normal(0.12 * size, size, shape)
        return np.rint(weight * 16) / 16 if self.grid else weight

    def bias(self, n: int) -> np.ndarray:
        bias = self.rng.normal(0, 0.08, n) if self.rng.random() < 0.4 else np.zeros(n)
        return np.rint(bias * 16) / 16 if self.grid else bias

    def flat(self, tip: Tip) -> str:
        if len(tip.shape) == 1:
            return tip.name
        return self.add("flat", chains.flatten(tip.shape), tip.name)

    def linear(self, n_out: int, *tips: Tip) -> str:
        """Return a matrix of the sum of some tips."""
        flat = [
            self.add("flat", chains.flatten(tip.shape), tip.name)
            if len(tip.shape) > 1
            else tip.name
            for tip in tips
        ]
        weight = self.weights((n_out, prod(tips[0].shape)))
        return self.add("w", nir.Affine(weight=weight, bias=self.bias(n_out)), *flat)

    def same(self, *tips: Tip) -> str:
        """Return weights that keep the shape of the sum of some tips."""
        shape = tips[0].shape
        if not tips[0].is_image:
            return self.linear(prod(shape), *tips) if len(shape) == 1 else self.scale(1.0, *tips)
        weight = self.weights((shape[0], shape[0], 3, 3))
        node = chains.conv(weight, shape[1:], bias=self.bias(shape[0]), padding=1)
        return self.add("w", node, *(tip.name for tip in tips))

    def scale(self, factor: float, *tips: Tip) -> str:
        node = nir.Scale(scale=np.full(tips[0].shape, factor))
        return self.add("s", node, *(tip.name for tip in tips))

    def conv(self, tip: Tip) -> tuple[str, tuple[int, ...]]:
        """Return a convolution of odd geometry and its shape."""
        rng, (channels, *size) = self.rng, tip.shape
        groups = int(rng.choice([g for g in (1, 1, 2, 3) if channels % g == 0]))
        kernel = [int(k) for k in rng.integers(1, 4, 2)]
        dilation = int(rng.integers(1, 3)) if max(kernel) * 2 <= min(size) else 1
        stride, padding = ([int(v) for v in rng.integers(low, low + 2, 2)] for low in (1, 0))
        c_out = groups * int(rng.integers(1, 4))
        node = chains.conv(
            self.weights((c_out, channels // groups, *kernel)), size, bias=self.bias(c_out),
            stride=tuple(stride), padding=tuple(padding), dilation=dilation, groups=groups,
        )  # fmt: skip
        shape = (
            (n + 2 * p - dilation * (k - 1) - 1) // s + 1
            for n, p, k, s in zip(size, padding, kernel, stride, strict=True)
        )
        return self.add("w", node, tip.name), (c_out, *shape)

    def neuron(self, construct: str, shape, *sources: str) -> Tip:
        """Add a spiking node; thresholds differ where no weights are shared."""
        rng = self.rng
        threshold = float(rng.choice([0.5, 1.0]))
        drawn, keep = rng.random(), float(rng.choice([0.5, 0.75, 0.9]))
        own = random_semantics(rng, self.semantics) if rng.random() < 0.25 else self.semantics
        biased = any(np.any(getattr(self.nodes.get(s), "bias", 0) != 0) for s in sources)
        if drawn < 0.35:
            node = chains.integrate_and_fire(shape, threshold=threshold)
        elif drawn < 0.5 and not biased:
            node = chains.cuba(shape, keep_u=0.5, keep_v=keep, threshold=threshold)
        else:
            v_reset = -0.25 if own.reset == "zero" and rng.random() < 0.2 else 0.0
            alike = v_reset != 0 and own.v_min is not None  # one clamp between reset and threshold
            if len(shape) == 1 and rng.random() < 0.3 and not alike:
                threshold = rng.choice([0.5, 0.75, 1.0], shape)
            node = chains.lif(shape, keep=keep, threshold=threshold, v_reset=v_reset)
        node = node if own is self.semantics else with_semantics(node, own)
        self.tips.append(Tip(self.add(construct, node, *sources), shape, not own.multi_spike))
        return self.top

    def gate(self, construct: str, shape, threshold: float, *sources: str) -> Tip:
        name = self.add(construct, nir.Threshold(threshold=np.full(shape, threshold)), *sources)
        self.tips.append(Tip(name, shape))
        return self.top


def random_semantics(rng, semantics: Semantics) -> Semantics:
    plain = {"reset": "zero", "multi_spike": False, "v_min": None}
    return replace(semantics, **{**plain, **RULES[int(rng.integers(len(RULES)))]})


def assembled(draft: Draft, *, steps: int) -> Model:
    ports = {
        **{n: nir.Input(input_type={"input": np.array(p.shape)}) for n, p in draft.inputs.items()},
        **{
            n: nir.Output(output_type={"output": np.array(p.shape)})
            for n, p in draft.outputs.items()
        },
    }
    return Model(
        graph=build_graph({**ports, **draft.nodes}, draft.edges),
        semantics=draft.semantics,
        inputs=tuple(draft.inputs.values()),
        outputs=tuple(draft.outputs.values()),
        steps=steps,
        notes=(),
        origin="random",
    )
