"""Subsampling, zero padding and channels added in a traced forward, as plain NIR.

`x[..., ::2, ::2]` is a sum pool of one pixel with stride 2, which folds into the weights behind it;
a symmetric border of zeros becomes the next convolution's padding; added channels of zeros are a
1x1 convolution that copies.
"""

from dataclasses import replace
from typing import Any

import nir
import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.draft import Draft, Signal


def subsample(draft: Draft, path: str, signal: Signal, index: Any) -> Signal:
    """Read x[index] that keeps every n-th row and column.

    Raises:
        UnsupportedError: E2018, another index.
    """
    items = list(index) if isinstance(index, tuple) else [index]
    full = len(signal.sizes) + len(signal.shape)
    if Ellipsis in items:
        at = items.index(Ellipsis)
        items[at : at + 1] = [slice(None)] * (full - len(items) + 1)
    items += [slice(None)] * (full - len(items))
    sizes = (*signal.sizes, *signal.shape)
    steps = [_step(item, size) for item, size in zip(items, sizes, strict=False)]
    spatial = steps[-2:]
    if None in steps or len(signal.shape) != 3 or any(step != 1 for step in steps[:-2]):
        raise UnsupportedError(
            "E2018",
            f"takes the part {_text(items)} of {signal.text}",
            where=path,
            remedy="only x[..., ::n, ::n] of images is read; use a convolution that selects",
        )
    if spatial == [1, 1]:
        return signal
    node = nir.SumPool2d(
        kernel_size=np.array([1, 1]), stride=np.array(spatial), padding=np.array([0, 0])
    )
    return draft.append(path, node, signal, payload=signal.payload)


def pad(draft: Draft, path: str, signal: Signal, widths: Any, mode: str, value: Any) -> Signal:
    """Read a border of zeros: (left, right, top, bottom, channels before, channels behind).

    Raises:
        UnsupportedError: E2019, it is not of zeros, not symmetric, or not around an image.
    """
    given = (widths,) * 4 if isinstance(widths, int) else tuple(int(width) for width in widths)
    left, right, top, bottom, before, behind = (*given, *(0,) * (6 - len(given)))[:6]
    is_image = len(signal.shape) == 3 and len(given) <= 6
    if mode != "constant" or value not in (None, 0) or not is_image:
        raise _refusal(path, f"pads {signal.text} by {given} with mode {mode!r}, value {value}")
    if left != right or top != bottom or min(given) < 0:
        raise _refusal(path, f"pads more on one side than on the other: {given}")
    if before or behind:
        signal = _with_channels(draft, path, signal, before, behind)
    channels, height, width = signal.shape
    return replace(
        signal,
        shape=(channels, height + 2 * top, width + 2 * left),
        padding=(signal.padding[0] + top, signal.padding[1] + left),
    )


def _with_channels(draft: Draft, path: str, signal: Signal, before: int, behind: int) -> Signal:
    channels = signal.shape[0]
    weight = np.zeros((before + channels + behind, channels, 1, 1))
    weight[before : before + channels, :, 0, 0] = np.eye(channels)
    node = nir.Conv2d(
        input_shape=None, weight=weight, bias=np.zeros(len(weight)), stride=1, padding=0,
        dilation=1, groups=1,
    )  # fmt: skip
    return draft.append(path, node, signal, payload=signal.payload)


def _step(item: Any, size: int) -> int | None:
    """Return the stride of a slice that starts at 0 and ends at the end, else None."""
    if not isinstance(item, slice) or item.start not in (None, 0):
        return None
    if item.stop is not None and item.stop < size:
        return None
    step = 1 if item.step is None else item.step
    return step if isinstance(step, int) and step > 0 else None


def _text(items: list[Any]) -> str:
    return "[" + ", ".join(_item_text(item) for item in items) + "]"


def _item_text(item: Any) -> str:
    if not isinstance(item, slice):
        return str(item)
    start, stop, step = (
        "" if part is None else part for part in (item.start, item.stop, item.step)
    )
    return f"{start}:{stop}" + (f":{step}" if step != "" else "")


def _refusal(path: str, message: str) -> UnsupportedError:
    return UnsupportedError(
        "E2019",
        message,
        where=path,
        remedy="use Conv2d(…, padding=…), the same on both sides and of zeros",
    )
