"""Finds channel spaces: values whose channels can be rescaled together without a trace.

Between the nodes that make a value and those that read it, a positive factor a channel can be moved
from the weights of the consumers into those of the producers: relu, pooling, padding with zero, moves that
leave the channels in place and residual adds all commute with it. For a pair of layers this is the
equalization of Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction", 2019; with a layer norm as the producer it is Xiao et al., "SmoothQuant", 2023. Here a
space may have many producers and consumers, as the residual stream of a MobileNet has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir import ops
from edgeopt.ir.operators import traits_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.ir.program import Program

__all__ = ["ChannelSpace", "channel_spaces", "is_depthwise"]

aten = torch.ops.aten


@dataclass
class ChannelSpace:
    """Values that share their channels.

    Attributes:
        channels: How many.
        last: Whether channels are the last axis (tokens) or the second (images).
        values: Names of the values in it.
        producers: Names of the weighted operators and layer norms that write it, and of each ``alias`` that stands
            apart from a stream (`edgeopt.quantization.streams`): it becomes a product with the factors.
        consumers: Names of the weighted operators that read it.
        smoothing: Whether a layer norm or such an alias is among the producers.
    """

    channels: int
    last: bool
    values: list[str] = field(default_factory=list)
    producers: list[str] = field(default_factory=list)
    consumers: list[str] = field(default_factory=list)
    smoothing: bool = False


def is_depthwise(node: torch.fx.Node) -> bool:
    """Returns whether each channel of a convolution is filtered by itself."""
    if not ops.is_convolution(node):
        return False
    shape = node.args[1].meta["val"].shape  # type: ignore[union-attr]
    return bool(shape[1] == 1 and shape[0] == node.args[6])


def channel_spaces(program: Program) -> list[ChannelSpace]:
    """Returns the spaces of ``program`` that may be rescaled, images first, then tokens."""
    return [*_Finder(program, last=False).spaces(), *_Finder(program, last=True).spaces()]


class _Finder:
    """Joins values by union-find, for one place of the channel axis."""

    def __init__(self, program: Program, *, last: bool) -> None:
        self.program = program
        self.last = last
        self.parent: dict[str, str] = {}
        self.fixed = set(program.output_names)
        self.nodes = [n for n in program.graph.nodes if n.op != "output"]

    def spaces(self) -> list[ChannelSpace]:
        for node in self.nodes:
            if node.name not in self.program.constants:
                self._visit(node)
        candidates = self._collect()
        return [s for s in candidates if s.producers and s.consumers and s.channels > 1]

    def _find(self, name: str) -> str:
        self.parent.setdefault(name, name)
        while self.parent[name] != name:
            self.parent[name] = self.parent[self.parent[name]]
            name = self.parent[name]
        return name

    def _visit(self, node: torch.fx.Node) -> None:
        self._find(node.name)
        if self._makes(node):
            self.fixed.update(v.name for v in self._live(node) if not self._reads(node, v))
        elif self._moves(node):
            for value in self._live(node):
                self.parent[self._find(value.name)] = self._find(node.name)
        else:
            self.fixed.add(node.name)
            self.fixed.update(v.name for v in self._live(node))

    def _live(self, node: torch.fx.Node) -> Iterator[torch.fx.Node]:
        return (n for n in node.all_input_nodes if n.name not in self.program.constants)

    def _owns(self, nodes: Any) -> bool:
        operands = [n for n in nodes if n is not None]
        return all(n.name in self.program.constants and len(n.users) == 1 for n in operands)

    def _makes(self, node: torch.fx.Node) -> bool:
        """Whether channels of the output can be scaled through the node's own constants."""
        if ops.is_convolution(node):
            plain = node.args[6] == 1 or is_depthwise(node)
            return not self.last and plain and self._owns(ops.weighted_parts(node)[1:])
        if node.target is aten.linear.default:
            fits = self.last or node.meta["val"].ndim == 2  # noqa: PLR2004
            return fits and self._owns(ops.weighted_parts(node)[1:])
        if node.target is aten.alias.default:
            return self.last and all(map(_is_weighted, node.users))
        return self.last and _is_affine_norm(node) and self._owns(node.args[2:4])

    def _reads(self, node: torch.fx.Node, value: torch.fx.Node) -> bool:
        return ops.is_weighted(node) and value is node.args[0]

    def _moves(self, node: torch.fx.Node) -> bool:
        if node.target is aten.add.Tensor:
            inputs = node.all_input_nodes
            same = len({tuple(v.meta["val"].shape) for v in inputs}) == 1
            return same and len(list(self._live(node))) == len(inputs)
        axes = traits_of(node).channel_axes
        if "every" in axes:
            return True
        if self.last:
            return "last" in axes and _keeps_last(node)
        return "second" in axes and _keeps_second(node)

    def _collect(self) -> list[ChannelSpace]:
        fixed = {self._find(name) for name in self.fixed}
        spaces: dict[str, ChannelSpace] = {}
        for node in self.nodes:
            root = self._find(node.name)
            if node.name in self.program.constants or root in fixed:
                continue
            shape = node.meta["val"].shape
            space = spaces.setdefault(
                root, ChannelSpace(int(shape[-1 if self.last else 1]), self.last)
            )
            space.values.append(node.name)
            if self._makes(node):
                space.producers.append(node.name)
                space.smoothing |= not _is_weighted(node)
        for node in self.nodes:
            space_read = spaces.get(self._find(node.args[0].name)) if _is_weighted(node) else None
            if space_read is not None:
                space_read.consumers.append(node.name)
        return list(spaces.values())


def _is_weighted(node: torch.fx.Node) -> bool:
    return node.op == "call_function" and ops.is_weighted(node)


def _is_affine_norm(node: torch.fx.Node) -> bool:
    if node.target is not aten.layer_norm.default or len(node.args) < 4:  # noqa: PLR2004
        return False
    return len(node.args[1]) == 1 and node.args[2] is not None and node.args[3] is not None  # type: ignore[arg-type]


def _shapes(node: torch.fx.Node) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(node.args[0].meta["val"].shape), tuple(node.meta["val"].shape)  # type: ignore[union-attr]


def _keeps_second(node: torch.fx.Node) -> bool:
    """Whether axis 1 goes in and comes out, and zero stays zero."""
    before, after = _shapes(node)
    if node.target is aten.constant_pad_nd.default:
        return bool(node.args[2] == 0 and len(node.args[1]) <= 2 * (len(before) - 2))  # type: ignore[arg-type]
    if node.target is aten.mean.dim:
        return all(a > 1 for a in node.args[1])  # type: ignore[union-attr,operator]
    if node.target is aten.reshape.default:
        return before[:2] == after[:2] and all(d == 1 for d in (*before[2:], *after[2:]))
    return len(before) > 2  # noqa: PLR2004


def _keeps_last(node: torch.fx.Node) -> bool:
    before, after = _shapes(node)
    rank = len(before)
    if not before:
        return False
    if node.target is aten.permute.default:
        return bool(node.args[1][-1] == rank - 1)  # type: ignore[index]
    if node.target in (aten.roll.default, aten.mean.dim):
        axes: Any = node.args[2] if node.target is aten.roll.default else node.args[1]
        return all(a % rank != rank - 1 for a in axes)
    if node.target is aten.slice.Tensor:
        return bool(node.args[1] != rank - 1)
    return bool(before and after) and before[-1] == after[-1]
