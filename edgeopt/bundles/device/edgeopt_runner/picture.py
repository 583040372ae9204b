"""A picture as a model's input, prepared as the bundle's ``preprocess`` says."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .bundle import USAGE, Stop
from .photo import MAX_PIXELS, open_picture
from .resample import resize_plain

__all__ = ["Placement", "prepare_picture", "read_image"]

_RESAMPLE = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4}
"""Pillow's numbers, the same in all versions."""


class Placement(NamedTuple):
    """Where the picture lies in the input: ``input = picture * gain + offset``, in pixels.

    Attributes:
        picture: Height and width of the picture.
        input: Height and width of the input.
        gain: Of rows and of columns.
        offset: Of rows and of columns.
    """

    picture: tuple[int, int]
    input: tuple[int, int]
    gain: tuple[float, float]
    offset: tuple[int, int]


def read_image(path: str, manifest: dict[str, Any]) -> tuple[str, Any, Placement, Any]:
    """Returns the input's name, the input, where the picture lies in it, and the picture itself."""
    spec = manifest.get("preprocess")
    if not spec or spec.get("kind") != "picture":
        wrong = "this bundle does not say how a picture is prepared"
        raise Stop(USAGE, wrong, "prepare it yourself and pass a .npy file with --input")
    picture = open_picture(path, grey=spec["color"].startswith("L"))
    array, placement = prepare_picture(picture, spec)
    return spec["input"], array, placement, picture


def prepare_picture(picture: Any, spec: dict[str, Any]) -> tuple[Any, Placement]:
    """Returns the input, (1, C, H, W) or (1, H, W, C), and where the picture lies in it.

    Args:
        picture: As Pillow has it, in RGB or in grey.
        spec: The manifest's ``preprocess``.
    """
    width, height = picture.size
    rows, columns = _resized_size(spec, (height, width))
    if rows * columns > MAX_PIXELS:
        wrong = f"{width} x {height} pixels would become {columns} x {rows}"
        raise Stop(USAGE, wrong, "the picture is too long for its width: cut it")
    pixels = _resized(picture, (rows, columns), spec)
    top = left = 0
    if spec["fit"] == "letterbox":
        pixels, top, left = _letterboxed(pixels, spec)
    if spec["crop"]:
        pixels, top, left = _cropped(pixels, spec)
    placement = Placement(
        (height, width), pixels.shape[:2], (rows / height, columns / width), (top, left)
    )
    return _numbers(pixels, spec)[None], placement


def _resized_size(spec: dict[str, Any], size: tuple[int, int]) -> tuple[int, int]:
    """Returns rows and columns after the resize, rounded as torchvision and ultralytics do."""
    target = spec["resize"]
    if len(target) == 1:
        rows, columns = (int(target[0] * side / min(size)) for side in size)
        return rows, columns
    if spec["fit"] == "letterbox":
        ratio = min(target[0] / size[0], target[1] / size[1])
        ratio = ratio if spec["enlarge"] else min(ratio, 1.0)
        return max(round(size[0] * ratio), 1), max(round(size[1] * ratio), 1)
    return (target[0], target[1]) if target else size


def _resized(picture: Any, size: tuple[int, int], spec: dict[str, Any]) -> Any:
    """Returns (rows, columns, channels), uint8; float32 where pixels are not to be whole."""
    if picture.size == (size[1], size[0]):
        return _channels(np.asarray(picture), spec)
    if not spec["antialias"]:
        pixels = _channels(np.asarray(picture), spec)
        return resize_plain(_as_asked(pixels, spec), size, spec["interpolation"])
    method, target = _RESAMPLE[spec["interpolation"]], (size[1], size[0])
    if spec["whole"]:
        return _channels(np.asarray(picture.resize(target, method)), spec)
    bands = [np.asarray(band.convert("F").resize(target, method)) for band in picture.split()]
    return np.stack(bands, -1)


def _as_asked(pixels: Any, spec: dict[str, Any]) -> Any:
    return pixels if spec["whole"] else pixels.astype(np.float32)


def _channels(pixels: Any, spec: dict[str, Any]) -> Any:
    return _as_asked(pixels.reshape(*pixels.shape[:2], -1), spec)


def _letterboxed(pixels: Any, spec: dict[str, Any]) -> tuple[Any, int, int]:
    """Returns the picture on a plain ground, and where its corner is."""
    (rows, columns), (height, width) = spec["resize"], pixels.shape[:2]
    top = left = 0
    if spec["align"] == "center":  # of an odd rest the smaller half comes first
        top, left = round((rows - height) / 2 - 0.1), round((columns - width) / 2 - 0.1)
    ground = np.empty((rows, columns, pixels.shape[2]), pixels.dtype)
    fill = np.array(spec["fill"])
    ground[:] = fill if pixels.dtype != np.uint8 else np.rint(fill).astype(np.uint8)
    ground[top : top + height, left : left + width] = pixels
    return ground, top, left


def _cropped(pixels: Any, spec: dict[str, Any]) -> tuple[Any, int, int]:
    """Returns the middle, with black where the picture ends, and where the picture's corner is."""
    offsets, slices, borders = [], [], []
    for old, new in zip(pixels.shape, spec["crop"]):
        first = (old - new) // 2 if spec["crop_rounding"] == "down" else round((old - new) / 2)
        lead = max((new - old) // 2, 0)  # as torchvision fills
        offsets.append(lead if new > old else -first)
        borders.append((lead, max(new - old - lead, 0)))
        slices.append(slice(max(first, 0), max(first, 0) + min(old, new)))
    pixels = pixels[slices[0], slices[1]]
    if any(map(any, borders)):
        pixels = np.pad(pixels, (*borders, (0, 0)))
    return pixels, offsets[0], offsets[1]


def _numbers(pixels: Any, spec: dict[str, Any]) -> Any:
    """Returns what the model takes: uint8 as they are, or normalized, in its order and layout."""
    pixels = np.repeat(pixels, 3, -1) if spec["color"] == "LLL" else pixels
    if spec["inside"]:
        return pixels
    pixels = pixels[..., ::-1] if spec["color"] == "BGR" else pixels
    mean, std = (np.array(spec[key], np.float32) for key in ("mean", "std"))
    pixels = (pixels.astype(np.float32) * np.float32(spec["scale"]) - mean) / std
    return pixels.transpose(2, 0, 1) if spec["layout"] == "NCHW" else pixels
