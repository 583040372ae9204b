"""Numbers chosen by a mask, ``x[mask]``: they have no known shape, and often need none.

How many there are depends on values, and no runtime of ours can hold that. What becomes of them mostly has a known
shape: they are changed one by one and written back to their places (``y[y < 0] = f(y[y < 0])``), or added up. That is
computed on all numbers, and those outside of the mask are left out at the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch.fx.node import map_arg
from torch.utils import _pytree as pytree

from edgeopt.ir.operators import traits_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["compute_selections_whole", "insert_call"]

aten = torch.ops.aten

INSIDE = 1.0
"""What functions take outside of the mask that are not defined everywhere."""


@dataclass(frozen=True)
class _Selection:
    """What one node of unknown length stands for.

    Attributes:
        mask: Truth values; its axes are the first ones of `whole`.
        whole: The numbers of which those under the mask are chosen.
    """

    mask: torch.fx.Node
    whole: torch.fx.Node


def compute_selections_whole(graph: torch.fx.Graph) -> None:
    """Rewrites what is made of numbers chosen by a mask, as far as its shape is known; all else stays.

    Args:
        graph: Of an exported program, functional; nodes keep their names and values.
    """
    selections: dict[torch.fx.Node, _Selection] = {}
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        selection = _selection(node) or _changed(node, selections)
        if selection is not None:
            selections[node] = selection
        elif node.target in _ENDS:
            _ENDS[node.target](node, selections)
    if selections:
        _drop_checks(selections)
        graph.eliminate_dead_code()


def _selection(node: torch.fx.Node) -> _Selection | None:
    """Returns what ``x[mask]`` and ``torch.masked_select`` choose."""
    if node.target not in (aten.index.Tensor, aten.masked_select.default):
        return None
    arguments: Any = node.args
    source, mask = arguments
    if isinstance(mask, (list, tuple)):
        (mask, *others) = mask
        if others:
            return None
    if not isinstance(mask, torch.fx.Node) or mask.meta["val"].dtype is not torch.bool:
        return None
    shape, whole = mask.meta["val"].shape, source.meta["val"].shape
    fits = (
        whole == shape
        if node.target is aten.masked_select.default
        else whole[: len(shape)] == shape
    )
    return _Selection(mask, source) if fits and len(shape) else None


def _changed(node: torch.fx.Node, selections: dict[torch.fx.Node, _Selection]) -> _Selection | None:
    """Returns what an elementwise operator makes of chosen numbers, computed on all."""
    chosen = [selections[value] for value in node.all_input_nodes if value in selections]
    tags = getattr(node.target, "tags", ())
    if not chosen or not (torch.Tag.pointwise in tags or traits_of(node).copies):
        return None
    first = chosen[0]
    rows = first.whole.meta["val"].dim() - first.mask.meta["val"].dim()
    others = [v.meta["val"] for v in node.all_input_nodes if v not in selections]
    if not all(_is_same(one.mask, first.mask) for one in chosen[1:]):
        return None
    if any(other.dim() > rows for other in others):  # beside how many there are
        return None
    if _is_partly_defined(node, selections):
        chosen = [replace(one, whole=_filled(node, one, INSIDE)) for one in chosen]
    known = dict(zip((v for v in node.all_input_nodes if v in selections), chosen, strict=True))
    args, kwargs = map_arg(
        (node.args, dict(node.kwargs)), lambda v: known[v].whole if v in known else v
    )
    return replace(first, whole=insert_call(node, node.target, args, kwargs))


def _is_partly_defined(node: torch.fx.Node, selections: dict[torch.fx.Node, _Selection]) -> bool:
    """Whether ``node`` may make no number of what it is not asked for; else nothing is put in, which widens ranges."""
    if node.target is aten.div.Tensor:
        return node.args[1] in selections
    if node.target is aten.pow.Tensor_Scalar and node.args[1] in (1, 2, 3, 4):
        return False
    return bool(traits_of(node).undefined)


def _write(node: torch.fx.Node, selections: dict[torch.fx.Node, _Selection]) -> None:
    """``index_put(base, [mask], chosen)``: where(mask, whole, base)."""
    arguments: Any = node.args
    base, places, value, *accumulate = arguments
    selection = selections.get(value)
    masks = list(places)
    if selection is None or any(accumulate) or len(masks) != 1 or masks[0] is None:
        return
    whole, written = selection.whole.meta["val"], base.meta["val"]
    alike = whole.shape == written.shape and whole.dtype == written.dtype
    if alike and _is_same(masks[0], selection.mask):
        node.target = aten.where.self
        node.args = (_spread(node, selection), selection.whole, base)


def _reduced(
    node: torch.fx.Node, selections: dict[torch.fx.Node, _Selection]
) -> tuple[_Selection, list[int]] | None:
    """Returns the selection that ``node`` reduces to a known shape, and the axes of the whole that it goes over."""
    arguments: Any = node.args
    selection = selections.get(arguments[0])
    if selection is None:
        return None
    rank = arguments[0].meta["val"].dim()
    axes_given = arguments[1] if len(arguments) > 1 and arguments[1] else range(rank)
    axes = {axis % rank for axis in axes_given}
    masked = selection.mask.meta["val"].dim()
    keeps = any(arguments[2:3]) or bool(node.kwargs.get("keepdim"))
    if 0 not in axes or (keeps and masked > 1):
        return None
    return selection, [*range(masked), *sorted(masked - 1 + axis for axis in axes if axis)]


def _reduce(fill: float) -> Callable[..., None]:
    """Returns what lets a reduction go over all numbers, with ``fill`` outside of the mask."""

    def rewrite(node: torch.fx.Node, selections: dict[torch.fx.Node, _Selection]) -> None:
        reduction = _reduced(node, selections)
        if reduction is not None:
            selection, axes = reduction
            node.args = (_filled(node, selection, fill), axes, *node.args[2:])

    return rewrite


def _mean(node: torch.fx.Node, selections: dict[torch.fx.Node, _Selection]) -> None:
    """The sum of what is chosen over how much that is; none is NaN, as for torch."""
    reduction = _reduced(node, selections)
    if reduction is None or node.kwargs.get("dtype") is not None:
        return
    selection, axes = reduction
    whole, masked = selection.whole.meta["val"], selection.mask.meta["val"].dim()
    total = insert_call(
        node, aten.sum.dim_IntList, (_filled(node, selection, 0.0), axes, *node.args[2:])
    )
    counted = insert_call(node, aten._to_copy.default, (selection.mask,), {"dtype": whole.dtype})  # noqa: SLF001
    count = insert_call(node, aten.sum.dim_IntList, (counted, list(range(masked))))
    beside = math.prod(whole.shape[axis] for axis in axes if axis >= masked)
    if beside != 1:
        count = insert_call(node, aten.mul.Tensor, (count, float(beside)))
    node.target, node.args, node.kwargs = aten.div.Tensor, (total, count), {}


_ENDS: dict[Any, Callable[..., None]] = {
    aten.index_put.default: _write,
    aten.sum.dim_IntList: _reduce(0.0),
    aten.amax.default: _reduce(-math.inf),
    aten.amin.default: _reduce(math.inf),
    aten.mean.dim: _mean,
    aten.mean.default: _mean,
}
"""What has a known shape, or may have one."""


def _spread(before: torch.fx.Node, selection: _Selection) -> torch.fx.Node:
    """Returns the mask with as many axes as the whole."""
    mask = selection.mask
    for _ in range(selection.whole.meta["val"].dim() - mask.meta["val"].dim()):
        mask = insert_call(before, aten.unsqueeze.default, (mask, -1))
    return mask


def _filled(before: torch.fx.Node, selection: _Selection, fill: float) -> torch.fx.Node:
    """Returns the whole, with ``fill`` outside of the mask."""
    kind = selection.whole.meta["val"].dtype
    if math.isinf(fill) and not kind.is_floating_point:
        limits = (0, 1) if kind is torch.bool else (torch.iinfo(kind).min, torch.iinfo(kind).max)
        fill = limits[fill > 0]
    outside = insert_call(before, aten.logical_not.default, (_spread(before, selection),))
    return insert_call(before, aten.masked_fill.Scalar, (selection.whole, outside, fill))


def insert_call(
    before: torch.fx.Node,
    target: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
) -> torch.fx.Node:
    """Returns a new call in front of a node, which it takes its line of source from."""
    with before.graph.inserting_before(before):
        node = before.graph.call_function(target, args, kwargs or {})
    node.meta = {k: v for k, v in before.meta.items() if k not in ("val", "tensor_meta")}
    values = map_arg((args, kwargs or {}), lambda value: value.meta["val"])
    first = next(value.meta["val"] for value in node.all_input_nodes)
    with first.fake_mode:
        node.meta["val"] = target(*values[0], **values[1])
    return node


def _is_same(one: Any, other: Any) -> bool:
    """Whether two nodes are the same call on the same values: a mask is often written twice."""
    if one is other:
        return True
    both = isinstance(one, torch.fx.Node) and isinstance(other, torch.fx.Node)
    if not both or one.op != "call_function" or one.target is not other.target:
        return False
    values, spec = pytree.tree_flatten((one.args, one.kwargs))
    others, other_spec = pytree.tree_flatten((other.args, other.kwargs))
    if spec != other_spec:
        return False
    return all(
        _is_same(a, b) if isinstance(a, torch.fx.Node) else type(a) is type(b) and a == b
        for a, b in zip(values, others, strict=True)
    )


def _drop_checks(selections: dict[torch.fx.Node, _Selection]) -> None:
    """Drops the assertions of torch.export on how many are chosen."""
    for node in selections:
        for size in [user for user in node.users if user.target is aten.sym_size.int]:
            for compared in list(size.users):
                for check in list(compared.users):
                    if check.target is aten._assert_scalar.default:  # noqa: SLF001 (an operator's name)
                        check.graph.erase_node(check)
