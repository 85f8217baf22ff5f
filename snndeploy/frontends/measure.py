"""Run the user's own module: its code, its framework, its accuracy, what its neurons send.

It is the one place that runs a module; everything else only traces it. The module is left as it is.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from snndeploy.errors import ModelError, SnnDeployError, UsageError
from snndeploy.frames import frames_of, steps_of
from snndeploy.frontends.examples import Example, examples_of
from snndeploy.frontends.frameworks import is_stateful, takes_state
from snndeploy.frontends.reroll import reroll
from snndeploy.frontends.tracing import Time, guess_time, trace, untouched
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.readout import reduce_steps
from snndeploy.model import Model, Original
from snndeploy.samples import Samples

Takes = Literal["steps", "batch-first", "frame", "step"]
"""What one call takes: all steps [T, B, …] or [B, T, …], one frame that it repeats, or one step."""
BATCH = 128


def measure(
    module: nn.Module, samples: Samples, example: Example, model: Model, time: Time | None
) -> Original:
    """Return the accuracy of a module as its user wrote it, in evaluation mode.

    Args:
        module: the network.
        samples: with labels; a static image is shown for the model's steps.
        example: as for `save`; forward is called with samples in its layout.
        model: what was imported; it says steps, ports and how the output is decoded.
        time: where the time loop is, None to guess.

    Raises:
        ModelError: E1211 (more frames than steps), E1214 (labels missing).
        UsageError: E5052, forward fails on the samples, or gives something else than an answer.
    """
    if samples.label is None:
        raise ModelError(
            "E1214", "the samples have no labels", where="data",
            remedy=f"give label=[…], one class per sample, shape [{samples.n}]",
        )  # fmt: skip
    run = runner(module, example, model, time=time, steps=steps_of(model, samples))
    right = 0
    for start in range(0, samples.n, BATCH):
        part = samples.rows(slice(start, start + BATCH))
        right += int(np.count_nonzero(run(part, ()).decision == part.label))
    return Original(accuracy=right / samples.n, n_samples=samples.n, digest=samples.digest())


class ModuleRan(NamedTuple):
    """What a module did: class per sample [B], and what its neurons sent, [T, B, *shape] each."""

    decision: IntArray
    sent: dict[str, FloatArray]


Run = Callable[[Samples, tuple[str, ...]], ModuleRan]
"""Runs samples; the names are paths of neuron modules to watch."""


def runner(
    module: nn.Module, example: Example, model: Model, *, time: Time | None, steps: int
) -> Run:
    """Return what runs samples on a module, from its initial state, in evaluation mode.

    Args:
        module: the network.
        example: as for `save`; forward is called with samples in its layout.
        model: what was imported; it says ports and how the output is decoded.
        time: where the time loop is, None to guess.
        steps: model steps per sample.

    Raises:
        UsageError: E5052, forward fails on the samples, or gives something else than an answer.
    """
    examples = examples_of(example)
    takes = _what_forward_takes(module, examples, time)

    def run(samples: Samples, watched: tuple[str, ...]) -> ModuleRan:
        frames = frames_of(model, samples, steps)
        with untouched(module), _listening(module, watched) as heard:
            for neuron in filter(is_stateful, module.modules()):
                _reset(neuron)
            try:
                answer = _answer(_caller(module, example, examples, takes), frames, takes)
                decision = _decide(answer, model, samples.n)
            except SnnDeployError:
                raise
            except Exception as error:
                text = str(error).split("\n", maxsplit=1)[0]
                raise _refusal(f"{type(error).__name__}: {text:.120}") from error
        return ModuleRan(decision, {n: _by_step(calls, takes) for n, calls in heard.items()})

    return run


@contextmanager
def _listening(module: nn.Module, names: tuple[str, ...]) -> Iterator[dict[str, list[FloatArray]]]:
    """Keep what every call of some modules returns, while the block runs."""
    heard: dict[str, list[FloatArray]] = {name: [] for name in names}
    hooks = [
        module.get_submodule(name).register_forward_hook(
            lambda _module, _given, out, name=name: heard[name].append(_first(out))
        )
        for name in names
    ]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()


def _by_step(calls: list[FloatArray], takes: Takes) -> FloatArray:
    """Return [T, B, …] of what one call per step, or one for all steps, returned."""
    if len(calls) == 1 and takes in ("steps", "batch-first"):
        return calls[0] if takes == "steps" else calls[0].swapaxes(0, 1)
    return np.stack(calls)


def _what_forward_takes(
    module: nn.Module, examples: Mapping[int | str, Tensor], time: Time | None
) -> Takes:
    with untouched(module):
        root, traced = trace(module, shapes={k: tuple(x.shape) for k, x in examples.items()})
        traced, loop = reroll(root, traced)
        chosen = time or guess_time(root, traced)
    if chosen == "flat":
        raise _refusal("sinabs' layers for [B·T, …] are made for one number of samples")
    if chosen == "batch-first":
        return "batch-first"
    if chosen == "module" or (loop is not None and loop.takes_steps):
        return "steps"
    if chosen == "inner" or loop is not None:
        return "frame"
    if not takes_state(module) and any(map(takes_state, module.modules())):
        raise _refusal("forward takes the states of Norse's cells one by one")
    return "step"


def _reset(neuron: Any) -> None:
    """Forget the state: snnTorch's reset_mem, sinabs' reset_states, SpikingJelly's reset."""
    for name in ("reset_mem", "reset_states", "reset"):
        if hasattr(neuron, name):
            getattr(neuron, name)()
            return


def _caller(
    module: nn.Module, example: Example, examples: Mapping[int | str, Tensor], takes: Takes
) -> Callable[[list[FloatArray]], Any]:
    """Return a function of one array per input that calls forward as the example would.

    A step of Norse takes the state that the step before returned; the first takes none.
    """
    kinds = [tensor.dtype for tensor in examples.values()]
    states: list[Any] = []

    def call(arrays: list[FloatArray]) -> Any:
        tensors = [torch.from_numpy(np.array(a)).to(k) for a, k in zip(arrays, kinds, strict=True)]
        if isinstance(example, Mapping):
            return module(**dict(zip(map(str, example), tensors, strict=True)))
        answer = module(*tensors, *states)
        if takes == "step" and takes_state(module):
            states[:] = [answer[1]]
        return answer

    return call


def _answer(
    call: Callable[[list[FloatArray]], Any], frames: Mapping[str, FloatArray], takes: Takes
) -> FloatArray:
    """Return what forward answers: [T, B, …], or [B, …] if it decodes itself."""
    arrays = list(frames.values())
    if takes == "steps":
        return _first(call(arrays))
    if takes == "batch-first":
        answer = _first(call([array.swapaxes(0, 1) for array in arrays]))
        is_stepped = answer.ndim > 2 and answer.shape[:2] == arrays[0].shape[1::-1]
        return answer.swapaxes(0, 1) if is_stepped else answer
    if takes == "frame":
        if any(array.strides[0] and len(array) > 1 for array in arrays):
            raise _refusal("forward takes one frame per sample, the data has several")
        return _first(call([array[0] for array in arrays]))
    steps = range(len(arrays[0]))
    return np.stack([_first(call([array[step] for array in arrays])) for step in steps])


def _first(value: Any) -> FloatArray:
    """Return the first tensor of what forward returns."""
    while not isinstance(value, Tensor):
        value = next(iter(value.values() if isinstance(value, Mapping) else value))
    return np.asarray(value.detach().double().numpy())


def _decide(answer: FloatArray, model: Model, n_samples: int) -> Any:
    port = model.outputs[0]
    if answer.ndim == 2 + len(port.shape):
        answer = reduce_steps(port.decode, answer)
    if answer.shape != (n_samples, *port.shape):
        raise _refusal(f"forward gives {answer.shape}, not ({n_samples}, …{port.shape})")
    return answer.reshape(n_samples, -1).argmax(axis=1)


def _refusal(message: str) -> UsageError:
    return UsageError(
        "E5052", f"the module cannot be measured: {message}", where="data",
        remedy="leave out data; the model is then saved without its accuracy",
    )  # fmt: skip
