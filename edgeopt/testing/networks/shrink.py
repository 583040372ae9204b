"""The smallest network that still fails."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from edgeopt.testing.networks.network import Input, Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["shrink"]


def shrink(network: Network, fails: Callable[[Network], bool], tries: int = 60) -> Network:
    """Returns a smaller network for which ``fails`` is true, as it is for ``network``.

    Outputs are dropped, steps are passed over, and what comes before a step becomes an input.

    Args:
        network: One that fails.
        fails: Whether one fails in the same way.
        tries: How many are tried at most.
    """
    while True:
        for smaller in _smaller(network):
            if not tries:
                return network
            tries -= 1
            if _runs(smaller) and fails(smaller):
                network = smaller
                break
        else:
            return network


def _smaller(network: Network) -> Iterator[Network]:
    """Yields networks with less, those with much less first."""
    if len(network.outputs) > 1:
        yield from (replace(network, outputs=(n,)).live() for n in network.outputs)
    first = len(network.inputs)
    inner = range(first, first + len(network.steps))
    for n in inner:
        if n not in network.outputs or len(network.outputs) > 1:
            yield replace(network, outputs=(n,)).live()
    yield from (_with_input(network, n) for n in reversed(inner) if n not in network.outputs)
    for n in inner:
        for argument in network.steps[n - first].args:
            yield _without(network, n, argument)


def _without(network: Network, gone: int, instead: int) -> Network:
    """Returns it with the value ``instead`` wherever ``gone`` was read."""
    steps = tuple(
        replace(s, args=tuple(instead if n == gone else n for n in s.args)) for s in network.steps
    )
    outputs = tuple(instead if n == gone else n for n in network.outputs)
    return Network(network.inputs, steps, outputs).live()


def _with_input(network: Network, at: int) -> Network:
    """Returns it with an input of the same spread where value ``at`` was computed."""
    value = _values(network)[at]
    first = len(network.inputs)
    if value.is_floating_point():
        size = float(value.abs().mean()) or 1.0
        text = f"torch.randn({tuple(value.shape)}) * {size:.3g}"
    elif value.dtype == torch.bool:
        text = f"torch.rand({tuple(value.shape)}) > 0.5"
    else:
        text = (
            f"torch.randint(0, {int(value.max()) + 1}, {tuple(value.shape)}, dtype={value.dtype})"
        )
    moved = tuple(
        replace(s, args=tuple(first if n == at else n + (n >= first) for n in s.args))
        for s in network.steps
    )
    outputs = tuple(n + (n >= first) for n in network.outputs)
    return Network((*network.inputs, Input(text)), moved, outputs).live()


def _values(network: Network) -> list[torch.Tensor]:
    every = tuple(range(len(network.inputs), len(network.inputs) + len(network.steps)))
    (sample,) = network.samples(1, 0)
    with torch.no_grad():
        results = replace(network, outputs=every).module()(*sample)
    results = results if isinstance(results, tuple) else (results,)
    return [*sample, *results]


def _runs(network: Network) -> bool:
    if not network.steps or any(n < len(network.inputs) for n in network.outputs):
        return False
    try:
        values = _values(network)
    except (RuntimeError, ValueError, IndexError, TypeError):
        return False
    return all(bool(torch.isfinite(values[n].float()).all()) for n in network.outputs)
