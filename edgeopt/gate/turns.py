"""Comparisons and steps that rounding may turn, and how often.

A number that rounding moves across a limit is one whole step of what the model makes of it. Where that happens
once in a hundred samples, the samples of the gate hold none, and say nothing of it. So the compared numbers
themselves are looked at: how far they are moved, and how densely they lie next to their limit. Where many turn,
the outputs show what that does.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from edgeopt.ir.operators import traits_of
from edgeopt.ir.source import operator_name, source_line

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Comparisons", "Turn", "compares", "turns"]

aten = torch.ops.aten

SEEN = 10
"""So many that turn are seen in the outputs."""

RARE = 1e-3
"""Numbers turned a sample; fewer are not told of."""

NEXT = 0.05
"""The share of numbers that tell how densely they lie at the limit."""

SPREAD = 0.4
"""Of a density times a standard deviation of normal errors, what is on the other side of a limit: 1 / sqrt(2 pi)."""


class Turn(msgspec.Struct, frozen=True):
    """A comparison that rounding may turn on other inputs.

    Attributes:
        operator: What compares, or goes in steps.
        value: Name of its result.
        source: ``file:line`` of the model's code, where known.
        turned: How many numbers lie on the other side of their limit when rounded.
        count: How many were compared.
        moved: How far rounding moves them: root mean square.
        expected: How many turn in a sample, as they lie.
    """

    operator: str
    value: str
    source: str
    turned: int
    count: int
    moved: float
    expected: float

    def __str__(self) -> str:
        at = f" at {self.source}" if self.source else ""
        return (
            f"{self.value} ({self.operator}{at}): rounding moves what it compares by {self.moved:.3g}, past a "
            f"limit about {self.expected:.2g} times a sample; {self.turned} of {self.count} numbers here"
        )


class Comparisons:
    """Keeps how far compared numbers lie from a limit of theirs, of every comparison that a program runs."""

    def __init__(self) -> None:
        self.nodes: dict[str, torch.fx.Node] = {}
        self.distances: dict[str, list[torch.Tensor]] = defaultdict(list)

    def watch(self, node: torch.fx.Node, args: tuple[Any, ...], _: dict[str, Any]) -> None:
        """Is told of each operator, and of what it is called with, before it is run."""
        if compares(node):
            self.nodes[node.name] = node
            self.distances[node.name].append(_distances(node, args).reshape(-1))


def compares(node: torch.fx.Node) -> bool:
    """Returns whether ``node`` asks on which side of a limit real numbers lie: integers are not rounded."""
    limited = traits_of(node).jumps in ("order", "whole") or node.target is aten.sign.default
    if not limited:
        return False
    first: Any = node.args[0]
    return bool(first.meta["val"].is_floating_point())


def _distances(node: torch.fx.Node, args: tuple[Any, ...]) -> torch.Tensor:
    """Returns how far numbers lie beyond their limit, or, of steps, beyond one of their limits."""
    if traits_of(node).jumps == "order":
        return args[0] - args[1]  # type: ignore[no-any-return]
    return args[0] + 0.5 if node.target is aten.round.default else args[0]  # type: ignore[no-any-return]


def turns(exact: Comparisons, rounded: Comparisons) -> tuple[Turn, ...]:
    """Returns the comparisons that may turn, and of which the outputs do not show what that does.

    Args:
        exact: Of the float program.
        rounded: Of the quantized one, on the same samples.
    """
    return tuple(_turns(exact, rounded))


def _turns(exact: Comparisons, rounded: Comparisons) -> Iterator[Turn]:
    for name, node in rounded.nodes.items():
        if name not in exact.distances:
            continue
        want = torch.cat(exact.distances[name]).double()
        have = torch.cat(rounded.distances[name]).double()
        there = want.isfinite() & have.isfinite()
        want, have = want[there], have[there]
        if not want.numel() or torch.equal(want, have):
            continue
        samples = len(exact.distances[name])
        one = _turn(node, want, have, samples)
        if one.turned < SEEN and one.expected >= RARE:
            yield one


def _turn(node: torch.fx.Node, want: torch.Tensor, have: torch.Tensor, samples: int) -> Turn:
    moved = float((have - want).square().mean().sqrt())
    steps = traits_of(node).jumps == "whole"
    distances = (want - want.round() if steps else want)[want != have].abs().sort().values
    nearest = math.ceil(NEXT * len(distances))
    density = nearest / max(float(distances[nearest - 1]), moved)
    turned = int(((want.floor() != have.floor()) if steps else (want > 0) != (have > 0)).sum())
    expected = SPREAD * density * moved / samples
    place = source_line(node)
    return Turn(operator_name(node), node.name, place, turned, want.numel(), moved, expected)
