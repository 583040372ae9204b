"""Numbers as integers that are ordered as torch orders the numbers: NaN behind all, zeros alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tvm import tirx

from edgeopt.lowering import NoRuleError
from edgeopt_tvm import scalars
from edgeopt_tvm.operators.arguments import Source, computed

if TYPE_CHECKING:
    from edgeopt_tvm.emitter import Emitter

__all__ = ["LAST", "keys"]

LAST = 0x7FFFFFFF
"""The key of NaN."""
_INFINITY = 0x7F800000
"""The bits of infinity; NaN has more."""


def keys(e: Emitter, node: Any, *, backwards: bool = False, nan_last: bool = False) -> Any:
    """Returns the variable of one integer for each number of ``node``, which compare as those do.

    Args:
        e: Where they are written.
        node: A value.
        backwards: Whether the greatest number shall have the least.
        nan_last: Whether NaN has the greatest, even so.

    Raises:
        NoRuleError: There are none of its type.
    """
    kind = e.dtype(node)
    if kind == "float64":
        raise NoRuleError("numbers of type float64 are not put in order: cast with .float() before")
    source = Source(e, node, {"bool": "int32", "float16": "float32"}.get(kind, kind))

    def at(tensor: Any, index: list[Any]) -> Any:
        number = source.at(tensor, index)
        if source.dtype != "float32":
            return _turned(number) if backwards else number
        bits = tirx.reinterpret("int32", number)
        # Without the sign, twice: TVM makes of a mask a division by what int32 does not hold.
        magnitude = tirx.reinterpret("uint32", number) << tirx.const(1, "uint32")
        nan = magnitude > tirx.const(2 * _INFINITY, "uint32")
        ordered = tirx.Select(bits < 0, bits ^ LAST, bits)
        is_zero = magnitude == tirx.const(0, "uint32")
        ordered = tirx.Select(is_zero, tirx.const(0, "int32"), ordered)
        last = tirx.const(LAST, "int32")
        if not backwards:
            return tirx.Select(nan, last, ordered)
        return tirx.Select(nan, last if nan_last else _turned(last), _turned(ordered))

    return computed(e, "keys", source.shape, at, source.expr)


def _turned(key: Any) -> Any:
    """Returns a key that is the less the greater ``key`` is."""
    return tirx.const(-1, scalars.kind_of(key)) - key
