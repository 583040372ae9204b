"""Opens a picture file: upright, eight bits a channel, of a size that fits into memory."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np

from .bundle import MISSING, USAGE, Stop, open_plain, shown

__all__ = ["MAX_PIXELS", "open_picture"]

MAX_PIXELS = 1 << 27  # 134 million: more would take a small device's memory
_LARGEST = 0xFFFF
_WIDE = ("I", "I;16", "I;16L", "I;16B", "I;16N")


def open_picture(path: str, *, grey: bool = False) -> Any:
    """Returns the picture as Pillow has it, in RGB or in grey, turned as its EXIF data says.

    Transparency is dropped, as the usual loaders of training data do. Of an animation the first
    picture is taken, and that is said.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        hint = "python3 -m pip install pillow"
        raise Stop(MISSING, "reading a picture needs Pillow", hint) from error
    try:
        open_plain(path, follow=True).close()  # a pipe would hang, a device has no end
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures: they are refused here
            with Image.open(path) as picture:
                _check_size(path, picture.size)
                _note_frames(path, picture)
                picture.load()
                return _in_mode(path, ImageOps.exif_transpose(picture), grey=grey)
    except Stop:
        raise
    except Exception as error:  # Pillow raises many kinds here, for each format its own
        raise Stop(USAGE, f"{path}: not a picture: {error}") from error


def _check_size(path: str, size: tuple[int, int]) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise Stop(USAGE, f"{path}: the picture is empty: {width} x {height} pixels")
    if width * height > MAX_PIXELS:
        wrong = f"{path}: {width} x {height} pixels; at most {MAX_PIXELS} in all"
        raise Stop(USAGE, wrong, "make it smaller: the model sees it smaller anyway")


def _note_frames(path: str, picture: Any) -> None:
    count = getattr(picture, "n_frames", 1)
    if count > 1:
        print(f"{shown(path)}: {count} pictures, the first is taken", file=sys.stderr)
        picture.seek(0)


def _in_mode(path: str, picture: Any, *, grey: bool) -> Any:
    if picture.mode in _WIDE:
        picture = _eight_bits(path, picture)
    elif picture.mode == "F":
        wrong = f"{path}: its pixels are float numbers"
        raise Stop(USAGE, wrong, "save it with 8 or 16 bits a channel")
    elif picture.mode in ("P", "PA") and "transparency" in picture.info:
        picture = picture.convert("RGBA")  # a palette's colours are right behind this only
    return picture.convert("L" if grey else "RGB")


def _eight_bits(path: str, picture: Any) -> Any:
    """Returns 16 bits a pixel as 8; Pillow itself would cut off at 255."""
    from PIL import Image

    pixels = np.asarray(picture).astype(np.int64)
    if pixels.min() < 0 or pixels.max() > _LARGEST:
        wrong = f"{path}: pixels from {pixels.min()} to {pixels.max()}, expected 16 bits"
        raise Stop(USAGE, wrong, "save it with 8 or 16 bits a channel")
    return Image.fromarray(((pixels * 255 + _LARGEST // 2) // _LARGEST).astype(np.uint8))
