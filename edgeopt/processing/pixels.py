"""A model that takes pixels as a camera gives them: what normalizes them is part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.errors import InputError

if TYPE_CHECKING:
    from edgeopt.options import Preprocess

__all__ = ["PixelInput", "pixel_example", "pixel_input"]


class PixelInput(torch.nn.Module):
    """Takes uint8 pixels, (1, height, width, channels) in RGB, and hands the model its input.

    It computes ``pixel * (scale / std) - mean / std``: two operators, where
    ``(pixel * scale - mean) / std`` has three; the last bit of a float may differ.

    Attributes:
        model: What takes the input.
    """

    factor: torch.Tensor
    shift: torch.Tensor

    def __init__(self, model: torch.nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.model = model
        self._color = preprocess.color
        self._layout = preprocess.layout
        mean, std = (
            torch.tensor(v, dtype=torch.float64) for v in (preprocess.mean, preprocess.std)
        )
        self.register_buffer("factor", (preprocess.scale / std).to(torch.float32))
        self.register_buffer("shift", (mean / std).to(torch.float32))
        self.train(model.training)

    def forward(self, pixels: torch.Tensor) -> Any:
        """Returns what the model does of the picture.

        Args:
            pixels: (1, height, width, channels) uint8.
        """
        ordered = pixels.flip(-1) if self._color == "BGR" else pixels
        values = ordered.to(torch.float32) * self.factor - self.shift
        return self.model(values.permute(0, 3, 1, 2) if self._layout == "NCHW" else values)


def pixel_input(model: Any, preprocess: Preprocess) -> PixelInput:
    """Returns ``model`` with the normalization of pixels in front of it.

    Args:
        model: A module that takes one picture, normalized.
        preprocess: How it is normalized: scale, mean, std, color and layout.

    Raises:
        InputError: It is no module: what was captured already cannot be changed so.
    """
    if isinstance(model, PixelInput):
        return model
    if not isinstance(model, torch.nn.Module) or not callable(getattr(model, "forward", None)):
        what = f"a {type(model).__name__} cannot get a normalization in front of it"
        hint = "pass the module, or capture edgeopt.pixel_input(module, preprocess)"
        raise InputError(what, where="preprocess.inside", hint=hint)
    return PixelInput(model, preprocess)


def pixel_example(preprocess: Preprocess, example: Any = None) -> torch.Tensor:
    """Returns pixels like those that the model will take.

    Args:
        preprocess: How a picture becomes them.
        example: Pixels, which are taken as they are, or an input as the model alone takes it, for its
            size; None where ``preprocess`` makes pictures of one size.

    Raises:
        InputError: The size is not known.
    """
    if isinstance(example, (tuple, list)) and len(example) == 1:
        example = example[0]
    if isinstance(example, torch.Tensor) and example.dtype is torch.uint8:
        return example
    size = preprocess.size
    if isinstance(example, torch.Tensor) and example.ndim == len("NCHW"):
        size = tuple(example.shape[2:] if preprocess.layout == "NCHW" else example.shape[1:3])
    if len(size) != 2:  # noqa: PLR2004 (height and width)
        hint = "pass resize=(height, width) or crop=, or uint8 pixels as example_inputs"
        raise InputError("the size of the pictures is not known", where="preprocess", hint=hint)
    return torch.full((1, *size, preprocess.channels), 127, dtype=torch.uint8)
