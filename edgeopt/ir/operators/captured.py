"""Operators that the canonical form is free of though capture leaves them: rewritten by core passes, or removed."""

from __future__ import annotations

import torch

from edgeopt.ir.operators.traits import OperatorTraits as Row

__all__ = ["ROWS"]

aten = torch.ops.aten

_REMOVED = (
    *(
        Row(
            operator=operator,
            captured="removed",
            identity="always",
            moves=True,
            copies=True,
            partwise=True,
        )
        for operator in (
            aten.clone.default,
            aten.detach.default,
            aten.lift_fresh_copy.default,
            aten.contiguous.default,
        )
    ),
    Row(operator=aten.dropout.default, captured="removed", identity="same dtype"),
)

_REWRITTEN = (
    *(
        Row(
            operator=operator,
            captured="rewritten",
            moves=True,
            identity="same shape",
            partwise=True,
        )
        for operator in (
            aten.view.default,
            aten._unsafe_view.default,  # noqa: SLF001 (an operator's name)
        )
    ),
    *(
        Row(operator=operator, captured="rewritten", moves=True, partwise=True)
        for operator in (
            aten.flatten.using_ints,
            aten.repeat.default,
            aten.select.int,
            aten.squeeze.default,
            aten.squeeze.dim,
            aten.squeeze.dims,
            aten.stack.default,
            aten.t.default,
            aten.transpose.int,
            aten.unflatten.int,
            aten.unsqueeze.default,
        )
    ),
    *(
        Row(operator=operator, captured="rewritten", moves=True)
        for operator in (
            aten.chunk.default,
            aten.split.Tensor,
            aten.split.sizes,
            aten.split_with_sizes.default,
            aten.tensor_split.sections,
            aten.unbind.int,
        )
    ),
    *(
        Row(operator=operator, captured="rewritten")
        for operator in (
            aten.adaptive_max_pool2d.default,
            aten.addmm.default,
            aten.avg_pool1d.default,
            aten.baddbmm.default,
            aten.clamp_max.default,
            aten.clamp_min.default,
            aten.conv_transpose1d.default,
            aten.hardsigmoid.default,
            aten.hardtanh.default,
            aten.masked_fill.Scalar,
            aten.masked_fill.Tensor,
            aten.max_pool1d.default,
            aten.max_pool2d_with_indices.default,
            aten.mean.default,
            aten.prelu.default,
            aten.relu6.default,
            aten.rsub.Scalar,
            aten.rsub.Tensor,
            aten.silu.default,
            aten.where.Scalar,
            aten.where.ScalarOther,
            aten.where.ScalarSelf,
        )
    ),
    *(
        Row(operator=operator, captured="rewritten", canonical=canonical)
        for operator, canonical in (
            (aten.conv1d.padding, aten.conv1d.default),
            (aten.conv2d.padding, aten.conv2d.default),
            (aten.conv3d.padding, aten.conv3d.default),
            (aten.add.Scalar, aten.add.Tensor),
            (aten.sub.Scalar, aten.sub.Tensor),
            (aten.mul.Scalar, aten.mul.Tensor),
            (aten.div.Scalar, aten.div.Tensor),
        )
    ),
)

_WRITES = (
    *(
        Row(operator=operator, captured="rewritten", partwise=True)
        for operator in (
            aten.copy.default,
            aten.index_put.default,
            aten.select_scatter.default,
            aten.slice_scatter.default,
        )
    ),
    *(
        Row(operator=operator, captured="rewritten")
        for operator in (
            aten._unsafe_index_put.default,  # noqa: SLF001 (an operator's name)
            aten.diagonal_scatter.default,
            aten.fill.Tensor,
            aten.index_fill.int_Scalar,
            aten.index_fill.int_Tensor,
        )
    ),
)

_SHAPE_ONLY = tuple(
    Row(operator=operator, captured="removed", shape_only=True)
    for operator in (
        aten.new_full.default,
        aten.new_ones.default,
        aten.new_zeros.default,
        aten.full_like.default,
        aten.ones_like.default,
        aten.zeros_like.default,
        aten.zero.default,
        aten.fill.Scalar,
    )
)

_LOGIC = (
    Row(operator=aten.__and__.Tensor, logic="and"),
    Row(operator=aten.bitwise_and.Tensor, logic="and"),
    Row(operator=aten.logical_and.default, logic="and"),
    Row(operator=aten.__or__.Tensor, logic="or"),
    Row(operator=aten.bitwise_or.Tensor, logic="or"),
    Row(operator=aten.logical_or.default, logic="or"),
)

ROWS = (
    *_REMOVED,
    *_REWRITTEN,
    *_WRITES,
    *_SHAPE_ONLY,
    *_LOGIC,
)
