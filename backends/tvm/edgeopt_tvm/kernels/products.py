"""Matrix products: with a constant weight, and of two activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from tvm import relax, te

if TYPE_CHECKING:
    from edgeopt_tvm.machine import Machine

__all__ = ["dense", "matmul"]


def dense(
    bb: relax.BlockBuilder, x: relax.Expr, weight: np.ndarray, machine: Machine
) -> relax.Var:
    """Returns ``x`` times the transposed weight, shape (rows, out features).

    Args:
        bb: Where it is written.
        x: (rows, features); float32, or int8 or uint8 as ``machine.activations``.
        weight: (out features, features); float32 or int8.
        machine: What code is made for.

    Returns:
        float32 for float32, else int32: products of raw integers, no zero point taken off.
    """
    packed = relax.const(np.ascontiguousarray(weight.transpose(1, 0)))

    def compute(data: te.Tensor, kernel: te.Tensor) -> te.Tensor:
        rows, features = (int(d) for d in data.shape)
        k = te.reduce_axis((0, features), name="k")
        kind = "float32" if str(data.dtype) == "float32" else "int32"
        return te.compute(
            (rows, int(kernel.shape[1])),
            lambda m, n: te.sum(data[m, k].astype(kind) * kernel[k, n].astype(kind), axis=k),
            name="dense",
        )

    return bb.emit_te(compute, x, packed, primfunc_name_hint="dense")


def matmul(bb: relax.BlockBuilder, a: relax.Expr, b: relax.Expr, machine: Machine) -> relax.Var:
    """Returns the products of a (batch, m, k) and b (batch, k, n), float32: (batch, m, n)."""

    def compute(left: te.Tensor, right: te.Tensor) -> te.Tensor:
        batch, rows, inner = (int(d) for d in left.shape)
        k = te.reduce_axis((0, inner), name="k")
        return te.compute(
            (batch, rows, int(right.shape[2])),
            lambda i, m, n: te.sum(left[i, m, k] * right[i, k, n], axis=k),
            name="matmul",
        )

    return bb.emit_te(compute, a, b, primfunc_name_hint="matmul")
