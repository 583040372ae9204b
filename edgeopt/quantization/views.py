"""A float program at each of the shapes that it is calibrated at: one quantization sees the values of all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch.utils import _pytree as pytree

from edgeopt.ir.reshaping import reshape_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgeopt.ir.program import Program

    Samples = Sequence[list[torch.Tensor]]

__all__ = ["View", "spread_views", "views_of"]


@dataclass(frozen=True, eq=False)
class View:
    """A program for inputs of one shape, with samples of it.

    Attributes:
        program: The program.
        samples: Each a list of tensors in the order of its signature; of a shape without data there are none.
        stands_for: Constant that is made for this shape to the one that the first shape has in its place.
    """

    program: Program
    samples: Samples
    stands_for: Mapping[str, str] = field(default_factory=dict)


def views_of(
    program: Program, original: Program, samples: Samples, others: Sequence[tuple[Program, Samples]]
) -> tuple[View, ...]:
    """Returns ``program`` at the first shape and at each other one.

    Args:
        program: What was made of ``original``, in float.
        original: As captured at the first shape.
        samples: Of the first shape.
        others: The same model as captured at another shape, with samples of that; each.

    Raises:
        CaptureError: The model is another network at a shape.
    """
    views = [View(program, samples)]
    for other, own in others:
        reshaped = reshape_program(program, original, other)
        views.append(View(reshaped, own, dict(_replaced(program, reshaped))))
    return tuple(views)


def _replaced(program: Program, reshaped: Program) -> Iterator[tuple[str, str]]:
    """Yields each constant that is read in the place of another one."""
    for node in program.graph.nodes:
        if node.op == "call_function":
            for was, now in zip(_read(node), _read(reshaped.node(node.name)), strict=True):
                if was.name != now.name:
                    yield now.name, was.name


def _read(node: torch.fx.Node) -> list[torch.fx.Node]:
    leaves = pytree.tree_leaves((node.args, dict(node.kwargs)))
    return [leaf for leaf in leaves if isinstance(leaf, torch.fx.Node)]


def spread_views(views: Sequence[View], count: int) -> tuple[View, ...]:
    """Returns the views with ``count`` samples in all, evenly spaced; one of each shape with data at least."""
    share = max(1, count // max(1, sum(len(view.samples) > 0 for view in views)))
    return tuple(
        View(view.program, _spread(view.samples, share), view.stands_for) for view in views
    )


def _spread(samples: Samples, count: int) -> Samples:
    if count >= len(samples):
        return samples
    return [samples[i * len(samples) // count] for i in range(count)]
