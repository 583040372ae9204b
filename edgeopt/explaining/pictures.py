"""Attributions as pictures: the input, and what float and compressed look at, side by side."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeopt.errors import PluginError
from edgeopt.files import write_file
from edgeopt.installation import install_command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgeopt.explaining.regions import Regions

__all__ = ["is_picture", "write_maps", "write_picture"]

_SIDE, _GAP, _TITLE = 224, 8, 18
_CELL = 18
_WARM, _COLD = np.array([215.0, 48.0, 39.0]), np.array([49.0, 98.0, 172.0])
_WHITE = 255.0
_OPAQUE = 0.75


def is_picture(regions: Regions) -> bool:
    """Returns whether an input can be shown as a picture."""
    return regions.kind == "picture"


def write_picture(path: Path, array: np.ndarray, regions: Regions) -> None:
    """Writes an input as a PNG; its least number is black, its greatest white.

    Args:
        path: The file.
        array: The input, (1, channels, height, width) or (1, height, width, channels).
        regions: Says how it lies.

    Raises:
        PluginError: Pillow is missing.
    """
    _write(path, _pillow().fromarray(_pixels(array, regions)))


def write_maps(
    path: Path, array: np.ndarray, regions: Regions, maps: Sequence[tuple[str, np.ndarray]]
) -> None:
    """Writes what models look at side by side: red speaks for the answer, blue against it.

    Args:
        path: The file, a PNG.
        array: The input.
        regions: What each number of a map is of.
        maps: Title and map of each model.

    Raises:
        PluginError: Pillow is missing.
    """
    if not is_picture(regions):
        _write(path, _strips(maps))
        return
    pixels = _enlarged(_pixels(array, regions))
    panels = [("input", pixels), *((name, _heated(pixels, one, regions)) for name, one in maps)]
    _write(path, _side_by_side(panels))


def _pixels(array: np.ndarray, regions: Regions) -> np.ndarray:
    image = array[0].transpose(1, 2, 0) if regions.layout == "NCHW" else array[0]
    image = image.astype(np.float64)
    low, high = float(image.min()), float(image.max())
    scaled = (image - low) * (_WHITE / (high - low if high > low else 1.0))
    channels = scaled[:, :, :3] if scaled.shape[2] >= 3 else scaled[:, :, :1].repeat(3, axis=2)  # noqa: PLR2004
    return np.asarray(np.rint(channels), np.uint8)


def _enlarged(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    factor = max(1, round(_SIDE / max(height, width)))
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def _heated(pixels: np.ndarray, one: np.ndarray, regions: Regions) -> np.ndarray:
    """Returns a picture in grey with a map over it."""
    height, width = pixels.shape[:2]
    rows, columns = regions.grid
    numbers = one.reshape(rows, columns) / (np.abs(one).max() or 1.0)
    spread = numbers[np.arange(height) * rows // height][:, np.arange(width) * columns // width]
    grey = pixels.astype(np.float64).mean(axis=2, keepdims=True).repeat(3, axis=2)
    weight = _OPAQUE * np.abs(spread)[:, :, None]
    colour = np.where(spread[:, :, None] > 0, _WARM, _COLD)
    return np.asarray(np.rint((1 - weight) * grey + weight * colour), np.uint8)


def _side_by_side(panels: Sequence[tuple[str, np.ndarray]]) -> Any:
    height, width = panels[0][1].shape[:2]
    image = _pillow()
    whole = image.new(
        "RGB", (len(panels) * (width + _GAP) - _GAP, height + _TITLE), (255, 255, 255)
    )
    for place, (title, pixels) in enumerate(panels):
        left = place * (width + _GAP)
        whole.paste(image.fromarray(pixels), (left, _TITLE))
        _draw(whole).text((left + 2, 3), title, fill=(0, 0, 0))
    return whole


def _strips(maps: Sequence[tuple[str, np.ndarray]]) -> Any:
    """Returns a row of cells for each model, one cell a region, numbered every tenth."""
    count = max(len(one) for _, one in maps)
    titles = 120
    whole = _pillow().new(
        "RGB", (titles + count * _CELL, _TITLE + len(maps) * (_CELL + _GAP)), (255, 255, 255)
    )
    pen = _draw(whole)
    for number in range(0, count, 10):
        pen.text((titles + number * _CELL + 2, 3), str(number), fill=(90, 90, 90))
    for row, (title, one) in enumerate(maps):
        top = _TITLE + row * (_CELL + _GAP)
        pen.text((2, top + 3), title, fill=(0, 0, 0))
        for place, number in enumerate(one / (np.abs(one).max() or 1.0)):
            left = titles + place * _CELL
            pen.rectangle((left, top, left + _CELL - 2, top + _CELL - 2), fill=_cell(float(number)))
    return whole


def _cell(number: float) -> tuple[int, ...]:
    colour = _WARM if number > 0 else _COLD
    return tuple(int(c) for c in np.rint(_WHITE + abs(number) * (colour - _WHITE)))


def _write(path: Path, picture: Any) -> None:
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    write_file(path, stream.getvalue())


def _pillow() -> Any:
    try:
        from PIL import Image  # noqa: PLC0415 (an extra)
    except ImportError as error:
        hint = install_command("explain")
        raise PluginError("Pillow is not installed", where="pictures", hint=hint) from error
    return Image


def _draw(picture: Any) -> Any:
    from PIL import ImageDraw  # noqa: PLC0415 (an extra)

    return ImageDraw.Draw(picture)
