"""What an operator is called with, by the names of its schema, and how its values are read by place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tvm import te

from edgeopt.ir import orders

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeopt_tvm.emitter import Emitter

__all__ = ["Source", "arguments", "computed", "replaced"]


def arguments(node: Any) -> dict[str, Any]:
    """Returns every argument of ``node`` by its name, with the defaults of those that it leaves out."""
    declared = node.target._schema.arguments  # noqa: SLF001 (no public name)
    values = dict(zip((a.name for a in declared), node.args, strict=False))
    return {a.name: a.default_value for a in declared} | values | dict(node.kwargs)


class Source:
    """A value that an expression reads by the indices of the program, in its own order of axes.

    Args:
        e: Where it is read.
        node: Its node.
        dtype: What is computed with; the value's own by default.

    Attributes:
        shape: Its shape.
        dtype: What is computed with.
        expr: What `computed` takes for it.
    """

    def __init__(self, e: Emitter, node: Any, dtype: str = "") -> None:
        value = e.value(node)
        self.shape, self.dtype = value.shape, dtype or value.dtype
        operand = e.operand(value, orders.identity(len(value.shape)), dtype=dtype)
        self.expr = e.shaped(operand.expr, value.shape or (1,))
        self._operand = operand

    def at(self, tensor: te.Tensor, index: Sequence[Any]) -> Any:
        """Returns the number at ``index``."""
        return self._operand.stored(tensor, *(index or (0,)))


def computed(
    e: Emitter, name: str, shape: Sequence[int], at: Callable[..., Any], *exprs: Any
) -> Any:
    """Returns the variable of an expression: one number for each index.

    Args:
        e: Where it is written.
        name: Of its kernel.
        shape: Its shape; that of a scalar is empty.
        at: From the tensors of ``exprs``, and an index as a list, to a number.
        *exprs: What it reads.
    """
    shape = tuple(shape)

    def compute(*tensors: te.Tensor) -> te.Tensor:
        return te.compute(
            shape or (1,), lambda *i: at(*tensors, list(i) if shape else []), name=name
        )

    return e.shaped(e.te(name, compute, *exprs), shape)


def replaced(index: Sequence[Any], axis: int, place: Any) -> list[Any]:
    """Returns ``index`` with ``place`` on one axis."""
    return [place if d == axis else i for d, i in enumerate(index)]
