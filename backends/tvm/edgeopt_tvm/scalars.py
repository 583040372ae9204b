"""One number to another, as expressions of generated code.

LLVM joins a product and the sum behind it into one operation that rounds once; what has to round as
the reference does is written so that it cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tvm import tirx

if TYPE_CHECKING:
    from edgeopt_tvm.parameters import Grid

__all__ = [
    "clipped",
    "converted",
    "f32",
    "kind_of",
    "number",
    "on_grid",
    "real",
    "rounded",
    "stored",
    "widened",
]

Scalar = Any
"""An expression of TVM's; its package has no types."""


def kind_of(x: Scalar) -> str:
    """Returns the dtype of an expression, numpy's name."""
    dtype = getattr(x, "dtype", None)
    return str(dtype if dtype is not None else x.ty.dtype)


def number(value: float, dtype: str) -> Scalar:
    """Returns a constant."""
    if dtype == "bool":
        return tirx.const(bool(value), "bool")
    return tirx.const(float(value) if dtype.startswith("float") else int(value), dtype)


def f32(value: float) -> Scalar:
    """Returns a float32 constant."""
    return tirx.const(float(value), "float32")


def clipped(x: Scalar, low: float | None, high: float | None) -> Scalar:
    """Returns ``x`` between two bounds; either may be open."""
    dtype = kind_of(x)
    if low is not None:
        x = tirx.max(x, number(low, dtype))
    return x if high is None else tirx.min(x, number(high, dtype))


def rounded(x: Scalar) -> Scalar:
    """Returns the int32 next to ``x``, ties to even."""
    return tirx.nearbyint(x).astype("int32")


def on_grid(steps: Scalar, grid: Grid, bounds: tuple[int, int] | None = None) -> Any:
    """Returns the integer of ``grid`` that is ``steps`` from its zero, rounded and clipped.

    Args:
        steps: A float32 or float64; how many steps of the grid.
        grid: The grid.
        bounds: Tighter bounds, in steps from zero.
    """
    low, high = grid.low - grid.zero, grid.high - grid.zero
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    whole = rounded(clipped(steps, low, high))
    return (whole + tirx.const(grid.zero, "int32")).astype(grid.dtype)


def stored(x: Scalar, grid: Grid) -> Scalar:
    """Returns the integer of ``grid`` for the real number ``x``."""
    return on_grid(x.astype("float32") / f32(grid.scale), grid)


def real(x: Scalar, grid: Grid, *, apart: bool = False) -> Scalar:
    """Returns the float32 that the integer ``x`` stands for.

    Args:
        x: The integer.
        grid: Its grid.
        apart: Whether the product must be rounded before a sum takes it: a maximum that changes
            nothing keeps LLVM from joining both.
    """
    steps = (x.astype("int32") - tirx.const(grid.zero, "int32")).astype("float32")
    value = steps * f32(grid.scale)
    return tirx.max(value, f32(-3e38)) if apart else value


def converted(x: Scalar, source: Grid | None, goal: Grid | None, dtype: str) -> Scalar:
    """Returns ``x`` of one grid on another; None stands for the plain number, then of ``dtype``."""
    if source == goal:
        return x if goal is not None or kind_of(x) == dtype else widened(x, dtype)
    value = x if source is None else real(x, source)
    return widened(value, dtype) if goal is None else stored(value, goal)


def widened(x: Scalar, dtype: str) -> Scalar:
    """Returns ``x`` as ``dtype``; as bool it is whether it differs from zero."""
    if kind_of(x) == dtype:
        return x
    if dtype == "bool":
        return tirx.NE(x, number(0, kind_of(x)))  # "!=" compares expressions, not their values
    return x.astype("int32").astype(dtype) if kind_of(x) == "bool" else x.astype(dtype)
