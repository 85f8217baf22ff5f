"""The certificate: every executor reruns the network and must say what the reference says.

Spikes and states of every population are compared cell by cell inside the windows. A comparison
that could not have failed (a population that never or always fires) is named.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from snndeploy.bundle.manifest import tool_version
from snndeploy.bundle.probes import make_probes
from snndeploy.bundle.publish import write_file
from snndeploy.bundle.read import CERTIFICATE, Bundle
from snndeploy.divergence import BackendResult, Traces, compare_traces, merge
from snndeploy.errors import TargetError, UsageError
from snndeploy.frames import longest
from snndeploy.inference import encode_samples
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Network
from snndeploy.ir.neurons import LIF, NEVER
from snndeploy.ir.trace import PopulationTrace
from snndeploy.network_file import NetworkFile
from snndeploy.reference import REFERENCE
from snndeploy.registry import executor_names, find_executor, simulator
from snndeploy.samples import Samples
from snndeploy.target import Progress, no_progress

Given = Callable[[str, Network], Network]
"""Returns the network that a backend is given; tests tamper with it."""

SCHEMA = 1
BACKENDS = ("reference", "sim", "lava")
WHERE_INSTALLED = ("onnx",)
"""Executors that join in by default where they can run; a missing one is not asked for."""
CHUNK_BYTES = 256 << 20
"""Traces held per executor at a time."""
LAVA, FRAMEWORKS = "Lava", "frameworks and hand traces"
SIM = "sim"
STORED = "stored"
"""The answers that the bundle carries, checked as if they were an executor's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """How often a population fires: cells are neurons x steps x samples.

    Attributes:
        program: its neuron program.
        judge: who says that the program is right: `Lava` has the neuron itself; others it runs
            from our definition, and their judges are the frameworks and hand-made traces.
        warning: what makes the comparison of its spikes empty; empty if nothing does.
    """

    population: str
    cells: int
    fired: int
    program: str
    judge: str
    warning: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """What was compared, and that it is equal or where it is not.

    Attributes:
        bundle: digest of the bundle's manifest, or of the network's file.
        steps: model steps per sample.
        inputs: what it was run on, one name per sample.
        backends: one row per executor, the reference (the yardstick) left out.
    """

    bundle: str
    tool: str
    target: str
    steps: int
    inputs: tuple[str, ...]
    backends: tuple[BackendResult, ...]
    activity: tuple[Activity, ...]

    @property
    def is_equal(self) -> bool:
        """Whether every compared cell of everything that ran is equal to the reference."""
        return all(not result.different for result in self.backends)

    def record(self) -> dict[str, object]:
        """Return it as plain data for JSON."""
        return {**asdict(self), "schema_version": SCHEMA, "is_equal": self.is_equal}


def as_is(backend: str, network: Network) -> Network:  # noqa: ARG001 - the shape of `Given`
    """Give every backend the network as it is."""
    return network


def default_backends() -> tuple[str, ...]:
    """Return what is compared unless somebody chooses."""
    known = [name for name in WHERE_INSTALLED if name in executor_names()]
    return (*BACKENDS, *(name for name in known if not find_executor(name).missing()))


def verify(
    bundle: Bundle | NetworkFile,
    backends: tuple[str, ...] | None = None,
    samples: Samples | None = None,
    *,
    require_all: bool = False,
    given: Given = as_is,
    threads: int = 1,
    progress: Progress = no_progress,
) -> Certificate:
    """Rerun a network on several executors, compare, and write a bundle's `certificate.json`.

    Args:
        bundle: what to check; a network alone in a file gets no file beside it.
        backends: executors, the default ones if None; the reference always runs.
        samples: inputs; None takes the bundle's own probes, and its stored answers are checked too;
            a network alone is probed at random.
        require_all: a missing executor is an error instead of a line in the certificate.
        given: hook that returns the network a backend is given.
        threads: of the simulator.
        progress: called with (runs done, runs in all).

    Raises:
        UsageError: E5001, a backend nobody offers; E5064, nothing to compare the reference with.
        TargetError: E4022, a backend is missing and all are required, or there is no other; or one
            failed.
    """
    missing = _missing(
        default_backends() if backends is None else backends, require_all=require_all
    )
    inputs, names, expected = _probes(bundle, samples)
    present = [name for name, reason in missing.items() if not reason]
    if not present and expected is None:
        raise _nothing_to_compare(missing)
    network = bundle.network.lasting(longest(inputs))
    results: dict[str, BackendResult] = {}
    fired = dict.fromkeys(network.population, 0)
    for start, answers in _answers(network, present, inputs, given, threads, progress):
        reference = answers.pop(REFERENCE.name)
        for name, trace in reference.items():
            fired[name] += int(np.count_nonzero(trace.spikes))
        if expected is not None:
            answers[STORED] = _cut(expected, start, next(iter(reference.values())))
        for name, traces in answers.items():
            result = compare_traces(network, reference, traces, backend=name, first_sample=start)
            results[name] = merge(results[name], result) if name in results else result
    absent = (BackendResult(backend=n, missing=reason) for n, reason in missing.items() if reason)
    own = bundle.manifest if isinstance(bundle, Bundle) else None
    certificate = Certificate(
        bundle=bundle.digest,
        tool=own.tool if own else tool_version(),
        target=own.target if own else bundle.target.name,
        steps=network.steps,
        inputs=names,
        backends=(*results.values(), *absent),
        activity=_activity(network, fired, _n_samples(inputs)),
    )
    if isinstance(bundle, Bundle):
        text = json.dumps(certificate.record(), indent=1, sort_keys=True) + "\n"
        write_file(bundle.path / CERTIFICATE, text.encode())
    return certificate


def _probes(
    bundle: Bundle | NetworkFile, samples: Samples | None
) -> tuple[Mapping[str, IntArray], tuple[str, ...], Traces | None]:
    """Return inputs, what each sample is, and the answers that a bundle stores to its probes."""
    if samples is not None:
        inputs = encode_samples(bundle, samples)[0]
        return inputs, tuple(f"input {i}" for i in range(_n_samples(inputs))), None
    if isinstance(bundle, Bundle):
        return bundle.probes, bundle.manifest.probes, bundle.expected
    return *make_probes(bundle, None), None


def _missing(backends: tuple[str, ...], *, require_all: bool) -> dict[str, str]:
    """Return every backend but the reference, and why it cannot run here (empty: it can)."""
    names = (name for name in dict.fromkeys(backends) if name != REFERENCE.name)
    missing = {name: find_executor(name).missing() or "" for name in names}
    for name, reason in missing.items():
        if reason and require_all:
            raise TargetError("E4022", f"backend cannot run here: {reason}", where=name)
    return missing


def _nothing_to_compare(missing: Mapping[str, str]) -> UsageError | TargetError:
    """Return the error for a run that only the reference would take part in."""
    if missing:
        name, reason = next(iter(missing.items()))
        return TargetError("E4022", f"backend cannot run here: {reason}", where=name)
    return UsageError(
        "E5064", "nothing to compare the reference with", where="--backends",
        remedy="name an executor beside it: sim, lava or onnx",
    )  # fmt: skip


def _answers(
    network: Network,
    backends: list[str],
    inputs: Mapping[str, IntArray],
    given: Given,
    threads: int,
    progress: Progress,
) -> Iterator[tuple[int, dict[str, Traces]]]:
    """Yield the traces of every backend, a few samples at a time so that they fit in memory."""
    record = tuple(network.population)
    words = sum(p.n * (1 + len(p.program.states)) for p in network.populations)
    size = max(1, CHUNK_BYTES // max(1, 8 * network.steps * words))
    starts = range(0, _n_samples(inputs), size)
    names = [REFERENCE.name, *backends]
    for i, start in enumerate(starts):
        part = {name: x[:, start : start + size] for name, x in inputs.items()}
        answers: dict[str, Traces] = {}
        for j, name in enumerate(names):
            executor = simulator(name, threads=threads) if name == SIM else find_executor(name)
            run = executor.run(given(name, network), part, record=record)
            answers[name] = run.traces
            progress(i * len(names) + j + 1, len(starts) * len(names))
        yield start, answers


def _cut(traces: Traces, start: int, like: PopulationTrace) -> Traces:
    """Return as many samples as `like` has, from `start` on."""
    part = slice(start, start + like.spikes.shape[1])
    return {
        name: PopulationTrace(
            spikes=trace.spikes[:, part],
            states={word: values[:, part] for word, values in trace.states.items()},
        )
        for name, trace in traces.items()
    }


def _activity(network: Network, fired: Mapping[str, int], n_samples: int) -> tuple[Activity, ...]:
    rows = []
    for population in network.populations:
        cells = population.n * network.steps * n_samples
        n_fired = fired[population.name]
        never = population.program == LIF and bool(np.min(population.params["vth"]) >= NEVER)
        warning = "never fires" if not n_fired else "always fires" if n_fired == cells else ""
        rows.append(
            Activity(
                population=population.name,
                cells=cells,
                fired=n_fired,
                program=population.program.name,
                judge=LAVA if population.program.native else FRAMEWORKS,
                warning="" if never else warning,
            )
        )
    return tuple(rows)


def _n_samples(inputs: Mapping[str, IntArray]) -> int:
    return int(next(iter(inputs.values())).shape[1])
