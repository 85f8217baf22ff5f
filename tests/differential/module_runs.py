"""Run a module of any framework over [T, B, …] in the layout it takes, and compare its import.

Everything is in double precision, as our interpreter is: what differs is then the model.
"""

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from snndeploy.frontends import checkpoint, nir_file
from snndeploy.nirgraph.interpret import run_float

STEPS, SAMPLES = 16, 6
RATES = (0.01, 0.65)
WEIGHTS = (nn.Linear, nn.Conv1d, nn.Conv2d)


@dataclass(frozen=True)
class Case:
    """A network: its constructor, its input shape, where time is, and what compiling says."""

    make: object
    shape: tuple
    time: str
    refused: str = ""
    n_states: int = 0
    decodes: bool = False


def frames(shape, kind, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(STEPS, SAMPLES, *shape, generator=generator, dtype=torch.float64)
    return (x < 0.3).double() if kind == "spikes" else x


def build(case, seed):
    torch.manual_seed(seed)
    return case.make().double().eval()


def laid_out(x, time):
    """Return x [T, B, …] as the module takes it in one call."""
    swapped = x.transpose(0, 1).contiguous()
    return {"batch-first": swapped, "flat": swapped.flatten(0, 1)}.get(time, x)


def time_first(y, time):
    if time not in ("flat", "batch-first"):
        return y
    y = y.unflatten(0, (SAMPLES, STEPS)) if len(y) == SAMPLES * STEPS else y
    return y.transpose(0, 1)


def run(net, case, x, is_neuron, reset):
    """Return the output and every neuron layer's spikes, [T, B, …]."""
    reset(net)
    seen = defaultdict(list)
    hooks = [
        part.register_forward_hook(
            lambda _m, _i, out, name=name: seen[name].append(first(out).clone())
        )
        for name, part in net.named_modules()
        if is_neuron(part)
    ]
    # sinabs makes its spikes single floats whatever the weights are.
    hooks += [
        part.register_forward_pre_hook(lambda _m, given: (given[0].double(), *given[1:]))
        for part in net.modules()
        if isinstance(part, WEIGHTS)
    ]
    with torch.no_grad():
        if case.time == "outer":
            out = torch.stack(list(stepped(net, case, x)))
        else:
            out = first(net(laid_out(x, case.time)))
            out = out if case.decodes else time_first(out, case.time)
    for hook in hooks:
        hook.remove()
    spikes = {
        name: (torch.stack(parts) if len(parts) > 1 else time_first(parts[0], case.time)).numpy()
        for name, parts in seen.items()
    }
    return out.numpy(), spikes


def first(out):
    return out[0] if isinstance(out, tuple) else out


def stepped(net, case, x):
    states = [None] * case.n_states
    for frame in x:
        answer = net(frame, *states)
        states = list(answer[1:]) if case.n_states else []
        yield first(answer)


def calibrate(net, case, x, is_neuron, reset):
    """Scale what feeds each neuron layer until it fires in about a sixth of its cells."""
    order, names = [], {part: name for name, part in net.named_modules()}
    looped = {part for m in net.modules() if hasattr(m, "rec_connect") for part in
              m.rec_connect.modules()}  # fmt: skip
    hooks = [
        part.register_forward_hook(lambda part, _i, _o: order.append(part))
        for part in net.modules()
        if is_neuron(part) or (isinstance(part, WEIGHTS) and part not in looped)
    ]
    run(net, case, x, is_neuron, reset)
    for hook in hooks:
        hook.remove()
    feeds = {}
    for before, part in pairwise(order):
        if is_neuron(part):
            own = getattr(part, "input_weights", None)
            feeds.setdefault(part, [own] if own is not None else list(before.parameters()))
    if is_neuron(order[0]) and hasattr(order[0], "input_weights"):
        feeds[order[0]] = [order[0].input_weights]
    for part in [part for part in dict.fromkeys(order) if part in feeds]:
        for _ in range(40):
            rate = (run(net, case, x, is_neuron, reset)[1][names[part]] > 0).mean()
            if 0.08 < rate < 0.35:
                break
            with torch.no_grad():
                for parameter in feeds[part]:
                    parameter.mul_(1.3 if rate < 0.15 else 0.85)


def imported(net, case, x, path):
    """Save, and return the model after it came through `model.pt` and through `.nir` unchanged."""
    example = x[0] if case.time == "outer" else laid_out(x, case.time)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    model = checkpoint.save(net, path / "model.pt", example)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    nir_file.write(model, path / "model.nir")
    return model, checkpoint.load(path / "model.pt"), nir_file.read(path / "model.nir")


def check(net, case, x, path, is_neuron, reset):
    """Compare every cell of every neuron layer; return the model and how often layers fire."""
    calibrate(net, case, x, is_neuron, reset)
    expected, spikes = run(net, case, x, is_neuron, reset)
    spikes = {name: found for name, found in spikes.items() if np.isin(found % 1, 0).all()}
    model, *copies = imported(net, case, x, path)
    reset(net)
    known = {name: node for name in spikes if (node := node_of(model, name)) is not None}
    assert set(known) == set(spikes)
    names = tuple(known.values())
    answers = run_float(model, {"input": x.numpy()}, record=names)
    rates = {}
    for name, node in known.items():
        rates[name] = float((spikes[name] > 0).mean())
        assert RATES[0] <= rates[name] <= RATES[1], f"{name} fires in {rates[name]:.1%} of cells"
        np.testing.assert_array_equal(answers[node], spikes[name], err_msg=name)
    port = model.outputs[0]
    got = answers[port.name]
    if case.decodes:
        got = {"mean": got.mean(axis=0), "sum": got.sum(axis=0)}[port.decode]
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)
    for copy in copies:
        again = run_float(copy, {"input": x.numpy()}, record=names)
        assert all(np.array_equal(again[name], answers[name]) for name in answers)
        assert (copy.inputs, copy.outputs, copy.steps) == (model.inputs, model.outputs, model.steps)
        semantics = {node: copy.semantics_of(node) for node in names}
        assert semantics == {node: model.semantics_of(node) for node in names}
    return model, rates


def node_of(model, name):
    """Return the node of a module's path: a root that is itself a leaf is called 0."""
    return next((n for n in (name, f"0.{name}", name or "0") if n in model.graph.nodes), None)
