"""The largest or smallest numbers of a row, in their order; equal ones in the order that they had."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.lowering import NoRuleError
from edgeopt_micro.loops import element, nest
from edgeopt_micro.operator_rules import rule
from edgeopt_micro.operators.common import replaced_index
from edgeopt_micro.values import Buffer, Value

if TYPE_CHECKING:
    from edgeopt_micro.emitter import Emitter

aten = torch.ops.aten


@rule(aten.topk.default)
def _topk(e: Emitter, node: Any) -> None:
    axis = node.args[2] if len(node.args) > 2 else -1  # noqa: PLR2004 (input, count, axis)
    largest = node.args[3] if len(node.args) > 3 else True  # noqa: PLR2004
    _ordered(e, node, axis, int(node.args[1]), largest=bool(largest))


@rule(aten.sort.default)
def _sort(e: Emitter, node: Any) -> None:
    axis, descending = (*node.args[1:], *(-1, False)[len(node.args) - 1 :])[:2]
    _ordered(e, node, axis, e.shape(node.args[0])[axis], largest=bool(descending))


def _ordered(e: Emitter, node: Any, axis: int, count: int, *, largest: bool) -> None:
    """Writes the places of the ``count`` first numbers along ``axis``, and then the numbers there."""
    x = e.value(node.args[0])
    axis %= len(x.shape)
    shape = tuple(count if d == axis else n for d, n in enumerate(x.shape))
    places = Value(
        Buffer("arena", 8 * math.prod(shape), f"{node.name}_places"), shape, x.order, "int64"
    )
    rest = [d for d in range(len(shape)) if d != axis]
    sign = ">" if largest else "<"

    def body(*index: str) -> str:
        read = element(x, "x0", replaced_index(index, axis, "k"))
        return "\n".join([
            f"{x.c_type} last = 0;",
            "int32_t place = -1;",
            f"for (int n = 0; n < {count}; n++) {{",
            f"  {x.c_type} best = 0;",
            "  int32_t next = -1;",
            f"  for (int k = 0; k < {x.shape[axis]}; k++) {{",
            f"    {x.c_type} one = {read};",
            f"    if (place >= 0 && !(last {sign} one || (last == one && k > place))) continue;",
            f"    if (next < 0 || one {sign} best) best = one, next = k;",
            "  }",
            "  if (next < 0) next = n; /* a NaN is before and behind nothing */",
            "  last = best, place = next;",
            f"  {element(places, 'y', replaced_index(index, axis, 'n'))} = place;",
            "}",
        ])  # fmt: skip

    e.call(nest(places, [x], body, name="order", over=rest), [x], places)
    numbers = Value(
        Buffer("arena", _size(x) * math.prod(shape), f"{node.name}_values"),
        shape,
        x.order,
        x.dtype,
        x.grid,
    )

    def chosen(*index: str) -> str:
        at = f"(int32_t){element(places, 'x1', index)}"
        return (
            f"{element(numbers, 'y', index)} = {element(x, 'x0', replaced_index(index, axis, at))};"
        )

    e.call(nest(numbers, [x, places], chosen, name="chosen"), [x, places], numbers)
    e.parts[node.name] = [numbers, places]


@rule(operator.getitem)
def _getitem(e: Emitter, node: Any) -> Value:
    source, number = node.args
    if source.name not in e.parts:
        raise NoRuleError("of an operator that is not written")
    return e.view(node, e.parts[source.name][number], e.parts[source.name][number].order)


def _size(value: Value) -> int:
    return value.size_bytes // max(1, value.count)
