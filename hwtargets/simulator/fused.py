"""Run a network in the kernels: spikes as bits, sums and neurons fused, layer by layer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from hwtargets.simulator.firing import Firing, Steps
from hwtargets.simulator.kernels.arguments import Frames, Lists
from hwtargets.simulator.kernels.counting import find_live
from hwtargets.simulator.kernels.gather import advance
from hwtargets.simulator.kernels.images import Image
from hwtargets.simulator.kernels.listing import Listing
from hwtargets.simulator.kernels.scatter import Scatter, deliver_listed
from hwtargets.simulator.kernels.weights import aligned
from hwtargets.simulator.launch import (
    NO_NEURONS,
    NOTHING,
    gather_of,
    in_blocks,
    list_frames,
    masks_of,
    scatter_of,
)
from hwtargets.simulator.neuron import kernel
from hwtargets.simulator.plan import Link, Stage, image_of, plan
from hwtargets.simulator.ran import Beat, Ran, Run, no_beat, start
from hwtargets.simulator.sent import Sent, packed
from hwtargets.simulator.windows import Schedule
from hwtargets.simulator.workers import Workers
from snndeploy.ir.arrays import AnyArray, BoolArray, IntArray
from snndeploy.ir.network import Network, Source

CROWDED = 64
"""Weights per target pixel and step above which a layer of 32 channels is gathered, not stepped."""
SAMPLED = 16
"""Every how many steps spikes are counted to see that."""
NO_SPIKES = np.empty(0, dtype=np.uint16)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FusedRun:
    """A network ready to run.

    Attributes:
        given: bits [B, P, words] of the inputs that are 0 and 1 throughout.
        workers: what the kernels run on.
        rests: whether nothing happens in windows without a sample.
    """

    schedule: Schedule
    inputs: Mapping[str, IntArray]
    given: Mapping[str, AnyArray]
    images: Mapping[str, Image]
    groups: tuple[tuple[Stage, ...], ...]
    workers: Workers
    rests: bool

    @classmethod
    def of(
        cls, network: Network, inputs: Mapping[str, IntArray], schedule: Schedule, workers: Workers
    ) -> "FusedRun":
        """Lay out the weights and the inputs."""
        images = {name: image_of(network, name) for name in network.nodes}
        given = {}
        peaks = {p.name: max(1, -p.low, p.high) for p in network.populations}
        plain = {p.name for p in network.populations if not p.is_graded}
        for source in network.sources:
            peaks[source.name] = 1
            plain.add(source.name)
            if source.is_given:
                values = inputs[source.name].reshape(*inputs[source.name].shape[:2], -1)
                bits, is_plain = packed(values, images[source.name])
                if is_plain:
                    given[source.name] = np.ascontiguousarray(np.swapaxes(bits, 0, 1))
                else:
                    plain.remove(source.name)
                    peaks[source.name] = int(max(1, values.max(), -values.min()))
        groups = plan(network, schedule, images, peaks, plain)
        rests = all(source.is_given for source in network.sources) and all(
            stage.is_quiet for group in groups for stage in group
        )
        return cls(
            schedule=schedule, inputs=inputs, given=given, images=images, groups=groups,
            workers=workers, rests=rests,
        )  # fmt: skip

    def chunk(self, windows: IntArray, record: tuple[str, ...], beat: Beat = no_beat) -> "Chunked":
        """Run some windows of every population."""
        if self.rests and not record and not self._carries(windows).any():
            return self._silent(windows)
        sent = {s.name: self._injected(s, windows) for s in self.schedule.network.sources}
        chunk = Chunked(
            schedule=self.schedule, windows=windows, record=record, sent=sent, workers=self.workers
        )
        for number, group in enumerate(self.groups):

            def in_all(share: float, number: int = number) -> None:
                beat((number + share) / len(self.groups))

            chunk.run(group, in_all)
            in_all(1.0)
        return chunk

    def _carries(self, windows: IntArray) -> BoolArray:
        """Return which windows carry a sample."""
        carries: BoolArray = (windows >= 0) & (windows < self.schedule.n_samples)
        return carries

    def _silent(self, windows: IntArray) -> "Chunked":
        """Return windows in which nobody sends anything."""
        network, steps = self.schedule.network, self.schedule.steps
        return Chunked(
            schedule=self.schedule, windows=windows, record=(), workers=self.workers,
            sent={name: Sent.silent(len(windows), steps, self.images[name])
                  for name in network.nodes},
            ran={name: Ran(spikes=NOTHING, states={}, overflows={"u_wraps": 0, "v_clips": 0})
                 for name in network.population},
        )  # fmt: skip

    def _injected(self, source: Source, windows: IntArray) -> Sent:
        """Return what a source sends."""
        shape, image = (len(windows), self.schedule.steps), self.images[source.name]
        if source.name not in self.given:
            values = self.schedule.injected(source, self.inputs.get(source.name), windows)
            return Sent(shape=(*shape, source.n), image=image, values=values)
        first = int(windows[0])
        samples = slice(max(first, 0), max(first + len(windows), 0))
        bits = self.given[source.name][samples]
        if bits.shape[:2] != shape:
            begin, given = self.schedule.model_start(source.wave), bits
            bits = np.zeros((*shape, image.words), dtype=np.uint64)
            real = slice(samples.start - first, samples.start - first + len(given))
            bits[real, begin : begin + self.schedule.network.steps] = given
        awake = self._carries(windows)
        return Sent(shape=(*shape, source.n), image=image, bits=bits, awake=awake)


@dataclass(eq=False, kw_only=True, slots=True)
class Chunked:
    """Some windows under way: what has been sent, and the lists made of it.

    Attributes:
        record: populations whose states are kept.
        ran: what populations did; spikes and states of the recorded ones.
    """

    schedule: Schedule
    windows: IntArray
    record: tuple[str, ...]
    sent: dict[str, Sent]
    workers: Workers
    ran: dict[str, Ran] = field(default_factory=dict)
    spans: dict[str, Frames] = field(default_factory=dict)

    def run(self, group: tuple[Stage, ...], beat: Beat) -> None:
        """Run a group of populations: in the kernels, on arrays if a current leaves its range."""
        in_kernels = all(s.lif and all(link.laid for link in s.within) for s in group)
        if in_kernels and self._run_in_kernels(group, beat):
            return
        arrived = [self.arriving(stage, all_of_it=True) for stage in group]
        self._run_on_arrays(group, arrived, beat)

    def exists(self, stage: Stage) -> BoolArray:
        return self.schedule.exists(self.windows, stage.population.wave)

    def is_thin(self, stage: Stage) -> bool:
        """Return whether a population runs step by step: few spikes come, no states are noted."""
        if stage.spread is None or stage.population.name in self.record:
            return False
        return stage.spread.width < 32 or not self._is_crowded(stage)

    def _is_crowded(self, stage: Stage) -> bool:
        """Return whether, in some of the frames, so many spikes come that listing them pays."""
        link, spread = stage.alone, stage.spread
        assert link is not None
        assert spread is not None
        assert link.laid is not None
        source = self.sent[link.source]
        bits = source.as_bits(link.laid.source) if source.bits is None else source.bits
        some = bits[:, ::SAMPLED]
        spikes, frames = (
            int(np.bitwise_count(some).sum()),
            source.in_windows().sum() * some.shape[1],
        )
        return bool(
            spikes * max(spread.n_runs) * max(spread.lengths) > CROWDED * spread.pixels * frames
        )

    def arriving(self, stage: Stage, *, all_of_it: bool) -> AnyArray:
        """Return what `before` brings, and `fused` if asked for: int32, flat; empty if no need."""
        links = (*stage.before, *filter(None, [stage.fused if all_of_it else None]))
        if stage.fused and not links:
            return NOTHING
        total = aligned(self._frames() * stage.image.pixels * stage.image.padded, np.int32)
        for link in links:
            self.delivery(link, stage, total)(0, self.schedule.steps)
        return total

    def delivery(self, link: Link, stage: Stage, total: AnyArray) -> Steps:
        """Return what adds to `total` what a projection brings in some steps."""
        if link.deliver:
            return partial(self._add_values, link, stage.image, total)
        assert link.laid is not None
        frames = self.spans_of(stage)
        if isinstance(link.laid, Listing):
            of_windows = [
                (scatter_of(link.laid, link.lag), frames._replace(items=windows))
                for windows in self.workers.ranges(len(self.windows))
            ]

            def scatter(first: int, stop: int) -> None:
                lists = self.lists(link, first, stop)

                def add(task: tuple[Scatter, Frames]) -> None:
                    mine, frames = task
                    deliver_listed(mine, lists, frames._replace(first=first, stop=stop), total)

                self.workers.map(add, of_windows)

            return scatter
        blocks, lanes = in_blocks(frames, link.laid), (0,) * link.laid.lanes
        items = self.workers.ranges(len(self.windows) * blocks.pixels)
        rows = gather_of(link.laid, link.lag)

        def gather(first: int, stop: int) -> None:
            lists, now = self.lists(link, first, stop), blocks._replace(first=first, stop=stop)

            def add(items: tuple[int, int]) -> None:
                mine = now._replace(items=items)
                advance(lanes, rows, lists, NO_NEURONS, mine, total, NO_SPIKES, False)

            self.workers.map(add, items)

        return gather

    def _add_values(self, link: Link, image: Image, total: AnyArray, first: int, stop: int) -> None:
        """Add to `total` what numbers bring in some steps."""
        n_windows, steps = len(self.windows), self.schedule.steps
        sent = self.sent[link.source].as_values()
        values = sent[:, max(first - link.lag, 0) : max(stop - link.lag, 0)]
        if not values.size:
            return
        assert link.deliver is not None
        arrived = link.deliver(values.reshape(-1, values.shape[2]))
        shape = (n_windows, values.shape[1], image.channels, image.pixels)
        pixel_first = np.swapaxes(arrived.reshape(shape), 2, 3)
        cells = total.reshape(n_windows, steps, image.pixels, image.padded)
        cells[:, max(first, link.lag) : stop, :, : image.channels] += pixel_first

    def lists(self, link: Link, first: int, stop: int) -> Lists:
        """Return the event lists of what a projection brings in some steps."""
        laid, steps, sent = link.laid, self.schedule.steps, self.sent[link.source]
        assert laid is not None
        if stop - first == 1 and steps > 1:
            k = first - link.lag
            now = sent.bits_of_step(laid.source, max(k, 0))
            return list_frames(now, laid.reader, self.workers, per_window=1, first=k)
        bits = sent.as_bits(laid.source).reshape(self._frames(), -1)
        return list_frames(bits, laid.reader, self.workers, per_window=steps, first=0)

    def _run_in_kernels(self, group: tuple[Stage, ...], beat: Beat) -> bool:
        """Run a group of `lif` populations; return whether all currents stayed in range."""
        thin = [self.is_thin(stage) for stage in group]
        arrived = [
            NOTHING if is_thin else self.arriving(stage, all_of_it=False)
            for stage, is_thin in zip(group, thin, strict=True)
        ]
        carried = any(stage.within for stage in group)
        fires = [Firing.of(self, stage, carried=carried) for stage in group]
        parts = list(zip(group, fires, arrived, strict=True))
        if carried:
            for fire in fires:
                fire.begin()
            self._run_loop(parts, beat)
        else:
            for (stage, fire, a), is_thin in zip(parts, thin, strict=True):
                live = self.spans_of(stage).live
                fire.sent.awake = live[:, 0] < live[:, 1]
                if not fire.sent.awake.any():
                    continue
                if is_thin:
                    fire.run_steps()
                    continue
                fire.begin()
                run = fire.fused(a, stage.fused) if stage.fused else fire.alone(a)
                run(0, self.schedule.steps)
        for stage, fire, _ in parts:
            self.ran[stage.population.name] = fire.result()
        return not any(fire.escaped for fire in fires)

    def _run_loop(self, parts: list[tuple[Stage, Firing, AnyArray]], beat: Beat) -> None:
        """Run populations that feed back on each other, step by step."""
        work = []
        for stage, fire, a in parts:
            work += [(link.lag, self.delivery(link, stage, a)) for link in stage.within]
            work.append((0, fire.alone(a)))
        for k in range(self.schedule.steps):
            for lag, do in work:
                if k >= lag:
                    do(k, k + 1)
            beat((k + 1) / self.schedule.steps)

    def _run_on_arrays(self, group: tuple[Stage, ...], arrived: list[AnyArray], beat: Beat) -> None:
        """Run populations whose neurons take their steps on arrays."""
        shape = (len(self.windows), self.schedule.steps)
        runs: list[Run] = []
        for stage in group:
            population = stage.population
            run = start(
                kernel(population), self.exists(stage), population.n,
                states=population.name in self.record,
                reset_at=self.schedule.model_start(population.wave),
            )  # fmt: skip
            runs.append(run)
            self.sent[population.name] = Sent(
                shape=(*shape, population.n), image=stage.image, values=run.spikes
            )
        within = [
            [(link.lag, self.delivery(link, stage, a)) for link in stage.within]
            for stage, a in zip(group, arrived, strict=True)
        ]
        for k in range(self.schedule.steps):
            for stage, run, a, deliveries in zip(group, runs, arrived, within, strict=True):
                for lag, deliver in deliveries:
                    if k >= lag:
                        deliver(k, k + 1)
                image = stage.image
                cells = a.reshape(*shape, image.pixels, image.padded)[:, k, :, : image.channels]
                run.step(k, np.swapaxes(cells, 1, 2).reshape(shape[0], -1))
            beat((k + 1) / self.schedule.steps)
        for stage, run in zip(group, runs, strict=True):
            self.ran[stage.population.name] = run.result()

    def _at_rest(self, stage: Stage) -> BoolArray:
        """Return in which windows nothing can happen: no spike, no bias, no low threshold."""
        links = (*stage.before, *filter(None, [stage.fused]))
        resting = np.full(len(self.windows), stage.is_quiet and not stage.within)
        for link in links:
            resting &= ~self.sent[link.source].in_windows()
        return resting

    def _frames(self) -> int:
        return len(self.windows) * self.schedule.steps

    def spans_of(self, stage: Stage) -> Frames:
        """Return all steps of all windows for a kernel that knows nothing of blocks."""
        name, steps = stage.population.name, self.schedule.steps
        if name not in self.spans:
            self.spans[name] = Frames(
                live=self._live(stage), steps=steps, first=0, stop=steps,
                reset=self.schedule.model_start(stage.population.wave),
                pixels=stage.image.pixels, planes=1, blocks=1, masks=masks_of(stage.image),
                items=(0, 0),
            )  # fmt: skip
        return self.spans[name]

    def _live(self, stage: Stage) -> IntArray:
        """Return the steps of each window that exist and in which anything happens, from and to."""
        schedule = self.schedule
        start = 0 if schedule.network.alone else stage.population.wave
        live = np.empty((len(self.windows), 2), dtype=np.int64)
        find_live(
            self.windows, self._at_rest(stage), start, schedule.steps, schedule.n_chip_steps, live
        )
        return live
