"""Matrix products: with a constant weight, and of two activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tvm import relax, te, tirx

from edgeopt_tvm.kernels.convolution import accumulator, product, trimmed
from edgeopt_tvm.kernels.packing import lanes_of, packing_of
from edgeopt_tvm.values import constant_of

if TYPE_CHECKING:
    import numpy as np

    from edgeopt_tvm.machine import Machine

__all__ = ["dense", "matmul"]

_TILES = (14, 12, 10, 8, 7, 6)
"""Rows that a register tile may have where their number does not matter."""


def dense(
    bb: relax.BlockBuilder, x: relax.Expr, weight: np.ndarray, machine: Machine, *, first: int = 0
) -> relax.Var:
    """Returns ``x`` times the transposed weight, shape (rows, out features).

    Args:
        bb: Where it is written.
        x: (rows, features); float32, int16, or int8 or uint8 as ``machine.activations``.
        weight: (out features, features that are read); float32, int8, or float16, which is converted as it is
            read. With a float32 ``x`` it may be any of them.
        machine: What code is made for.
        first: The first feature that is read.

    Returns:
        float32 for float32, else int32: products of raw integers, no zero point taken off.
    """
    packing = packing_of(weight, machine, str(x.ty.dtype))
    packed = packing.pack(weight[:, None, None, :])[:, 0, 0]

    def compute(data: te.Tensor, kernel: te.Tensor) -> te.Tensor:
        return _dense(data, kernel, weight.shape, first)

    return bb.emit_te(compute, x, constant_of(packed), primfunc_name_hint="dense")


def _dense(data: te.Tensor, packed: te.Tensor, shape: tuple[int, ...], first: int = 0) -> te.Tensor:
    blocks, groups, lanes, group = (int(d) for d in packed.shape)
    rows, (out, features) = int(data.shape[0]), shape
    even, kind = _even_rows(rows), accumulator(data)
    rc = te.reduce_axis((0, groups * group), name="rc")
    source, begin = data, first
    if groups * group != features:
        source = te.compute(
            (rows, groups * group),
            lambda m, k: tirx.if_then_else(
                k < features, data[m, k + first], tirx.const(0, data.dtype)
            ),
            name="pad",
        )
        begin = 0

    def at(m: Any, n: Any) -> Any:
        value = source[m if even == rows else tirx.min(m, rows - 1), rc + begin]
        weight = packed[n // lanes, rc // group, n % lanes, rc % group]
        if group > 1:  # as the instruction is described
            return te.sum(value.astype(kind) * weight.astype(kind), axis=rc)
        return te.sum(product(value, weight, kind), axis=rc)

    sums = te.compute(
        (even, blocks * lanes),
        at,
        name="direct",
        attrs={"edgeopt.lanes": lanes, "edgeopt.group": group},
    )
    return trimmed(sums, (rows, out))


def _even_rows(rows: int) -> int:
    """Returns the number of rows to compute: a few more where only that divides well."""
    if rows <= _TILES[0] or any(rows % t == 0 for t in _TILES):
        return rows
    return min(-(-rows // t) * t for t in _TILES)


def matmul(bb: relax.BlockBuilder, a: relax.Expr, b: relax.Expr, machine: Machine) -> relax.Var:
    """Returns the products of a (batch, m, k) and b (batch, k, n), float32: (batch, m, n)."""

    def compute(left: te.Tensor, right: te.Tensor) -> te.Tensor:
        return _matmul(left, right, machine)

    return bb.emit_te(compute, a, b, primfunc_name_hint="matmul")


def _matmul(left: te.Tensor, right: te.Tensor, machine: Machine) -> te.Tensor:
    batch, rows, inner = (int(d) for d in left.shape)
    out = int(right.shape[2])
    lanes, even = lanes_of(out, machine), _even_rows(rows)
    blocks = -(-out // lanes)

    def pack(i: Any, block: Any, k: Any, lane: Any) -> Any:
        n = block * lanes + lane
        value = right[i, k, n]
        if blocks * lanes == out:
            return value
        return tirx.if_then_else(n < out, value, tirx.const(0, right.dtype))

    packed = te.compute((batch, blocks, inner, lanes), pack, name="pad")
    rc = te.reduce_axis((0, inner), name="rc")

    def at(i: Any, m: Any, n: Any) -> Any:
        value = left[i, m if even == rows else tirx.min(m, rows - 1), rc]
        return te.sum(value * packed[i, n // lanes, rc, n % lanes], axis=rc)

    sums = te.compute(
        (batch, even, blocks * lanes),
        at,
        name="direct",
        attrs={"edgeopt.lanes": lanes, "edgeopt.group": 1, "edgeopt.batched": 1},
    )
    return trimmed(sums, (batch, rows, out))
