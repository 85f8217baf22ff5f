"""Who wrote a `.nir` file, as far as it gives itself away, and what such files do not say.

NIR holds differential equations; exporters drop or bend what decides spikes. Facts, each observed:

norse 1.1       writes tau * dt for tau (1e-5 s for 10 ms): with dt = 1e-3 read it as dt = 1e-6; IF
                means v += r x
sinabs 3.1      counts tau in steps, drops tau_syn and norm_input, writes r = 1 for IF and means
                v += x
rockpool 3.1    LIFTorch(has_rec=True) loses its recurrent weights; dt is the user's
snntorch 1.0    does not say how a neuron resets; its default is subtract-delayed
spikingjelly    compares with >=; refuses soft resets, so a file resets to v_reset
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from snndeploy.errors import ModelError
from snndeploy.ir.arrays import FloatArray
from snndeploy.model import METADATA_KEY, ImportNote
from snndeploy.nirgraph.canonical import NEURONS
from snndeploy.semantics import Chosen, Semantics

UNIT_DT = 1e-4
"""The dt that snnTorch and SpikingJelly assume when they write gains of 1."""
STEP_TAU = 0.5
"""Time constants from here on are counted in steps: half a second is no neuron's."""
SHORT_TAU = 2e-5
"""Time constants up to here are tau * dt: shorter than any step that networks are trained with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """The likely writer of a file.

    Attributes:
        exporter: framework, or several that write alike.
        evidence: what gives it away.
        silent: what such a file does not say, and the options that decide.
    """

    exporter: str
    evidence: str
    silent: str

    @property
    def loses_weights(self) -> bool:
        """Whether such a file may lack what no option brings back."""
        return self.exporter == "Rockpool"

    @property
    def text(self) -> str:
        """For notes."""
        return f"looks like {self.exporter}'s export ({self.evidence}): {self.silent}"


def guess_exporter(graph: nir.NIRGraph) -> Guess | None:
    """Return who wrote a graph, if it gives itself away."""
    names = list(graph.nodes)
    kinds = [name.rpartition("_")[2] for name in names]
    torches = [k for k in kinds if k.endswith("Torch") and len(k) > len("Torch")]
    if torches:
        return Guess(
            exporter="Rockpool",
            evidence=f"nodes are called {torches[0]}",
            silent="its exporter drops recurrent weights (has_rec=True) and the step; say "
            "--semantics rockpool,dt=SECONDS, and retrain or refuse a recurrent network",
        )
    taus = _values(graph, ("tau", "tau_mem", "tau_syn"))
    if taus.size and taus.max() <= SHORT_TAU:
        return Guess(
            exporter="Norse",
            evidence=f"time constants up to {taus.max():.2g} s: tau times dt",
            silent="for networks of dt 1e-3 say --semantics norse,dt=1e-6 (dt squared)",
        )
    if taus.size and taus.min() >= STEP_TAU:
        return Guess(
            exporter="sinabs",
            evidence=f"time constants from {taus.min():.3g} on: counted in steps",
            silent="its exporter drops norm_input and tau_syn; say --semantics sinabs,gain=nir for "
            "norm_input=True (sinabs' default), or sinabs,gain=unit; a tau_syn is lost",
        )
    if _takes_r_alone(graph):
        return Guess(
            exporter="sinabs or Norse",
            evidence="IF with r = 1",
            silent="say --semantics sinabs (several spikes per step, subtractive) or norse (one, "
            "reset to v_reset)",
        )
    if _has_unit_gains(graph):
        return _unit_gain_guess(names)
    return None


def check_steps(graph: nir.NIRGraph, semantics: Semantics, guess: Guess | None) -> None:
    """Refuse a step that overshoots a time constant of a neuron that has no semantics of its own.

    Raises:
        ModelError: E1421, Euler's method would keep a negative share of a state.
    """
    if semantics.leak != "euler":
        return
    for name, tau in _taus(graph):
        if np.any(tau < semantics.dt * (1 - 1e-9)):
            help_ = guess.silent if guess else "say the model's step: --semantics …,dt=SECONDS"
            raise ModelError(
                "E1421",
                f"a step of {semantics.dt:g} s is longer than its time constant {tau.min():.3g} s: "
                f"it would keep {1 - semantics.dt / tau.min():.3g} of its state",
                where=name,
                remedy=help_,
            )


def check_default(graph: nir.NIRGraph, guess: Guess | None) -> None:
    """Refuse to assume plain NIR for a file whose writer demonstrably means something else.

    Raises:
        ModelError: E1422, with the options that decide.
    """
    if guess is None or guess.exporter not in ("sinabs", "Norse", "sinabs or Norse"):
        return
    node = next(name for name, part in graph.nodes.items() if isinstance(part, NEURONS))
    raise ModelError(
        "E1422",
        f"{guess.evidence}: read as plain NIR (dt 1e-4 s) it would take next to none of its "
        f"input; looks like {guess.exporter}'s export",
        where=node,
        remedy=f"{guess.silent}; or --semantics nir,dt=SECONDS if it is meant as it stands",
    )


def check_sinabs(graph: nir.NIRGraph, given: tuple[str, ...]) -> None:
    """Refuse the preset sinabs on leaky neurons unless the lost option is given.

    Raises:
        ModelError: E1423, `gain` decides and is not said.
    """
    leaky = [name for name, node in graph.nodes.items() if isinstance(node, nir.LIF | nir.LI)]
    if leaky and "gain" not in given:
        raise ModelError(
            "E1423",
            "sinabs' export drops norm_input, which decides how much of its input a neuron takes",
            where=leaky[0],
            remedy="say gain=nir for norm_input=True (sinabs' default) or gain=unit for False: "
            "--semantics sinabs,gain=nir",
        )


def clamp_notes(graph: nir.NIRGraph, chosen: Semantics | Chosen) -> tuple[ImportNote, ...]:
    """Note where the clamp of preset sinabs comes from: sinabs' export drops min_v_mem."""
    if not isinstance(chosen, Chosen) or chosen.preset != "sinabs" or "v_min" in chosen.overrides:
        return ()
    text = (
        "v may not fall below -threshold, as sinabs reads such a file; its export drops min_v_mem: "
        "say v_min=none if the network was trained without"
    )
    spiking = [name for name, node in graph.nodes.items() if isinstance(node, nir.IF | nir.LIF)]
    return tuple(ImportNote(kind="assumed", node=name, text=text) for name in spiking)


def _unit_gain_guess(names: list[str]) -> Guess:
    looped = any(name.endswith(".w_rec") for name in names)
    return Guess(
        exporter="snnTorch" if looped else "snnTorch or SpikingJelly",
        evidence="gains are 1 at dt 1e-4" + (", loops are called .w_rec" if looped else ""),
        silent="the file does not say how neurons reset; say --semantics "
        "snntorch,reset=subtract-delayed for snnTorch's default, snntorch for reset to zero"
        + ("" if looped else ", or spikingjelly"),
    )


def _has_unit_gains(graph: nir.NIRGraph) -> bool:
    """Whether r = tau / dt (and w_in = tau_syn / dt) in all leaky neurons, at dt 1e-4."""
    gains = [
        np.asarray(factor, dtype=np.float64) * UNIT_DT / np.asarray(tau, dtype=np.float64)
        for node in graph.nodes.values()
        if isinstance(node, nir.LIF | nir.CubaLIF)
        for factor, tau in (
            [(node.r, node.tau)]
            if isinstance(node, nir.LIF)
            else [(node.r, node.tau_mem), (node.w_in, node.tau_syn)]
        )
    ]
    return bool(gains) and all(np.allclose(gain, 1.0, rtol=1e-5, atol=0) for gain in gains)


def _takes_r_alone(graph: nir.NIRGraph) -> bool:
    integrators = [node for node in graph.nodes.values() if isinstance(node, nir.IF)]
    return bool(integrators) and all(np.all(np.asarray(node.r) == 1.0) for node in integrators)


def _taus(graph: nir.NIRGraph) -> Iterator[tuple[str, FloatArray]]:
    """Yield the time constants of neurons that the file's default semantics are for."""
    for name, node in graph.nodes.items():
        if METADATA_KEY in (node.metadata or {}):
            continue
        for field in ("tau", "tau_mem", "tau_syn"):
            if isinstance(node, NEURONS) and hasattr(node, field):
                yield name, np.asarray(getattr(node, field), dtype=np.float64)


def _values(graph: nir.NIRGraph, fields: tuple[str, ...]) -> FloatArray:
    found: list[Any] = [
        np.ravel(getattr(node, field))
        for node in graph.nodes.values()
        if isinstance(node, NEURONS)
        for field in fields
        if hasattr(node, field)
    ]
    return np.concatenate(found).astype(np.float64) if found else np.zeros(0)
