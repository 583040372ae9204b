"""How a picture becomes an input, as words of the templates: the same for C and Kotlin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeopt.boundary import c_float
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from edgeopt.codegen.facts import Facts
    from edgeopt.options import Preprocess

__all__ = ["picture_words", "resize_kind", "resize_words"]

_SUPPORTS = {"box": 0.5, "bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}
"""How far Pillow's filters reach, in pixels."""


def resize_kind(given: Preprocess) -> str:
    """Returns which template resizes: ``none``, ``nearest``, ``filtered``, ``fixed`` or ``plain``."""
    if not given.resize:
        return "none"
    if given.interpolation == "nearest":
        return "nearest"
    if given.antialias:
        return "filtered"
    return "fixed" if given.whole and given.interpolation == "bilinear" else "plain"


def resize_words(given: Preprocess) -> dict[str, Any]:
    """Returns the words of the templates that resize."""
    return {
        "interpolation": given.interpolation,
        "whole": int(given.whole),
        "support": _SUPPORTS.get(given.interpolation, 0.0),
        "taps": 2 if given.interpolation == "bilinear" else 4,
        "is_middle": int(given.antialias),
        "nearest_note": ", as Pillow does" if given.antialias else " below, as torch does",
    }


def picture_words(facts: Facts) -> dict[str, Any]:
    """Returns the words of the templates that bring a picture to the model's input.

    Raises:
        InputError: It is cropped out of a letterbox.
    """
    preprocess = facts.preprocess
    if preprocess is None:  # who asks has looked
        raise InputError("the bundle does not say how a picture is prepared", where="preprocess")
    if preprocess.crop and preprocess.fit == "letterbox":
        what = "a crop out of a letterbox is made in Python only"
        raise InputError(what, where="preprocess", hint="--lang python")
    source = 1 if preprocess.color.startswith("L") else 3
    return {
        "input_index": facts.input_index(),
        "source_channels": source,
        "cells": math.prod(facts.signature.inputs[facts.input_index()].shape),
        "rows": facts.size[0],
        "columns": facts.size[1],
        "channels": preprocess.channels,
        "resizes": len(preprocess.resize),
        "resize_rows": preprocess.resize[0] if preprocess.resize else 0,
        "resize_columns": preprocess.resize[-1] if preprocess.resize else 0,
        "letterbox": int(preprocess.fit == "letterbox"),
        "crops": int(bool(preprocess.crop)),
        "centered": int(preprocess.align == "center"),
        "enlarges": int(preprocess.enlarge),
        "rounds_down": int(preprocess.crop_rounding == "down"),
        "inside": int(preprocess.inside),
        "bgr": int(preprocess.color == "BGR"),
        "channels_first": int(preprocess.layout == "NCHW" and not preprocess.inside),
        "scale": c_float(preprocess.scale),
        "mean": _each(preprocess.mean, preprocess.channels),
        "std": _each(preprocess.std, preprocess.channels),
        "fill": _fill(preprocess, source),
    }


def _each(values: tuple[float, ...], channels: int) -> str:
    """Returns one number for each channel."""
    return ", ".join(c_float(v) for v in (values * channels if len(values) == 1 else values))


def _fill(given: Preprocess, channels: int) -> str:
    """Returns the pixel outside the picture: of a crop black, of a letterbox what is said."""
    if given.fit != "letterbox":
        return ", ".join("0" * channels)
    values = (given.fill * channels)[:channels]
    return ", ".join(str(int(np.rint(v))) if given.whole else c_float(v) for v in values)
