"""Populations of `lif` neurons under way in the kernels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwtargets.simulator.kernels.arguments import Frames, Neurons
from hwtargets.simulator.kernels.gather import advance, run_neurons
from hwtargets.simulator.kernels.layout import Layout
from hwtargets.simulator.kernels.steps import run_levels, run_steps
from hwtargets.simulator.kernels.vector import ESCAPED
from hwtargets.simulator.launch import NOTHING, gather_of, in_blocks, with_states
from hwtargets.simulator.plan import Link, Stage
from hwtargets.simulator.ran import Ran
from hwtargets.simulator.sent import Sent
from snndeploy.ir.arrays import AnyArray

if TYPE_CHECKING:
    from hwtargets.simulator.fused import Chunked

Steps = Callable[[int, int], None]
"""What is to be done in steps first .. stop."""


@dataclass(eq=False, kw_only=True, slots=True)
class Firing:
    """A population of `lif` neurons under way in the kernel."""

    chunk: "Chunked"
    stage: Stage
    neurons: Neurons
    sent: Sent
    clips: int = 0
    escaped: bool = False

    @classmethod
    def of(cls, chunk: "Chunked", stage: Stage, *, carried: bool) -> "Firing":
        """Return a population that has taken no step."""
        name, image = stage.population.name, stage.image
        shape = (len(chunk.windows), chunk.schedule.steps)
        sent = chunk.sent[name] = Sent.silent(*shape, image)
        logged = shape[0] * shape[1] * (name in chunk.record)
        neurons = with_states(stage, shape[0] if carried else 0, logged)
        return cls(chunk=chunk, stage=stage, neurons=neurons, sent=sent)

    def begin(self) -> None:
        """Make room for spikes."""
        shape = (*self.sent.shape[:2], self.stage.image.words)
        self.sent.bits, self.sent.windows = np.zeros(shape, dtype=np.uint64), None

    def fused(self, arrived: AnyArray, link: Link) -> Steps:
        """Return what takes some steps, adding what a projection brings to what has arrived."""
        laid, lists = link.laid, self.chunk.lists(link, 0, self.chunk.schedule.steps)
        assert isinstance(laid, Layout)
        gather, lanes = gather_of(laid, link.lag), (0,) * laid.lanes

        def run(frames: Frames, sent: AnyArray) -> int:
            left = advance(lanes, gather, lists, self.neurons, frames, arrived, sent, True)
            return int(left)

        return self._steps(run, in_blocks(self.chunk.spans_of(self.stage), laid))

    def alone(self, arrived: AnyArray) -> Steps:
        """Return what takes some steps with what has arrived."""
        padded = self.stage.image.padded
        lanes = (0, 0) if padded % 64 == 0 else (0,)
        frames = self.chunk.spans_of(self.stage)._replace(blocks=padded // (32 * len(lanes)))
        return self._steps(
            lambda frames, sent: int(run_neurons(lanes, self.neurons, frames, arrived, sent)),
            frames,
        )

    def _steps(self, run: Callable[[Frames, AnyArray], int], frames: Frames) -> Steps:
        """Return what runs some steps in a kernel, which is given frames and room for spikes."""
        image, workers, bits = self.stage.image, self.chunk.workers, self.sent.bits
        assert bits is not None
        narrow = image.stride < image.padded
        if narrow:  # whole blocks of spikes first
            bits = np.zeros((*bits.shape[:2], image.pixels), dtype=np.uint32)
            frames = frames._replace(masks=(2 * image.pixels, 2))
        sent = bits.reshape(-1).view(np.uint16)
        parts = [
            frames._replace(items=items)
            for items in workers.ranges(len(self.chunk.windows) * frames.pixels)
        ]

        def steps(first: int, stop: int) -> None:
            for left in workers.map(
                lambda part: run(part._replace(first=first, stop=stop), sent), parts
            ):
                self._take(left)
            if narrow:
                self.sent.by_pixel()[:, first:stop] = bits[:, first:stop]

        return steps

    def run_steps(self) -> None:
        """Take all steps in the stepwise kernel."""
        chunk, stage = self.chunk, self.stage
        link, spread, neurons, levels = stage.alone, stage.spread, stage.thin, stage.levels
        assert link is not None
        assert link.laid is not None
        assert spread is not None
        assert neurons is not None
        frames = chunk.spans_of(stage)
        source, wanted = chunk.sent[link.source], link.laid.source
        if source.bits is not None and source.image.pixels == 1:
            bits, pixels = source.bits, max(wanted.pixels, spread.divisor * spread.flat)
            words = np.arange(source.image.words, dtype=np.uint32)[None]
            spread = spread._replace(words=words, divisor=pixels, flat=1)
        else:
            bits = source.as_bits(wanted)
        bits = np.ascontiguousarray(bits)
        spikes = np.empty((*self.sent.shape[:2], stage.image.words), dtype=np.uint64)
        self.sent.bits, self.sent.windows = spikes, None
        sent, eights = spikes.view(np.uint16), (0,) * (spread.width // 8)

        def task(items: tuple[int, int]) -> int:
            mine = frames._replace(items=items)
            if levels:
                return int(run_levels(eights, spread, bits, neurons, levels, mine, sent))
            return int(run_steps(eights, spread, bits, neurons, mine, sent))

        for left in chunk.workers.map(task, chunk.workers.ranges(len(chunk.windows))):
            self._take(left)

    def _take(self, left: int) -> None:
        """Note what a kernel returns."""
        self.escaped |= left >= ESCAPED
        self.clips += left & (ESCAPED - 1)

    def result(self) -> Ran:
        """Return what happened."""
        overflows = {"u_wraps": 0, "v_clips": int(self.clips)}
        if self.stage.population.name not in self.chunk.record:
            return Ran(spikes=NOTHING, states={}, overflows=overflows)
        shape, places = (*self.sent.shape[:2], -1), self.stage.image.places()
        logs = {"u": self.neurons.log_u, "v": self.neurons.log_v}
        return Ran(
            spikes=self.sent.as_values(),
            states={name: log.reshape(shape)[:, :, places] for name, log in logs.items()},
            overflows=overflows,
        )
