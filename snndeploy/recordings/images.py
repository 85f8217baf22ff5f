"""Images in a folder per class, as static samples [1, B, C, H, W] with values from 0 to 1.

Folders are the classes in the order of their names, as in torchvision. Images are not resized,
cropped or recoloured: their size and channels must be the input's.
"""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from snndeploy.errors import ModelError, TargetError
from snndeploy.ir.arrays import AnyArray, FloatArray
from snndeploy.reading.confined import read_plain

SUFFIXES = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
MODES = {"L": 1, "1": 1, "RGB": 3}
"""Pillow's modes that are read, and their channels."""
MAX_VALUES = 1 << 29
"""Values of all images together, 4 GiB of float64."""


def read_confined(folder: Path, shape: tuple[int, ...]) -> tuple[FloatArray, AnyArray]:
    """Return images [1, B, *shape] and their classes [B], read where they can do no harm.

    Raises:
        ModelError: E1212 no images, E1445 another size or kind of image than the input takes, E1446
            a damaged image, E1204 more than fits in memory; E1470, E1471, see `read_plain`.
        TargetError: E5134, the package that reads them is missing.
    """
    options = {"shape": list(shape)}
    _, arrays = read_plain("snndeploy.recordings.images:read_packed", folder, options)
    pixels, label = arrays
    return pixels[None] / 255.0, label


def read_packed(path: str, shape: list[int]) -> tuple[Any, list[AnyArray]]:
    """Read images in the reading process: uint8 [B, *shape], and classes [B]."""
    folder, size = Path(path), tuple(shape)
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    files = [
        (file, index)
        for index, name in enumerate(classes)
        for file in sorted((folder / name).iterdir())
        if file.suffix.lower() in SUFFIXES
    ]
    if not files:
        raise ModelError(
            "E1212", "is a folder, and not one of images (.png, .jpg) in a folder per class",
            where=path, remedy="give a file, or arrange images as CLASS/IMAGE.png",
        )  # fmt: skip
    if len(files) * prod(size) > MAX_VALUES:
        raise ModelError("E1204", f"{len(files):,} images of shape {size}", where=path)
    pixels = np.empty((len(files), *size), dtype=np.uint8)
    for place, (file, _) in zip(pixels, files, strict=True):
        place[:] = _image(file, size)
    return {}, [pixels, np.array([index for _, index in files], dtype=np.int64)]


def _image(path: Path, shape: tuple[int, ...]) -> AnyArray:
    """Return one image's pixels, uint8 of the shape."""
    where = str(path)
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise TargetError(
            "E5134", f"images are read with pillow: {error}", where=where,
            remedy="install snndeploy[images]",
        ) from error  # fmt: skip
    if path.is_symlink() or not path.is_file():
        raise ModelError("E1446", "not a regular file", where=where)
    try:
        with Image.open(path, formats=FORMATS) as image:
            _check(image, shape, where)
            pixels: AnyArray = np.asarray(image)
    except (
        UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError,
    ) as error:  # fmt: skip
        text = str(error).split("\n", maxsplit=1)[0]
        raise ModelError("E1446", f"cannot be read: {text:.100}", where=where) from error
    levels = pixels * np.uint8(255) if pixels.dtype == bool else pixels
    channels = levels[None] if levels.ndim == 2 else levels.transpose(2, 0, 1)
    return channels.reshape(shape)


def _check(image: Any, shape: tuple[int, ...], where: str) -> None:
    """Compare an image's header with the input before its pixels are decoded."""
    width, height = image.size
    if image.mode not in MODES:
        raise ModelError(
            "E1445", f"an image of mode {image.mode}", where=where,
            remedy="save it as grey (L) or colour (RGB), 8 bits, without transparency",
        )  # fmt: skip
    had = (MODES[image.mode], height, width)
    fits = had == shape or (len(shape) == 1 and height * width * had[0] == shape[0])
    if not fits:
        raise ModelError(
            "E1445", f"an image {had} (channels, height, width), the input takes {shape}",
            where=where, remedy="images are not resized or recoloured here: convert them before",
        )  # fmt: skip
