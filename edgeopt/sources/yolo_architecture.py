"""An architecture of ultralytics, read from a foreign file and checked before the library builds it.

Its parser looks up layers by name in its own module and in ``torch.nn`` and evaluates an activation
as Python. So a file that names anything but layers must not reach it.
Source: ``parse_model`` in ultralytics/nn/tasks.py.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["checked_architecture"]

_MAX_LAYERS, _MAX_REPEATS, _MAX_NUMBER, _MAX_TEXT = 1000, 200, 1 << 20, 64
_ACTIVATION = re.compile(
    r"(torch\.)?nn\.[A-Z][A-Za-z0-9]*\(\s*((\w+\s*=\s*)?(True|False|-?[0-9.]+)\s*,?\s*)*\)"
)
_ROW = 4
"""From which layers, how often, which layer, with which arguments."""
_REFUSED = {"TorchVision"}
"""Layers that would fetch weights of their own."""
_FIELDS = {
    *(
        "nc",
        "scales",
        "backbone",
        "head",
        "depth_multiple",
        "width_multiple",
        "kpt_shape",
        "scale",
        "activation",
    ),
    *(
        "end2end",
        "reg_max",
        "yaml_file",
        "ch",
        "channels",
        "text_model",
        "flip_idx",
        "nc_per_level",
        "kpt_names",
    ),
}


def checked_architecture(found: Any, tasks: Any, where: str) -> dict[str, Any]:
    """Returns a model's dictionary that holds nothing but layers, numbers and short texts.

    Args:
        found: What a ``.yaml`` or a checkpoint says.
        tasks: The module ``ultralytics.nn.tasks``, in which its parser looks layers up.
        where: The file, for the error.

    Raises:
        InputError: It names something else than a layer, or is damaged.
    """
    if not isinstance(found, dict) or not all(
        isinstance(found.get(part), list) for part in ("backbone", "head")
    ):
        raise InputError("no architecture of ultralytics: it has no backbone and head", where=where)
    fields = {key: value for key, value in found.items() if key in _FIELDS}
    layers = [*fields["backbone"], *fields["head"]]
    if len(layers) > _MAX_LAYERS:
        raise InputError(f"{len(layers)} layers, more than {_MAX_LAYERS}", where=where)
    for number, layer in enumerate(layers):
        _check_layer(layer, tasks, f"{where}, layer {number}")
    activation = fields.get("activation")
    if activation is not None and not _ACTIVATION.fullmatch(str(activation)):
        raise InputError(f"activation: {activation!r} is no layer of torch.nn"[:200], where=where)
    for value in _values({key: one for key, one in fields.items() if key != "activation"}):
        _check_value(value, where)
    return fields


def _check_layer(layer: Any, tasks: Any, where: str) -> None:
    import torch  # noqa: PLC0415 (heavy)

    is_row = isinstance(layer, (list, tuple)) and len(layer) == _ROW
    if not is_row or not isinstance(layer[3], (list, tuple)):
        raise InputError("expected [from, repeats, layer, arguments]", where=where)
    _, repeats, name, _ = layer
    if type(repeats) is not int or not 0 < repeats <= _MAX_REPEATS:
        raise InputError(f"{repeats!r} repeats"[:80], where=where)
    named = str(name)
    inside = torch.nn if named.startswith("nn.") else tasks
    kind = getattr(inside, named.removeprefix("nn."), None) if isinstance(name, str) else None
    is_layer = isinstance(kind, type) and issubclass(kind, torch.nn.Module)
    if (
        not is_layer
        or named in _REFUSED
        or not kind.__module__.startswith(("torch.nn.", "ultralytics.nn.modules."))
    ):
        hint = "edgeopt builds networks of ultralytics' own layers; pass others as package.module:function"
        raise InputError(
            f"{named[:60]!r} is no layer of ultralytics or torch.nn", where=where, hint=hint
        )


def _values(value: Any) -> Iterator[Any]:
    """Yields what is in nested containers, keys too."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            todo += [*one.keys(), *one.values()]
        elif isinstance(one, (list, tuple)):
            todo += one
        else:
            yield one


def _check_value(value: Any, where: str) -> None:
    if value is None or isinstance(value, bool):
        return
    fits_number = isinstance(value, (int, float)) and abs(value) <= _MAX_NUMBER
    if not fits_number and not (isinstance(value, str) and len(value) <= _MAX_TEXT):
        raise InputError(f"{str(value)[:60]!r} is no number or short text", where=where)
