"""What the rules share: reading stored numbers as real ones, and putting real ones on grids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir import kernel_kind, orders
from edgeopt.lowering import NoRuleError

if TYPE_CHECKING:
    from edgeopt_micro.emitter import Emitter
    from edgeopt_micro.values import Value

__all__ = ["best_order", "is_value", "operand", "require_float"]


def require_float(e: Emitter, node: Any) -> None:
    """Checks that the core computes ``node`` in float.

    Raises:
        NoRuleError: It does not; says why the node is float.
    """
    if e.core.fpu:
        return
    kind = kernel_kind(e.program, node)
    why = kind.reason if kind.kind == "float" else "it has no integer form here"
    raise NoRuleError(
        f"it is computed in float ({why}), and {e.target.cpu.model} has no float instructions"
    )


def is_value(argument: Any) -> bool:
    """Returns whether an argument of an operator is a tensor."""
    return isinstance(argument, torch.fx.Node)


def operand(e: Emitter, argument: Any) -> Value:
    """Returns the value of an argument that is a tensor or a number."""
    if is_value(argument):
        value: Value = e.value(argument)
        return value
    array = torch.tensor(
        argument, dtype=torch.float32 if isinstance(argument, float) else None
    ).numpy()
    return e.array_value("number", array)


def best_order(e: Emitter, node: Any) -> tuple[int, ...]:
    """Returns the memory order of the largest value that ``node`` reads and that has its shape."""
    shape = e.shape(node)
    for source in node.all_input_nodes:
        if e.shape(source) == shape and source.name not in e.program.constants:
            order: tuple[int, ...] = e.value(source).order
            return order
    return orders.identity(len(shape))
