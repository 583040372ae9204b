"""What surrounds a call of the user's module while it is traced."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch
from torch.distributions import Distribution
from torch.nn.modules import transformer

from edgeopt.ir.packing import padded_packing

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["traced", "tried"]

_PLAIN = {
    "use_cache": (True, False),
    # Experts read as many tokens as choose them; batched, each token reads the weights that it chooses.
    "_experts_implementation": ("grouped_mm", "batched_mm"),
}
"""Names in a configuration with the value that is replaced, and by what."""
_CONTAINERS = (dict, OrderedDict, defaultdict, list, set, deque)


@contextmanager
def traced(model: torch.nn.Module) -> Iterator[None]:
    """Lets ``model`` be traced, and leaves it as it was.

    Caches that transformers' models return to go on from are off meanwhile: a program remembers nothing. Their
    experts compute in the form whose shapes do not depend on values.
    """
    with _unchanged(model), _without_checks(), _as_plain(model), padded_packing():
        yield


@contextmanager
def tried(model: torch.nn.Module) -> Iterator[None]:
    """Lets ``model`` be called as it is traced, on numbers, and puts back what it writes and draws."""
    own = (*model.parameters(), *model.buffers())
    copies = [(tensor, tensor.data, tensor.data.clone()) for tensor in own]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]), traced(model):
            yield
    finally:
        for tensor, data, before in copies:
            tensor.data = data
            data.copy_(before)


@contextmanager
def _unchanged(model: torch.nn.Module) -> Iterator[None]:
    """Puts every attribute of the modules back: a forward may keep tensors, and those of a trace hold nothing.

    So it is with what the first call registers: hooks that stayed would be registered again by the first real one.
    """
    copies = [(container, copy(container)) for container in _containers(model)]
    try:
        yield
    finally:
        for container, contents in copies:
            container.clear()
            container.extend(contents) if hasattr(container, "extend") else container.update(
                contents
            )


def _containers(model: torch.nn.Module) -> list[Any]:
    """Returns what the modules hold their attributes in, and all containers among these, each once."""
    containers: dict[int, Any] = {}
    waiting: list[Any] = [module.__dict__ for module in model.modules()]
    while waiting:
        container = waiting.pop()
        if type(container) in _CONTAINERS and id(container) not in containers:
            containers[id(container)] = container
            waiting += container.values() if isinstance(container, dict) else container
    return list(containers.values())


@contextmanager
def _as_plain(model: torch.nn.Module) -> Iterator[None]:
    """Sets what configurations of transformers' models choose to what has a fixed shape and no memory."""
    configs = {id(c): c for m in model.modules() if (c := getattr(m, "config", None)) is not None}
    changed = [
        (config, name, value)
        for config in configs.values()
        for name, (value, _) in _PLAIN.items()
        if getattr(config, name, None) == value
    ]
    for config, name, _ in changed:
        setattr(config, name, _PLAIN[name][1])
    try:
        yield
    finally:
        for config, name, value in changed:
            setattr(config, name, value)


@contextmanager
def _without_checks() -> Iterator[None]:
    """Leaves out what torch's own code decides on values, and what does not change the result.

    `torch.nn.Transformer` looks whether a mask is a causal one, to take a faster kernel; distributions
    look whether their parameters are valid; `torch.nn.Module.to`, called within a model, swaps its parameters for
    the same ones.
    """
    move = torch.nn.Module.to

    def moved(module: torch.nn.Module, *args: Any, **kwargs: Any) -> torch.nn.Module:
        place: Any = torch._C._nn._parse_to(*args, **kwargs)  # noqa: SLF001 (no public name)
        device, dtype = place[:2]
        is_there = (device is None or device.type == "cpu") and dtype in (None, torch.float32)
        return module if is_there else move(module, *args, **kwargs)

    told = mock.patch.object(transformer, "_detect_is_causal_mask", _as_told)
    stays = mock.patch.object(torch.nn.Module, "to", moved)
    with told, stays, mock.patch.object(Distribution, "_validate_args", False):  # noqa: FBT003 (the value)
        yield


def _as_told(mask: Any, is_causal: Any = None, size: Any = None) -> bool:
    """A mask says by itself what it hides."""
    del mask, size
    return bool(is_causal)
