"""Random sigma-delta networks as lava-dl's exporter writes them, and their equations by hand.

A network is a list of layers, each a group of the file as plain data. `by_hand` shares nothing with
the programs: it writes the equations of lava-nc 0.10.0, lava/proc/sdn, down once more, unbounded.
"""

import io
from math import prod

import h5py
import numpy as np
import torch

SPIKE_EXP = STATE_EXP = 6
SCALE = SPIKE_EXP + STATE_EXP
LARGEST_CHANGE = 2048


def random_layers(seed, *, biased=True):
    """Return a chain: images for even seeds, vectors for odd ones.

    Every fourth has no neuron at its input and takes changes; every fifth adds nothing up at its
    end. Levels keep their size from layer to layer, so that all layers speak and no word wraps.
    """
    rng = np.random.default_rng(seed)
    shape = (2, int(rng.integers(6, 10)), int(rng.integers(5, 9))) if seed % 2 == 0 else (12,)
    layers = [{"type": "input", "shape": shape}]
    if seed % 4 != 3:
        layers[0] |= {"neuron": sdnn(vth=int(rng.integers(0, 4)))}
        if seed % 3 == 0:
            layers[0] |= {"weight": np.full((1, 1), 40.0), "bias": np.full((1, 1), 6.0)}
    if len(shape) == 3:
        for n_out in rng.integers(3, 7, rng.integers(1, 3)):
            layers.append(conv(rng, shape, int(n_out), biased=biased))
            shape = layers[-1]["shape"]
        layers.append({"type": "flatten", "shape": (prod(shape), 1, 1)})
    sizes = rng.integers(4, 14, rng.integers(2, 4))
    for n_out in sizes:
        layers.append(dense(rng, prod(shape), int(n_out), biased=biased))
        shape = (int(n_out),)
    if seed % 5:
        layers[-1]["neuron"] |= {"sigma_output": True}
        layers[-1].pop("bias", None)
    return layers


def sdnn(*, vth):
    return {"type": "SDNN", "activation": "relu", "vThMant": vth}


def even_weights(rng, *shape):
    """Return weights of both signs, of 6 fraction bits, that keep the size of what they add up."""
    spread = 64 * np.sqrt(2 / prod(shape[1:]))
    weight = np.clip(2 * np.rint(rng.normal(spread / 8, spread, shape) / 2), -256, 254)
    weight.flat[:2] = -2, 2
    return weight.astype(np.float32)


def dense(rng, n_in, n_out, *, biased):
    layer = {
        "type": "dense", "shape": (n_out,), "inFeatures": n_in, "outFeatures": n_out,
        "weight": even_weights(rng, n_out, n_in), "neuron": sdnn(vth=int(rng.integers(0, 24))),
    }  # fmt: skip
    return layer | ({"bias": biases(rng, n_out)} if biased else {})


def conv(rng, shape, n_out, *, biased):
    kernel, stride = (3, int(rng.integers(2, 4))), (1, int(rng.integers(1, 3)))
    padding = (int(rng.integers(0, 2)), 0)
    size = tuple(
        (s + 2 * p - k) // d + 1
        for s, p, k, d in zip(shape[1:], padding, kernel, stride, strict=True)
    )
    layer = {
        "type": "conv", "shape": (n_out, *size), "inChannels": shape[0], "outChannels": n_out,
        "kernelSize": kernel, "stride": stride, "padding": padding, "dilation": (1, 1), "groups": 1,
        "weight": even_weights(rng, n_out, shape[0], *kernel),
        "neuron": sdnn(vth=int(rng.integers(0, 24))),
    }  # fmt: skip
    return layer | ({"bias": biases(rng, n_out)} if biased else {})


def biases(rng, n):
    return rng.integers(-20, 30, n).astype(np.float32)


def file_bytes(layers, **facts):
    """Return the `.net` file; `facts` are what our own exporter adds."""
    if not has_delta(layers):
        facts |= {"low": -LARGEST_CHANGE, "high": LARGEST_CHANGE}
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for index, layer in enumerate(layers):
            _write(file.create_group(f"layer/{index}"), layer)
        if facts:
            _write(file.create_group("snndeploy"), facts)
    return buffer.getvalue()


def _write(group, values):
    for name, value in values.items():
        if isinstance(value, dict):
            _write(group.create_group(name), value)
        elif name == "type":
            group.create_dataset(name, data=np.array([value.encode()], dtype="S10"))
        else:
            group.create_dataset(name, data=value.encode() if isinstance(value, str) else value)


def has_delta(layers):
    return "neuron" in layers[0]


def transform(layers):
    """Return weight and bias of the input."""
    given = (layers[0].get(key, default) for key, default in (("weight", 64), ("bias", 0)))
    return tuple(int(np.asarray(value).reshape(-1)[0]) for value in given)


def frames(layers, *, steps, samples, seed=0):
    """Return whole inputs [steps, samples, *shape]: scenes that change a little, or changes."""
    rng = np.random.default_rng(seed)
    shape = (steps, samples, *layers[0]["shape"])
    if not has_delta(layers):
        changes = rng.integers(-LARGEST_CHANGE, LARGEST_CHANGE, shape, endpoint=True)
        return np.where(rng.random(shape) < 0.3, changes, 0)
    changed = rng.random(shape) < 0.25
    changed[0] = True
    level = np.zeros(shape[1:])
    scene = np.empty(shape)
    for t, where in enumerate(changed):
        level = np.where(where, rng.random(shape[1:]), level)
        scene[t] = level
    weight, bias = transform(layers)
    return (2 * weight * scene - weight + bias).astype(np.int64)


def by_hand(layers, x):
    """Return what every layer with neurons sends, and its levels, as if all took no time.

    Args:
        layers: of `random_layers`.
        x: whole inputs [T, B, *shape].

    Returns:
        Per layer with neurons (out, level) int64 [T, B, *shape], the level before the delta.
    """
    told, sent = [], x
    for layer in layers:
        if layer["type"] == "flatten":
            sent = sent.reshape(*sent.shape[:2], -1)
        elif layer["type"] == "input":
            if has_delta(layers):
                level = sent << SCALE
                told.append((_changes(level, layer["neuron"]["vThMant"]), level))
                sent = told[-1][0]
        else:
            told.append(_layer(layer, np.cumsum(_weighted(layer, sent), axis=0)))
            sent = told[-1][0]
    return told


def _layer(layer, sigma):
    if "sigma_output" in layer["neuron"]:
        return sigma, sigma
    bias = np.asarray(layer.get("bias", 0), dtype=np.int64)
    bias = bias.reshape(-1, 1, 1) if sigma.ndim == 5 else bias
    level = np.maximum(sigma + (bias << SCALE), 0)
    return _changes(level, layer["neuron"]["vThMant"]), level


def _changes(level, vth):
    out = np.empty_like(level)
    before = rest = np.zeros_like(level[0])
    for t, now in enumerate(level):
        due = now - before + rest
        told = np.where(np.abs(due) >= vth << SCALE, due, 0)
        rest, before = due - told, now
        out[t] = told >> STATE_EXP
    return out


def _weighted(layer, sent):
    """Return weighted sums; float64 holds these integers exactly."""
    weight = torch.tensor(layer["weight"], dtype=torch.float64)
    flat = torch.tensor(sent.reshape(-1, *sent.shape[2:]), dtype=torch.float64)
    if layer["type"] == "dense":
        made = flat @ weight.T
    else:
        made = torch.nn.functional.conv2d(
            flat, weight, stride=layer["stride"], padding=layer["padding"]
        )
    return made.numpy().astype(np.int64).reshape(*sent.shape[:2], *made.shape[1:])
