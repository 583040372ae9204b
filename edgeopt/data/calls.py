"""How a model is called: with a tensor, a tuple of them, or a dict by argument name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from edgeopt.errors import InputError

__all__ = [
    "Call",
    "as_call",
    "as_tensor",
    "call_model",
    "example_of",
    "forward_signature",
    "infer_example_inputs",
]

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and named arguments of one call."""


def as_call(inputs: Any) -> Call:
    """Returns ``(args, kwargs)`` for a tensor, an array, a tuple or list of them, or a dict."""
    if isinstance(inputs, Mapping):
        return (), {str(k): as_tensor(v) for k, v in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        return tuple(as_tensor(v) for v in inputs), {}
    return (as_tensor(inputs),), {}


def call_model(
    model: Any, inputs: Any, *, named: torch.nn.Module | None = None, **options: Any
) -> Any:
    """Returns what ``model`` makes of ``inputs``.

    Args:
        model: What is called (perhaps wrapped for several devices).
        inputs: As for `as_call`; entries of a dict that the model has no argument for are left out
            (a student may take fewer than its teacher).
        named: The module whose forward names the arguments; None takes every entry.
        **options: Further named arguments.
    """
    args, kwargs = as_call(inputs)
    forward = forward_signature(named)
    if forward is not None:
        parameters = forward.parameters
        # A forward's own ``**kwargs`` is for whatever its library passes on, not for labels.
        takes_all = any(p.kind is p.VAR_KEYWORD and p.name != "kwargs" for p in parameters.values())
        kwargs = {k: v for k, v in kwargs.items() if takes_all or k in parameters}
    return model(*args, **kwargs, **options)


def forward_signature(model: Any) -> inspect.Signature | None:
    """Returns names and order of a module's arguments; None where they cannot be known."""
    forward = getattr(model, "forward", None)
    try:
        return inspect.signature(forward) if forward is not None else None
    except (TypeError, ValueError):
        return None


def infer_example_inputs(model: Any) -> Any:
    """Returns inputs that the model itself names, or None where it names none.

    Looked at, in order: ``example_inputs`` of an ExportedProgram, Lightning's
    ``example_input_array``, the Hugging Face ``dummy_inputs``, timm's ``pretrained_cfg``.
    """
    example = example_of(getattr(model, "example_inputs", None))
    if example is not None:
        return example
    if getattr(model, "example_input_array", None) is not None:
        return model.example_input_array
    config = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None)
    if isinstance(config, Mapping) and "input_size" in config:
        return (torch.zeros(1, *config["input_size"]),)
    try:
        return getattr(model, "dummy_inputs", None)
    except Exception:  # noqa: BLE001 (a property of somebody else's model; absent is what it means)
        return None


def example_of(call: Any) -> Any:
    """Returns the inputs of a call ``(args, kwargs)``; None where it is none."""
    if not (isinstance(call, tuple) and len(call) == 2 and isinstance(call[1], dict)):  # noqa: PLR2004
        return None
    args, kwargs = call
    return kwargs if kwargs and not args else args


def as_tensor(value: Any) -> Any:
    """Returns an array as a tensor; one that torch cannot share (read-only, reversed) is copied.

    Raises:
        InputError: Torch has no such dtype.
    """
    if not isinstance(value, np.ndarray):
        return value
    shareable = value.flags.writeable and all(step >= 0 for step in value.strides)
    try:
        return torch.from_numpy(value if shareable else value.copy())
    except TypeError as error:
        raise InputError(f"an array of {value.dtype} is no tensor") from error
