"""Weights by their names, from files: safetensors, and what ``torch.save`` wrote, which is not unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.boundary import read_tensors
from edgeopt.boundary.pickles import Described
from edgeopt.errors import InputError
from edgeopt.sources.torch_save import RESAVE, read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

__all__ = ["module_state", "read_state"]

MAX_LAYERS, MAX_PATH, MAX_DEPTH = 100_000, 500, 8
_KEYS = (
    "state_dict",
    "model",
    "model_state_dict",
    "model_state",
    "state_dict_ema",
    "ema",
    "module",
)
"""Where training scripts put the weights, beside an optimizer's state and so on."""


def read_state(path: Path | str) -> dict[str, torch.Tensor]:
    """Returns the weights by their names in a ``.safetensors``, ``.pt``, ``.pth`` or ``.bin`` file.

    Nothing in the file is run: a pickle's calls are read, not made (`read_checkpoint`). Of a pickled module the
    parameters and buffers are taken, of a training checkpoint its weights.

    Args:
        path: The file.

    Raises:
        InputError: There is none, it is damaged, or holds no weights.
    """
    if Path(path).suffix == ".safetensors":
        return read_tensors(path)
    return _weights_in(read_checkpoint(path), str(path))


def module_state(module: Described, where: str = "checkpoint") -> dict[str, torch.Tensor]:
    """Returns the parameters and buffers of a module that was pickled whole, by their names.

    Args:
        module: The description of it.
        where: The file, for the error.

    Raises:
        InputError: It is no module of torch.
    """
    state: dict[str, torch.Tensor] = {}
    todo: list[tuple[str, Any]] = [("", module)]
    count = 0
    while todo:
        prefix, one = todo.pop()
        count += 1
        inside = one.state if isinstance(one, Described) else None
        fits = len(prefix) <= MAX_PATH and count <= MAX_LAYERS  # a module may hold itself
        if not isinstance(inside, dict) or not isinstance(inside.get("_modules"), dict) or not fits:
            what = f"{prefix[:80] or 'an object'} is no torch.nn.Module"
            raise InputError(what, where=where, hint=RESAVE)
        layers = inside["_modules"].items()
        todo += [(f"{prefix}{name}.", part) for name, part in layers if part is not None]
        state |= {f"{prefix}{name}": tensor for name, tensor in _own_tensors(inside, where)}
    return state


def _own_tensors(inside: dict[str, Any], where: str) -> Iterator[tuple[str, torch.Tensor]]:
    import torch  # noqa: PLC0415 (heavy)

    passing = inside.get("_non_persistent_buffers_set")
    for part in ("_parameters", "_buffers"):
        table = inside.get(part) or {}
        if not isinstance(table, dict):
            raise InputError(f"{part} is no table", where=where, hint=RESAVE)
        for name, tensor in table.items():
            if tensor is None or (isinstance(passing, set) and name in passing):
                continue
            if not isinstance(tensor, torch.Tensor):
                what = f"{name} is no tensor"[:200]
                raise InputError(what, where=where, hint=RESAVE)
            yield name, tensor


def _weights_in(content: Any, where: str, depth: int = 0) -> dict[str, torch.Tensor]:
    import torch  # noqa: PLC0415 (heavy)

    if isinstance(content, Described):
        return module_state(content, where)
    if isinstance(content, dict) and depth < MAX_DEPTH:
        tensors = {n: t for n, t in content.items() if isinstance(t, torch.Tensor)}
        if tensors and all(isinstance(name, str) for name in tensors):
            return tensors
        for key in _KEYS:
            if content.get(key) is not None:
                return _weights_in(content[key], where, depth + 1)
    what = f"it holds no weights but a {type(content).__name__}"
    raise InputError(what, where=where, hint=RESAVE)
