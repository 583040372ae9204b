"""What is deployed where the normalization of pictures is to be part of the artefact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.errors import InputError
from edgeopt.ir import Program
from edgeopt.options import Preprocess
from edgeopt.processing.pixels import PixelInput, pixel_example, pixel_input

if TYPE_CHECKING:
    from edgeopt.deployment.request import Request

__all__ = ["refuse_pixels", "with_pixels"]


def with_pixels(model: Any, request: Request) -> tuple[Any, Request]:
    """Returns the model that takes pixels, and the request for it, where ``inside`` asks for that.

    A Program stays as it is: whether it takes pixels is seen when the bundle is written.

    Raises:
        InputError: The model is of a kind that nothing can be put in front of.
    """
    preprocess = request.bundle.preprocess
    if not isinstance(preprocess, Preprocess) or not preprocess.inside or model is None:
        return model, request

    if isinstance(model, (Program, PixelInput)):
        return model, request
    wrapped = pixel_input(model, preprocess)
    bundle = request.bundle.replace(preprocess=preprocess.replace(input=""))
    example = pixel_example(preprocess, request.example_inputs)
    return wrapped, request.replace(bundle=bundle, example_inputs=example)


def refuse_pixels(request: Request) -> None:
    """Refuses ``inside`` beside a recipe, whose steps train on what the model itself takes.

    Raises:
        InputError: It is asked for.
    """
    preprocess = request.bundle.preprocess
    if isinstance(preprocess, Preprocess) and preprocess.inside:
        hint = "pass edgeopt.pixel_input(model, preprocess) and pixels as data, or leave inside out"
        raise InputError("a recipe trains on normalized pictures", where="preprocess", hint=hint)
