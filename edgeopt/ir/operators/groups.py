"""Groups of operators that no trait of a row tells apart."""

from __future__ import annotations

import torch

__all__ = [
    "ARITHMETIC",
    "CENTERED",
    "COPIES",
    "NO_SCORES",
    "ORDERS",
    "PAIRS",
    "PARTLY_DEFINED",
    "PARTWISE",
    "POLES",
    "READS",
    "SAME_NUMBERS",
    "STEPS",
]

aten = torch.ops.aten

ORDERS = (
    *(aten.gt.Tensor, aten.gt.Scalar, aten.ge.Tensor, aten.ge.Scalar),
    *(aten.lt.Tensor, aten.lt.Scalar, aten.le.Tensor, aten.le.Scalar),
)
"""Comparisons by size."""

POLES = (aten.rsqrt.default, aten.reciprocal.default, aten.log.default)
"""Functions that have a pole at 0."""

ARITHMETIC = (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor)
"""Those that take a number in the place of either tensor."""

READS = (aten._local_scalar_dense.default, aten.item.default)  # noqa: SLF001 (an operator's name)
"""Those that make a number of a tensor."""

NO_SCORES = (
    *(aten.layer_norm.default, aten.group_norm.default, aten.tanh.default),
    *(aten.lstm.input, aten.gru.input, aten.embedding.default),
)
"""Those whose results nobody reads as one score a class: they are made for another layer, or to be compared."""

COPIES = (aten.clone.default, aten.alias.default, aten._to_copy.default)  # noqa: SLF001 (an operator's name)
"""Calls that give the same numbers, maybe of another type."""

SAME_NUMBERS = (
    *COPIES,
    *(aten.view.default, aten.reshape.default, aten.expand.default, aten.slice.Tensor),
    *(aten.unsqueeze.default, aten.squeeze.dim),
)
"""Calls that give numbers of their input as they are, in another shape maybe."""

PARTLY_DEFINED = (
    *POLES,
    *(aten.log2.default, aten.log10.default, aten.log1p.default, aten.sqrt.default),
    *(aten.pow.Tensor_Scalar, aten.pow.Tensor_Tensor, aten.div.Tensor),
    *(aten.acos.default, aten.acosh.default, aten.asin.default),
)
"""Functions that are NaN or infinite for some numbers, and finite for 1."""

STEPS = (aten.floor.default, aten.ceil.default, aten.round.default)
"""Functions with a limit at each whole number, or, of the last, between them."""

PAIRS = (aten.add.Tensor, aten.sub.Tensor)
"""Sums of two, rounded alike by all, but where one is a product that is not rounded on the way."""

CENTERED = (
    aten.layer_norm.default,
    aten.group_norm.default,
    aten.std.correction,
    aten.var.correction,
)
"""What takes a mean away: its rounding is beside the numbers, not beside what is left of them."""

PARTWISE = frozenset(
    {
        aten._unsafe_view.default,  # noqa: SLF001 (an operator's name)
        aten.alias.default,
        aten.cat.default,
        aten.clone.default,
        aten.copy.default,
        aten.detach.default,
        aten.expand.default,
        aten.flip.default,
        aten.gather.default,
        aten.index.Tensor,
        aten.index_put.default,
        aten.index_select.default,
        aten.mean.dim,
        aten.neg.default,
        aten.permute.default,
        aten.repeat.default,
        aten.reshape.default,
        aten.roll.default,
        aten.select.int,
        aten.select_scatter.default,
        aten.slice.Tensor,
        aten.slice_scatter.default,
        aten.squeeze.default,
        aten.squeeze.dim,
        aten.squeeze.dims,
        aten.stack.default,
        aten.sum.dim_IntList,
        aten.t.default,
        aten.transpose.int,
        aten.unflatten.int,
        aten.unsqueeze.default,
        aten.view.default,
        aten.where.self,
    }
)
"""Operators that do to the imaginary parts what they do to the real ones."""
