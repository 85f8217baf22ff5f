"""Images in a folder per class, as static samples [1, B, C, H, W] with values from 0 to 1.

Folders are the classes in the order of their names, as in torchvision. Images are not resized,
cropped or recoloured: their size and channels must be the input's.
"""

from pathlib import Path
from typing import Any

import numpy as np

from snndeploy.errors import ModelError, TargetError
from snndeploy.ir.arrays import AnyArray, FloatArray, IntArray

SUFFIXES = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
MODES = {"L": 1, "1": 1, "RGB": 3}
"""Pillow's modes that are read, and their channels."""
MAX_VALUES = 1 << 29
"""Values of all images together, 4 GiB of float64."""


def read_images(folder: Path, shape: tuple[int, ...]) -> tuple[FloatArray, IntArray, list[str]]:
    """Return images [1, B, *shape], their classes [B], and the classes' names.

    Raises:
        ModelError: E1212 no images, E1445 another size or kind of image than the input takes, E1446
            a damaged image, E1204 more than fits in memory.
    """
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    files = [
        (path, index)
        for index, name in enumerate(classes)
        for path in sorted((folder / name).iterdir())
        if path.suffix.lower() in SUFFIXES
    ]
    if not files:
        raise ModelError(
            "E1212", "is a folder, and not one of images (.png, .jpg) in a folder per class",
            where=str(folder), remedy="give a file, or arrange images as CLASS/IMAGE.png",
        )  # fmt: skip
    if len(files) * int(np.prod(shape)) > MAX_VALUES:
        raise ModelError("E1204", f"{len(files):,} images of shape {shape}", where=str(folder))
    frames = np.stack([_image(path, shape) for path, _ in files])
    label = np.array([index for _, index in files], dtype=np.int64)
    return frames[None], label, classes


def _image(path: Path, shape: tuple[int, ...]) -> FloatArray:
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
    values = pixels.astype(np.float64) / (1.0 if pixels.dtype == bool else 255.0)
    channels = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    return np.ascontiguousarray(channels).reshape(shape)


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
