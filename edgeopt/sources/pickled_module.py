"""A module that was pickled whole, put into one of the same classes that was built anew.

Unpickling would bring back every attribute of every layer: an architecture that is built anew by another
version of its library may have others. So what decides what a layer computes is compared, plain values are
taken over, and layers of other classes are refused, but for activations, which are exchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.boundary.pickles import Described
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

__all__ = ["restore_module"]

_MAX_LAYERS, _MAX_ITEMS = 100_000, 64
_ACTIVATIONS = {
    *("ELU", "GELU", "Hardsigmoid", "Hardswish", "Hardtanh", "Identity", "LeakyReLU", "Mish"),
    *("ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus", "Tanh"),
}
"""Layers of torch.nn without weights that stand where an activation is."""
_HINT = "export it with the version of the library that wrote it, or pass package.module:function"


def restore_module(module: torch.nn.Module, kept: Described, where: str) -> None:
    """Gives ``module`` the plain attributes and the activations of the one in a checkpoint; no weights.

    Args:
        module: Built anew, of the same architecture.
        kept: The one in the checkpoint.
        where: The file, for the error.

    Raises:
        InputError: A layer is of another class, or there are others.
    """
    todo: list[tuple[str, torch.nn.Module, Described]] = [("", module, kept)]
    count = 0
    while todo:
        path, layer, described = todo.pop()
        count += 1
        state = described.state
        if not isinstance(state, dict) or count > _MAX_LAYERS:
            raise InputError(f"{path or 'the model'} is no torch.nn.Module", where=where)
        _take_attributes(layer, state)
        for name, one, inner in _children(layer, state, f"{where}, {path or 'model'}"):
            todo.append((f"{path}.{name}".strip("."), one, inner))


def _children(
    layer: torch.nn.Module, state: dict[str, Any], where: str
) -> Iterator[tuple[str, torch.nn.Module, Described]]:
    """Yields name, layer and description of what is below a layer; activations are exchanged first."""
    layers = state.get("_modules")
    for name, inner in (layers if isinstance(layers, dict) else {}).items():
        if inner is None:
            continue
        one = layer._modules.get(name)  # noqa: SLF001 (activations are shared, which named_children leaves out)
        if one is None or not isinstance(inner, Described):
            what = f"{name}: this version of the library builds no such layer"
            raise InputError(what, where=where, hint=_HINT)
        if type(one).__name__ != inner.kind.rpartition(".")[2]:
            one = _activation(one, inner, f"{where}, {name}")
            setattr(layer, name, one)
        yield name, one, inner


def _activation(one: torch.nn.Module, inner: Described, where: str) -> torch.nn.Module:
    """Returns the activation that a checkpoint has in the place of another one."""
    import torch  # noqa: PLC0415 (heavy)

    module, _, name = inner.kind.rpartition(".")
    known = module.startswith("torch.nn.modules.") and name in _ACTIVATIONS
    if not known or type(one).__name__ not in _ACTIVATIONS:
        what = f"it is a {name}, this version of the library builds a {type(one).__name__}"
        raise InputError(what[:200], where=where, hint=_HINT)
    exchanged: torch.nn.Module = getattr(torch.nn, name)()
    return exchanged.train(one.training)


def _take_attributes(layer: torch.nn.Module, state: dict[str, Any]) -> None:
    """Gives a layer the numbers and texts that decide what it computes, as unpickling would."""
    for name, value in state.items():
        if name.startswith("_") or name == "training" or not _is_plain(value):
            continue
        own = getattr(type(layer), name, None)
        if not callable(own) and not isinstance(own, property):
            setattr(layer, name, value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return len(value) <= _MAX_ITEMS and all(_is_plain(one) for one in value)
    return value is None or isinstance(value, (bool, int, float, str))
