"""Layers without state as NIR nodes: one reader per torch class; SpikingJelly's subclasses too.

Modules are told apart by class name, so that neither torch nor SpikingJelly is imported here. Max
pooling of spikes is an OR: `SumPool2d`, then `Threshold` 0.5. Batch normalisation of a trained
network is an affine map and is folded into the weights before it, in float64.
"""

from types import SimpleNamespace
from typing import Any

import nir
import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.draft import Draft, Reader, Signal
from snndeploy.ir.arrays import AnyArray, FloatArray
from snndeploy.nirgraph.canonical import canonical_node
from snndeploy.nirgraph.payload import REAL, SPIKES
from snndeploy.nirgraph.rebuild import copy_node

Pair = tuple[int, int]
WEIGHTS = (nir.Linear, nir.Affine, nir.Conv1d, nir.Conv2d)


def numpy_of(tensor: Any) -> AnyArray:
    """Return a copy of a tensor's values, or of an array."""
    if isinstance(tensor, np.ndarray):
        return np.array(tensor)
    values: AnyArray = np.array(tensor.detach().cpu().numpy())
    return values


def read_linear(draft: Draft, path: str, module: Any, source: Signal) -> Signal:
    """Linear with bias -> `Affine`, without -> `Linear`; weight [out, in]."""
    if len(source.shape) != 1:
        raise UnsupportedError(
            "E2008",
            f"a linear layer over the last dimension of {source.shape} is not supported",
            where=path,
            remedy="flatten before it",
        )
    weight = numpy_of(module.weight)
    if module.bias is None:
        return draft.append(path, nir.Linear(weight=weight), source, payload=REAL)
    node = nir.Affine(weight=weight, bias=numpy_of(module.bias))
    return draft.append(path, node, source, payload=REAL)


def read_conv(draft: Draft, path: str, module: Any, source: Signal) -> Signal:
    """Conv1d and Conv2d, with stride, padding, dilation and groups; zero padding only."""
    if module.padding_mode != "zeros":
        raise _option(path, f"padding_mode={module.padding_mode!r}", "padding_mode='zeros'")
    weight = numpy_of(module.weight)
    is_1d = weight.ndim == 3
    fields = {
        name: _first(getattr(module, name)) if is_1d else getattr(module, name)
        for name in ("stride", "padding", "dilation")
    }
    if any(source.padding):
        if isinstance(fields["padding"], str):
            raise _option(path, f"padding={module.padding!r} behind a border of zeros", "numbers")
        fields["padding"] = tuple(np.add(fields["padding"], source.padding).tolist())
    bias = np.zeros(len(weight), weight.dtype) if module.bias is None else numpy_of(module.bias)
    node = (nir.Conv1d if is_1d else nir.Conv2d)(
        input_shape=None, weight=weight, bias=bias, groups=module.groups, **fields
    )
    return draft.append(path, node, source.unpadded, payload=REAL)


def read_quantized(draft: Draft, path: str, module: Any, source: Signal) -> Signal:
    """Brevitas' QuantLinear and QuantConv: their integers times their scale, nothing rounded anew.

    Raises:
        UnsupportedError: E2420, the layer quantizes its input, output or bias too, or its integers
            are shifted by a zero point.
    """
    for part in ("input", "output", "bias"):
        quantizer = getattr(module, f"{part}_quant", None)
        if quantizer is not None and getattr(quantizer, "is_quant_enabled", False):
            raise UnsupportedError(
                "E2420", f"quantizes its {part}, which no synapse does", where=path,
                remedy=f"train with {part}_quant=None; spikes and biases have grids of their own",
            )  # fmt: skip
    found = module.quant_weight()
    if np.any(numpy_of(found.zero_point)):
        raise UnsupportedError(
            "E2420", "integer weights with a zero point", where=path,
            remedy="use a symmetric quantizer, such as Int8WeightPerTensorFloat",
        )  # fmt: skip
    integers = numpy_of(found.int()).astype(np.float64)
    scale = numpy_of(found.scale).astype(np.float64)
    scale = scale.reshape(-1, *[1] * (integers.ndim - 1)) if scale.size > 1 else scale.reshape(())
    bits = f"{float(found.bit_width.detach()):g}-bit"
    scales = "one scale" if scale.size == 1 else f"{scale.size} scales"
    draft.note(
        "folded", path, f"{bits} integers of {integers.size:,} weights, {scales}, as trained"
    )
    options = ("bias", "stride", "padding", "dilation", "groups", "padding_mode")
    fields = {name: getattr(module, name) for name in options if hasattr(module, name)}
    exact = SimpleNamespace(weight=integers * scale, **fields)
    read = read_linear if integers.ndim == 2 else read_conv
    return read(draft, path, exact, source)


def read_batch_norm(draft: Draft, path: str, module: Any, source: Signal) -> Signal:
    """Fold y = (x - mean) / sqrt(var + eps) * weight + bias into the layers that x is the sum of.

    Raises:
        UnsupportedError: E2005, x is not made by layers with weights alone, or read elsewhere too;
            E2008, no running statistics.
    """
    kinds = {name: draft.nodes[name] for name, _ in source.terms}
    foldable = all(isinstance(node, WEIGHTS) for node in kinds.values())
    if source.is_shared or not foldable or source.offset or not kinds:
        before = ", ".join(f"{type(node).__name__} {name}" for name, node in kinds.items())
        shared = ", which something else reads too" if foldable and source.is_shared else ""
        raise UnsupportedError(
            "E2005",
            "batch normalisation can only be folded into a convolution or linear layer right "
            f"before it; here it follows {before or 'a number'}{shared}",
            where=path,
            remedy="put it right after the layer with weights",
        )
    if module.running_mean is None:
        raise _option(path, "track_running_stats=False", "running statistics")
    scale, shift = _batch_norm_map(module)
    for index, (name, factor) in enumerate(source.terms):
        own = shift / factor if index == 0 else np.zeros_like(shift)
        draft.nodes[name] = canonical_node(name, _rescaled(kinds[name], scale, own))
        draft.note("folded", name, f"batch normalisation {path} is in its weights and bias")
    return source


def _batch_norm_map(module: Any) -> tuple[FloatArray, FloatArray]:
    """Return scale and shift per channel, in float64."""
    mean, variance = (np.float64(numpy_of(x)) for x in (module.running_mean, module.running_var))
    scale = 1.0 / np.sqrt(variance + module.eps)
    shift = -mean * scale
    if module.affine:
        gain = np.float64(numpy_of(module.weight))
        scale, shift = scale * gain, shift * gain + numpy_of(module.bias)
    return scale, shift


def _rescaled(node: Any, scale: FloatArray, shift: FloatArray) -> Any:
    """Return a layer whose output is scaled and shifted per channel."""
    weight = node.weight * scale.reshape(-1, *[1] * (node.weight.ndim - 1))
    if isinstance(node, nir.Linear):
        return nir.Affine(weight=weight, bias=shift)
    return copy_node(node, weight=weight, bias=node.bias * scale + shift)


def read_avg_pool(draft: Draft, path: str, module: Any, source: Signal) -> Signal:
    """Average pooling; padding counts as zeros."""
    if module.divisor_override is not None:
        raise _option(path, f"divisor_override={module.divisor_override}", "the window's size")
    kernel, stride, padding = _window(path, module, source)
    if any(padding) and not module.count_include_pad:
        raise _option(path, "count_include_pad=False with padding", "count_include_pad=True")
    node = nir.AvgPool2d(kernel_size=kernel, stride=stride, padding=padding)
    return draft.append(path, node, source, payload=REAL)


def read_sum_pool(draft: Draft, path: str, module: Any, source: Signal) -> Signal:
    """Sum pooling: torch's LPPool2d of norm 1, sinabs' SumPool2d; it has no padding."""
    if float(module.norm_type) != 1.0:
        raise _option(path, f"norm_type={module.norm_type:g}", "norm_type=1, a sum")
    kernel, stride, padding = _window(path, module, source)
    node = nir.SumPool2d(kernel_size=kernel, stride=stride, padding=padding)
    return draft.append(path, node, source, payload=source.payload.times(float(np.prod(kernel))))


def read_adaptive_avg_pool(draft: Draft, path: str, module: Any, source: Signal) -> Signal:
    """Adaptive average pooling whose output size divides the input's: windows of one size."""
    wanted = module.output_size
    wanted = (wanted, wanted) if isinstance(wanted, int) or wanted is None else wanted
    sizes = source.shape[1:]
    if len(sizes) != 2:
        raise _not_an_image(path, source)
    target = [size if want is None else want for want, size in zip(wanted, sizes, strict=True)]
    if any(size % want for size, want in zip(sizes, target, strict=True)):
        raise _option(path, f"output size {tuple(target)} of {sizes}", "a divisor of the input")
    kernel = np.array([size // want for size, want in zip(sizes, target, strict=True)])
    node = nir.AvgPool2d(kernel_size=kernel, stride=kernel, padding=np.zeros(2, dtype=np.int64))
    return draft.append(path, node, source, payload=REAL)


def read_max_pool(draft: Draft, path: str, module: Any, source: Signal) -> Signal:
    """Max pooling of spikes: fires if any input of the window does."""
    if not source.is_spikes:
        raise UnsupportedError(
            "E2004",
            f"max pooling of {source.payload.text} (here: of {source.origin}): a maximum of real "
            "values cannot be computed by spiking populations, only one of spikes",
            where=path,
            remedy='save with snndeploy.save(..., rewrite="pool-after-neuron"), which swaps the '
            f"pool with the neuron that follows {path}, then run `snndeploy finetune MODEL --data "
            "TRAIN.npz -o TUNED.pt`; or train with AvgPool2d",
        )
    if set(_pair(module.dilation)) != {1} or module.return_indices:
        raise _option(path, "dilation or return_indices", "plain windows")
    kernel, stride, padding = _window(path, module, source)
    pool = nir.SumPool2d(kernel_size=kernel, stride=stride, padding=padding)
    counts = draft.append(path, pool, source, payload=REAL)
    gate = nir.Threshold(threshold=np.full(counts.shape, 0.5))
    return draft.append(f"{path}.any", gate, counts, payload=SPIKES)


def read_nothing(draft: Draft, path: str, module: Any, source: Signal) -> Signal:
    """Dropout and Identity do nothing in a deployed network."""
    if "Dropout" in type(module).__name__:
        draft.note("dropped", path, f"{type(module).__name__} acts in training only")
    return source


def append_flatten(
    draft: Draft, path: str, source: Signal, *, start: int, end: int, leading: int
) -> Signal:
    """Add a `Flatten` of torch's dimensions, of which `leading` are time and batch.

    Raises:
        UnsupportedError: E2008, time or batch would be flattened too.
    """
    ndim = leading + len(source.shape)
    first, last = start % ndim, end % ndim
    if first < leading:
        raise _option(path, f"start_dim={start}", f"start_dim={leading}: time and batch stay")
    if last <= first:
        return source
    node = nir.Flatten(
        input_type={"input": np.array(source.shape)}, start_dim=first - leading,
        end_dim=-1 if last == ndim - 1 else last - leading,
    )  # fmt: skip
    return draft.append(path, node, source, payload=source.payload)


LAYERS: dict[str, Reader] = {
    "Linear": read_linear,
    "Conv1d": read_conv,
    "Conv2d": read_conv,
    **dict.fromkeys(("QuantLinear", "QuantConv1d", "QuantConv2d"), read_quantized),
    "BatchNorm1d": read_batch_norm,
    "BatchNorm2d": read_batch_norm,
    "AvgPool2d": read_avg_pool,
    "AdaptiveAvgPool2d": read_adaptive_avg_pool,
    "LPPool2d": read_sum_pool,
    "SumPool2d": read_sum_pool,
    "MaxPool2d": read_max_pool,
    "Dropout": read_nothing,
    "Dropout1d": read_nothing,
    "Dropout2d": read_nothing,
    "Identity": read_nothing,
}
"""Readers by class name, of torch.nn and of spikingjelly.activation_based.layer."""

TIME_SAFE = ("Linear", "QuantLinear", "Dropout", "Identity", "Flatten")
"""torch.nn classes that do the same with a leading time dimension."""


def _window(path: str, module: Any, source: Signal) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Return kernel, stride and padding; a ceil_mode that adds a window is refused."""
    if len(source.shape) != 3:
        raise _not_an_image(path, source)
    kernel, stride, padding = (
        np.array(_pair(value))
        for value in (
            module.kernel_size,
            module.stride or module.kernel_size,
            getattr(module, "padding", 0),
        )
    )
    rest = (np.array(source.shape[1:]) + 2 * padding - kernel) % stride
    if module.ceil_mode and np.any(rest):
        raise _option(path, "ceil_mode=True with a partial window", "ceil_mode=False")
    return kernel, stride, padding


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) else value


def _option(path: str, had: str, allowed: str) -> UnsupportedError:
    return UnsupportedError("E2008", f"{had} is not supported", where=path, remedy=f"use {allowed}")


def _not_an_image(path: str, source: Signal) -> UnsupportedError:
    return _option(path, f"2-D pooling of shape {source.shape}", "(channels, height, width)")
