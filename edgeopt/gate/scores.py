"""Scores that a softmax reads: whether rounding moves them by as much as they tell apart.

A softmax of scores that are off by e is off by a factor of e^e. Where scores are large, one of a row takes
all, and what rounding does to them cannot be seen in outputs unless the two largest lie near each other:
most samples are right, and in the next one another takes all. So the scores themselves are compared: the
distance of each row's two largest, in float and rounded.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from edgeopt.ir.source import operator_name, source_line

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ScoreError", "Scores", "reads_scores", "score_errors"]

aten = torch.ops.aten

MOVED = 0.5
"""What the distance may be off by (root mean square): a ratio of two probabilities of e^0.5 = 1.6."""
SHARE = 0.01
"""The same beside the usual distance. Distances are spread evenly near 0, so that about this share of rows
has another largest score."""


class ScoreError(msgspec.Struct, frozen=True):
    """A softmax whose largest scores rounding moves.

    Attributes:
        operator: What reads the scores.
        value: Name of its result.
        source: ``file:line`` of the model's code, where known.
        distance: Median distance of the two largest scores of a row, in float.
        moved: How far rounding moves that distance: root mean square over all rows.
    """

    operator: str
    value: str
    source: str
    distance: float
    moved: float

    def __str__(self) -> str:
        at = f" at {self.source}" if self.source else ""
        return (
            f"{self.value} ({self.operator}{at}): the two largest scores of a row usually lie "
            f"{self.distance:.3g} apart, and rounding moves that by {self.moved:.3g}"
        )


class Scores:
    """Keeps how far the two largest scores of each row lie apart, of every softmax that a program runs.

    Args:
        like: Of the float program: keeps the distance of those that are the largest there. None for
            the float program itself.
    """

    def __init__(self, like: Scores | None = None) -> None:
        self.nodes: dict[str, torch.fx.Node] = {}
        self.distances: dict[str, list[torch.Tensor]] = defaultdict(list)
        self._like = like
        self.places: dict[str, list[torch.Tensor]] = defaultdict(list)

    def watch(self, node: torch.fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Is told of each operator, and of what it is called with, before it is run."""
        if not reads_scores(node):
            return
        rows = _rows(node, args, kwargs)
        if rows.shape[-1] < 2 or not rows.numel():  # noqa: PLR2004 (there must be two)
            return
        run = len(self.distances[node.name])
        if self._like is None:
            self.places[node.name].append(rows.topk(2).indices)
            place = self.places[node.name][run]
        elif run < len(self._like.places[node.name]):
            place = self._like.places[node.name][run]
        else:
            return
        first, second = rows.gather(-1, place).unbind(-1)
        self.nodes[node.name] = node
        self.distances[node.name].append((first - second).reshape(-1))


def reads_scores(node: torch.fx.Node) -> bool:
    """Returns whether ``node`` takes a softmax of what it reads."""
    return node.target in (aten.softmax.int, aten.scaled_dot_product_attention.default)


def score_errors(exact: Scores, rounded: Scores) -> tuple[ScoreError, ...]:
    """Returns the softmaxes whose scores are not known as well as they are told apart.

    Args:
        exact: Of the float program.
        rounded: Of the quantized one, on the same samples.
    """
    return tuple(_errors(exact, rounded))


def _errors(exact: Scores, rounded: Scores) -> Iterator[ScoreError]:
    for name, node in rounded.nodes.items():
        want = torch.cat(exact.distances[name]).double()
        have = torch.cat(rounded.distances[name]).double()
        # A row of which all but one are hidden has no second.
        there = want.isfinite() & have.isfinite()
        if not bool(there.any()):
            continue
        distance = float(want[there].median())
        moved = float((have - want)[there].square().mean().sqrt())
        if moved >= MOVED and moved >= SHARE * distance:
            yield ScoreError(operator_name(node), name, source_line(node), distance, moved)


def _rows(node: torch.fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
    """Returns the scores that ``node`` takes the softmax of along the last axis."""
    if node.target is aten.softmax.int:
        return args[0].movedim(args[1], -1)  # type: ignore[no-any-return]
    return _attention_scores(*args, **kwargs)


def _attention_scores(
    query: torch.Tensor,
    key: torch.Tensor,
    _value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    _dropout_p: float = 0.0,
    is_causal: bool = False,  # noqa: FBT001, FBT002 (torch's)
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = query @ key.transpose(-1, -2) * factor
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if attn_mask is None:
        return scores
    if attn_mask.dtype is torch.bool:
        return scores.masked_fill(~attn_mask, -torch.inf)
    return scores + attn_mask
