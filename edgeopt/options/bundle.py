"""What a user may choose about the bundle that is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from edgeopt.options.base import Options
from edgeopt.options.kinds import Count, Lines, Threads
from edgeopt.registry.schema import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["BundleOptions", "Preprocess"]


class Preprocess(Options, frozen=True):
    """How a picture becomes an input: resize, centre crop, then ``(pixel * scale - mean) / std``.

    Attributes:
        input: Name of the input.
        resize: ``(height, width)``, or one number for the shorter side; empty for none.
        crop: ``(height, width)`` cut out of the middle; empty for none.
        scale: Factor on the pixels, which are 0 to 255.
        mean: Subtracted, one number a channel.
        std: Divided by, one number a channel.
        color: Order of the channels.
        layout: Of the input.
        interpolation: Of the resize.
    """

    input: str
    resize: Annotated[tuple[Count, ...], Meta(max_length=2)] = ()
    crop: Annotated[tuple[Count, ...], Meta(max_length=2)] = ()
    scale: float = 1.0 / 255.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    color: Literal["RGB", "BGR", "L"] = "RGB"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"

    def conflicts(self) -> Iterable[Problem]:
        """Returns what has no meaning: half a crop, a division by zero."""
        if len(self.crop) == 1:
            yield Problem("crop", "expected height and width, got one number")
        if 0.0 in self.std:
            yield Problem("std", "is divided by: expected numbers other than 0")


class BundleOptions(Options, frozen=True):
    """What the bundle holds beside the model.

    Attributes:
        name: How people call the bundle.
        labels: The classes' names; the bundle's runner then prints them.
        preprocess: How a picture becomes an input; the bundle's runner then takes pictures.
        overwrite: Whether a bundle that lies at ``output`` may be replaced.
        with_runtime: Whether the bundle holds the wheels that the device needs, for one without a
            network.
    """

    name: str | None = None
    labels: Lines | None = None
    preprocess: Preprocess | None = None
    threads: Threads = 0
    overwrite: bool = False
    with_runtime: bool = False
