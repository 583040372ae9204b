"""A picture as a model's input, prepared as the bundle's ``preprocess`` says."""

from __future__ import annotations

from typing import Any

import numpy as np

from .bundle import MISSING, USAGE, Stop, open_plain

__all__ = ["read_image"]

_RESAMPLE = {
    "nearest": 0,
    "bilinear": 2,
    "bicubic": 3,
}  # Pillow's numbers, the same in all versions


def read_image(path: str, manifest: dict[str, Any]) -> tuple[str, Any]:
    """Returns the input's name, and the picture as float32 (1, C, H, W) or (1, H, W, C)."""
    spec = manifest.get("preprocess")
    if not spec:
        wrong = "this bundle does not say how a picture is prepared"
        raise Stop(USAGE, wrong, "prepare it yourself and pass a .npy file with --input")
    try:
        from PIL import Image
    except ImportError as error:
        hint = "python3 -m pip install pillow"
        raise Stop(MISSING, "reading a picture needs Pillow", hint) from error
    try:
        open_plain(path, follow=True).close()  # a pipe would hang, a device has no end
        picture = Image.open(path).convert("L" if spec["color"] == "L" else "RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise Stop(USAGE, f"{path}: not a picture: {error}") from error
    pixels = np.asarray(_resized(picture, spec), np.float32)
    return spec["input"], _normalized(pixels, spec)[None]


def _resized(picture: Any, spec: dict[str, Any]) -> Any:
    """Resizes (one number: the shorter side) and cuts out the middle, as torchvision does."""
    size = list(spec["resize"])
    if len(size) == 1:
        size = [int(size[0] * side / min(picture.size)) for side in reversed(picture.size)]
    if size:
        picture = picture.resize((size[1], size[0]), _RESAMPLE[spec["interpolation"]])
    if spec["crop"]:
        (width, height), (rows, columns) = picture.size, spec["crop"]
        top, left = round((height - rows) / 2.0), round((width - columns) / 2.0)
        picture = picture.crop((left, top, left + columns, top + rows))
    return picture


def _normalized(pixels: Any, spec: dict[str, Any]) -> Any:
    pixels = pixels[..., None] if spec["color"] == "L" else pixels
    pixels = pixels[..., ::-1] if spec["color"] == "BGR" else pixels
    mean, std = (np.array(spec[key], np.float32) for key in ("mean", "std"))
    pixels = (pixels * np.float32(spec["scale"]) - mean) / std
    return pixels.transpose(2, 0, 1) if spec["layout"] == "NCHW" else pixels
