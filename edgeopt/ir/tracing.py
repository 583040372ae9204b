"""What surrounds a call of the user's module while it is traced."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any
from unittest import mock

from torch.distributions import Distribution
from torch.nn.modules import transformer

from edgeopt.ir.packing import padded_packing

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

__all__ = ["traced"]

_CONTAINERS = (dict, OrderedDict, defaultdict, list, set, deque)


@contextmanager
def traced(model: torch.nn.Module) -> Iterator[None]:
    """Lets ``model`` be traced, and leaves it as it was.

    Caches that transformers' models return to go on from are off meanwhile: a program remembers nothing.
    """
    with _unchanged(model), _without_checks(), _without_caches(model), padded_packing():
        yield


@contextmanager
def _unchanged(model: torch.nn.Module) -> Iterator[None]:
    """Puts every attribute of the modules back: a forward may keep tensors, and those of a trace hold nothing.

    So it is with what the first call registers: hooks that stayed would be registered again by the first real one.
    """
    kept = [(container, copy(container)) for container in _containers(model)]
    try:
        yield
    finally:
        for container, contents in kept:
            container.clear()
            container.extend(contents) if hasattr(container, "extend") else container.update(
                contents
            )


def _containers(model: torch.nn.Module) -> list[Any]:
    """Returns what the modules hold their attributes in, and all containers among these, each once."""
    found: dict[int, Any] = {}
    waiting: list[Any] = [module.__dict__ for module in model.modules()]
    while waiting:
        container = waiting.pop()
        if type(container) in _CONTAINERS and id(container) not in found:
            found[id(container)] = container
            waiting += container.values() if isinstance(container, dict) else container
    return list(found.values())


@contextmanager
def _without_caches(model: torch.nn.Module) -> Iterator[None]:
    configs = {id(c): c for m in model.modules() if (c := getattr(m, "config", None)) is not None}
    caching = [config for config in configs.values() if getattr(config, "use_cache", None) is True]
    for config in caching:
        config.use_cache = False
    try:
        yield
    finally:
        for config in caching:
            config.use_cache = True


@contextmanager
def _without_checks() -> Iterator[None]:
    """Leaves out what torch's own code decides on values, and what does not change the result.

    `torch.nn.Transformer` looks whether a mask is a causal one, to take a faster kernel; distributions
    look whether their parameters are valid.
    """
    told = mock.patch.object(transformer, "_detect_is_causal_mask", _as_told)
    with told, mock.patch.object(Distribution, "_validate_args", False):  # noqa: FBT003 (the value)
        yield


def _as_told(mask: Any, is_causal: Any = None, size: Any = None) -> bool:
    """A mask says by itself what it hides."""
    del mask, size
    return bool(is_causal)
