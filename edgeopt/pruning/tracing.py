"""Torch-Pruning's dependency graph of a model, with the joins that autograd forgets.

What it reads is the graph that autograd keeps. That graph names the pieces of a chunk by their
place among its readers, knows the sizes of a concatenation only where every part has a gradient,
and takes axis 1 of four and axis 2 of three for the channels. So while it traces, every cut is made
as a slice, every part of a concatenation gets a gradient, and the axis comes from the layers.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import torch
import torch_pruning as tp
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

    from edgeopt.data.calls import Call

__all__ = ["dependency_graph", "is_join", "is_slice", "whole_groups"]

_CUTS = {"chunk", "split", "split_with_sizes", "tensor_split"}
_JOINS = {"cat", "concat", "concatenate"}
_PLACEHOLDER = tp.dependency.constants.INDEX_MAPPING_PLACEHOLDER
_MAPPINGS = tp.dependency.index_mapping
_TYPES = tp.ops.OPTYPE
_SECOND = {_TYPES.CONV, _TYPES.DEPTHWISE_CONV, _TYPES.BN, _TYPES.GN, _TYPES.IN, _TYPES.PRELU}
_LAST = {_TYPES.LINEAR, _TYPES.LN, _TYPES.EMBED, _TYPES.MHA, _TYPES.LSTM}
_OPAQUE = {_TYPES.RESHAPE, _TYPES.UNBIND, _TYPES.EXPAND, _TYPES.CUSTOMIZED, _TYPES.PARAMETER}
_ROOTS = (tp.ops.TORCH_CONV, tp.ops.TORCH_LINEAR)
_ATTEMPTS = 8
_FRAGILE = tuple(
    getattr(tp.ops, f"_{name}Op")
    for name in ("Concat", "Slice", "Split", "Unbind", "Expand", "Reshape")
)


@dataclass(frozen=True)
class _Join:
    axis: int
    rank: int
    sizes: list[int]


class _Recorder(TorchFunctionMode):
    """Makes cuts as slices, and keeps axis and sizes of each concatenation.

    Attributes:
        joins: Autograd's node of a concatenation to its axis and the sizes of its parts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.joins: dict[Any, _Join] = {}
        self._zero = torch.zeros((), requires_grad=True)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Returns what ``func`` does."""
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if name in _JOINS and "out" not in kwargs:
            return self._join(func, args, kwargs)
        result = func(*args, **kwargs)
        if name in _CUTS and args and isinstance(args[0], torch.Tensor):
            axis = kwargs.get("dim", args[2] if len(args) > 2 else 0)  # noqa: PLR2004 (the third)
            sizes = [piece.shape[axis] for piece in result]
            starts = accumulate(sizes, initial=0)
            return tuple(args[0].narrow(axis, a, n) for a, n in zip(starts, sizes, strict=False))
        return result

    def _join(self, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        parts = kwargs.get("tensors", args[0] if args else ())
        axis = kwargs.get("dim", kwargs.get("axis", args[1] if len(args) > 1 else 0))
        if isinstance(parts, torch.Tensor) or not any(p.requires_grad for p in parts):
            return func(*args, **kwargs)
        followed = [self._with_gradient(part) for part in parts]
        result = torch.cat(followed, axis)
        sizes = [part.shape[axis] for part in followed]
        self.joins[result.grad_fn] = _Join(axis % result.dim(), result.dim(), sizes)
        return result

    def _with_gradient(self, part: torch.Tensor) -> torch.Tensor:
        leaf = part.grad_fn is None and not isinstance(part, torch.nn.Parameter)
        return part + self._zero if leaf and part.is_floating_point() else part


def dependency_graph(model: nn.Module, call: Call) -> Any:
    """Returns the graph of ``model``, whose parameters all want gradients afterwards.

    Raises:
        Exception: Whatever the model raises.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    recorder = _Recorder()
    with warnings.catch_warnings(), torch.enable_grad(), recorder:
        warnings.simplefilter("ignore")
        graph = tp.DependencyGraph()
        _tell_sizes(graph, recorder)
        graph.build_dependency(
            model,
            call,
            forward_fn=lambda m, example: _outputs(m(*example[0], **example[1])),
            verbose=False,
        )
    _follow_joins(graph, recorder)
    return graph


def _tell_sizes(graph: Any, recorder: _Recorder) -> None:
    """Sizes of concatenations, before they are inferred: what is no layer's output has no size."""
    build = graph._build_dependency  # noqa: SLF001 (the only step between tracing and inference)

    def told(nodes: dict[Any, Any]) -> None:
        for node in nodes.values():
            if node.type == _TYPES.CONCAT and node.grad_fn in recorder.joins:
                node.module.concat_sizes = recorder.joins[node.grad_fn].sizes
        build(nodes)

    graph._build_dependency = told  # noqa: SLF001


def _outputs(tree: Any) -> list[Any]:
    if isinstance(tree, torch.Tensor):
        return [tree] if tree.grad_fn is not None else []
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (tuple, list)):
        return [tensor for one in tree for tensor in _outputs(one)]
    return []


def _follow_joins(graph: Any, recorder: _Recorder) -> None:
    nodes = list(graph.module2node.values())
    for node in nodes:
        if node.type in {_TYPES.SLICE, _TYPES.CONCAT}:
            for dependency in (d for n in (node, *node.inputs) for d in n.dependencies):
                if node in {dependency.source, dependency.target}:
                    dependency.index_mapping = [_PLACEHOLDER, _PLACEHOLDER]
    axes: dict[Any, int | None] = {}
    for node in nodes:
        if node.type == _TYPES.SLICE:
            _follow_slice(node, axes)
    for node in nodes:
        if node.type == _TYPES.CONCAT and node.grad_fn in recorder.joins:
            _follow_concatenation(node, recorder.joins[node.grad_fn], axes)


def _follow_slice(node: Any, axes: dict[Any, int | None]) -> None:
    sizes = node.grad_fn._saved_self_sym_sizes  # noqa: SLF001 (autograd's own record)
    axis, rank = _channel_axis(node, axes), len(sizes)
    layer = node.module
    if axis is None or layer.dim >= rank:
        return
    if axis % rank != layer.dim:
        node.type = _TYPES.ELEMENTWISE
        return
    layer.start, layer.end, layer.step = slice(layer.start, layer.end, layer.step).indices(
        sizes[layer.dim]
    )
    # Without it, Torch-Pruning no longer guesses whether the axis is that of the channels.
    node.grad_fn = None


def _follow_concatenation(node: Any, join: _Join, axes: dict[Any, int | None]) -> None:
    axis = _channel_axis(node, axes)
    if axis is None or len(node.inputs) != len(join.sizes):
        return
    if axis % join.rank != join.axis:
        node.type = _TYPES.ELEMENTWISE
        return
    node.grad_fn, node.module.concat_sizes = None, join.sizes
    offsets = list(pairwise(accumulate(join.sizes, initial=0)))
    seen: set[int] = set()
    for part, (start, end) in zip(node.inputs, offsets, strict=True):
        for reverse, source, target in ((True, node, part), (False, part, node)):
            edge = next(d for d in source.dependencies if d.target is target and id(d) not in seen)
            seen.add(id(edge))
            edge.index_mapping[1] = _MAPPINGS._ConcatIndexMapping(  # noqa: SLF001 (no public name)
                offset=[start, end], reverse=reverse
            )


def _channel_axis(node: Any, axes: dict[Any, int | None]) -> int | None:
    """Where the channels are in what ``node`` gives: 1, or -1 for the last; None is unknown."""
    stack = [node]
    while stack:
        one = stack[-1]
        known = _own_axis(one)
        waiting = [] if known or one in axes else [n for n in one.inputs if n not in axes]
        # A node that waits for itself is one layer that is called twice.
        waiting = [n for n in waiting if n not in stack]
        if waiting:
            stack.extend(waiting[:1])
            continue
        if one not in axes:
            inner = {a for n in one.inputs if (a := axes.get(n)) is not None}
            axes[one] = known or (_moved(one, inner.pop()) if len(inner) == 1 else None)
        stack.pop()
    return axes[node]


def _own_axis(node: Any) -> int | None:
    if node.type in _SECOND:
        return 1
    return -1 if node.type in _LAST else None


def _moved(node: Any, axis: int) -> int | None:
    """Where an operator that is no layer leaves the channels that it takes at ``axis``."""
    kind = node.grad_fn.name() if hasattr(node.grad_fn, "name") else ""
    if node.type in _OPAQUE or kind.startswith(("Transpose", "TBackward", "Mm", "Bmm", "Select")):
        return None
    if kind.startswith("Permute"):
        order = [d % len(node.grad_fn._saved_dims) for d in node.grad_fn._saved_dims]  # noqa: SLF001
        place = order.index(axis % len(order))
        return -1 if place == len(order) - 1 else place if place == 1 else None
    return axis


def whole_groups(graph: Any) -> Iterator[Any]:
    """Yields each group of channels once, from the widest layer that it begins at.

    A layer whose channels are cut in two is in a group with all of them, not in two with halves.
    """
    visited: set[int] = set()
    for layer in list(graph.module2node):
        if not isinstance(layer, _ROOTS) or id(layer) in visited:
            continue
        group = _group(graph, layer)
        for _ in range(_ATTEMPTS):
            wider = next((m for m, idxs in _producers(graph, group) if _width(m) > len(idxs)), None)
            if wider is None:
                break
            group = _group(graph, wider)
        visited.update(id(m) for m, _ in _producers(graph, group))
        yield group


def _group(graph: Any, layer: Any) -> Any:
    remove = graph.get_pruner_of_module(layer).prune_out_channels
    return graph.get_pruning_group(layer, remove, list(range(_width(layer))))


def _producers(graph: Any, group: Any) -> list[tuple[Any, list[int]]]:
    return [
        (item.dep.target.module, item.idxs)
        for item in group.items
        if isinstance(item.dep.target.module, _ROOTS)
        and graph.is_out_channel_pruning_fn(item.dep.handler)
    ]


def _width(layer: Any) -> int:
    return int(getattr(layer, "out_features", 0) or layer.out_channels)


def is_join(layer: Any) -> bool:
    """Returns whether it stands for a concatenation, a cut, or another view."""
    return isinstance(layer, _FRAGILE)


def is_slice(layer: Any) -> bool:
    """Returns whether it stands for a cut."""
    return isinstance(layer, tp.ops._SliceOp)  # noqa: SLF001 (it has no public name)
