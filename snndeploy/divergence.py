"""Two answers of one network, compared cell by cell; the first difference in chip time is named."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.errors import TargetError
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Network, Population
from snndeploy.ir.trace import PopulationTrace

Traces = Mapping[str, PopulationTrace]
SPIKES = "spikes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One cell where a backend and the reference disagree: the one that came first in chip time.

    Attributes:
        step: model step in the sample's window.
        neuron: index in the flattened population.
        word: `spikes`, or the name of a state.
        reference: the reference's value; `backend`: the other one.
    """

    population: str
    step: int
    sample: int
    neuron: int
    word: str
    reference: int
    backend: int

    def line(self) -> str:
        """Return it in one line."""
        return (
            f"{self.population}: step {self.step}, sample {self.sample}, neuron {self.neuron}: "
            f"{self.word} is {self.backend}, the reference says {self.reference}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BackendResult:
    """How one backend compares with the reference.

    Attributes:
        missing: why it did not run, empty if it did.
        words: what was compared: `spikes` and state names.
        compared: cells compared; `different`: cells that differ.
        first: the first difference, None if there is none.
    """

    backend: str
    missing: str = ""
    words: tuple[str, ...] = ()
    compared: int = 0
    different: int = 0
    first: Difference | None = None


def compare_traces(
    network: Network, reference: Traces, other: Traces, *, backend: str, first_sample: int = 0
) -> BackendResult:
    """Compare every population and word that `other` holds with the reference.

    Args:
        network: says when each population's windows are, so that the first difference is first
            in chip time, and why it came: inputs before what they feed, states before spikes.
        reference: traces of the reference.
        other: traces of a backend.
        backend: its name.
        first_sample: number of the traces' first sample.

    Raises:
        TargetError: E4023, the backend's traces have another shape.
    """
    words: set[str] = set()
    compared = different = 0
    found: list[tuple[int, Difference]] = []
    for population in sorted(network.populations, key=lambda p: p.wave):
        for word, mine, theirs in _words(population.name, reference, other):
            if mine.shape != theirs.shape:
                raise _wrong_shape(backend, population.name, word, theirs.shape, mine.shape)
            words.add(word)
            compared += mine.size
            unequal = mine != theirs
            if unequal.any():
                different += int(np.count_nonzero(unequal))
                found.append(_first(population, network.period, word, mine, theirs, first_sample))
    return BackendResult(
        backend=backend,
        words=tuple(sorted(words)),
        compared=compared,
        different=different,
        first=min(found, key=lambda entry: entry[0])[1] if found else None,
    )


def merge(a: BackendResult, b: BackendResult) -> BackendResult:
    """Join the results of two batches, `a` the earlier one."""
    return BackendResult(
        backend=a.backend,
        words=tuple(sorted({*a.words, *b.words})),
        compared=a.compared + b.compared,
        different=a.different + b.different,
        first=a.first or b.first,
    )


def _words(name: str, reference: Traces, other: Traces) -> Iterator[tuple[str, IntArray, IntArray]]:
    """Yield the words that both recorded, states first: a wrong state is why a spike is wrong."""
    if name not in other:
        return
    for state in sorted(reference[name].states):
        if state in other[name].states:
            yield state, reference[name].states[state], other[name].states[state]
    yield SPIKES, reference[name].spikes, other[name].spikes


def _first(
    population: Population,
    period: int,
    word: str,
    mine: IntArray,
    theirs: IntArray,
    first_sample: int,
) -> tuple[int, Difference]:
    """Return the chip step of the first unequal cell, and the cell."""
    step, sample, neuron = np.nonzero(mine != theirs)
    at = sample * period + population.wave + step
    i = int(np.lexsort((neuron, at))[0])
    cell = (step[i], sample[i], neuron[i])
    difference = Difference(
        population=population.name,
        step=int(step[i]),
        sample=first_sample + int(sample[i]),
        neuron=int(neuron[i]),
        word=word,
        reference=int(mine[cell]),
        backend=int(theirs[cell]),
    )
    return int(at[i]), difference


def _wrong_shape(
    backend: str, population: str, word: str, had: tuple[int, ...], want: tuple[int, ...]
) -> TargetError:
    return TargetError(
        "E4023",
        f"{word} of {population} has shape {list(had)}, must be {list(want)}",
        where=backend,
        remedy="report this as a bug of the backend",
    )
