"""Calls a student and a teacher on the same batch, and finds the logits in what they return."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from edgeopt.errors import InputError

__all__ = ["call_model", "class_axis", "find_logits"]

MAPS = 4
"""Dimensions of scores over a picture: (batch, classes, height, width)."""


def call_model(model: Any, inputs: Any, *, named: torch.nn.Module, attentions: bool) -> Any:
    """Returns what ``model`` makes of ``inputs``.

    Args:
        model: What is called (perhaps wrapped for several devices).
        inputs: A tensor, a tuple of them, or a dict by argument name; entries of a dict that the
            model has no argument for are left out (a student may take fewer than its teacher).
        named: The module whose forward names the arguments.
        attentions: Whether to ask a Hugging Face model for its attention maps.
    """
    extra = {"output_attentions": True} if attentions else {}
    if isinstance(inputs, Mapping):
        known = inspect.signature(named.forward).parameters
        takes_all = any(p.kind is p.VAR_KEYWORD and p.name != "kwargs" for p in known.values())
        return model(**{k: v for k, v in inputs.items() if takes_all or k in known}, **extra)
    if isinstance(inputs, (tuple, list)):
        return model(*inputs, **extra)
    return model(inputs, **extra)


def find_logits(output: Any, whose: str) -> torch.Tensor:
    """Returns the scores of the classes in ``output``.

    Raises:
        InputError: There are none to be found.
    """
    if isinstance(output, torch.Tensor):
        return output
    held = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if held is None and isinstance(output, (tuple, list)) and output:
        held = output[0]
    if isinstance(held, torch.Tensor):
        return held
    raise InputError(
        f"it returns {type(output).__name__}, in which no logits are found",
        where=whose,
        hint="return a tensor, a tuple with the logits first, or something with .logits; "
        "or pass logits_weight=0",
    )


def class_axis(logits: torch.Tensor) -> int:
    """Returns the axis that counts classes: 1 for scores over a picture, else the last."""
    return 1 if logits.ndim == MAPS else -1
