"""Operators that the canonical form is free of: taken apart at capture, rewritten or removed."""

from __future__ import annotations

import torch

from edgeopt.ir.operators.traits import OperatorTraits as Row

__all__ = ["ROWS"]

aten = torch.ops.aten

_DECOMPOSED = (
    aten._fused_rms_norm.default,  # noqa: SLF001 (an operator's name)
    aten.addcdiv.default,
    aten.addcmul.default,
    aten.atleast_1d.Sequence,
    aten.atleast_2d.Sequence,
    aten.atleast_3d.Sequence,
    aten.channel_shuffle.default,
    aten.column_stack.default,
    aten.dstack.default,
    aten.einsum.default,
    aten.glu.default,
    aten.hstack.default,
    aten.inner.default,
    aten.outer.default,
    aten.pixel_shuffle.default,
    aten.pixel_unshuffle.default,
    aten.rms_norm.default,
    aten.rot90.default,
    aten.square.default,
    aten.tensordot.default,
    aten.tile.default,
    aten.vstack.default,
)

_REMOVED = (
    *(
        Row(operator=operator, captured="removed", identity="always", moves=True)
        for operator in (
            aten.clone.default,
            aten.detach.default,
            aten.lift_fresh_copy.default,
            aten.contiguous.default,
        )
    ),
    Row(operator=aten.dropout.default, captured="removed", identity="same dtype"),
    Row(operator=aten.type_as.default, captured="removed", identity="same dtype"),
)

_REWRITTEN = (
    Row(operator=aten.view.default, captured="rewritten", moves=True, identity="same shape"),
    Row(
        operator=aten._unsafe_view.default,  # noqa: SLF001 (an operator's name)
        captured="rewritten",
        moves=True,
        identity="same shape",
    ),
    Row(operator=aten.pad.default, captured="rewritten", moves=True, identity="no padding"),
    *(
        Row(operator=operator, captured="rewritten", canonical=canonical)
        for operator, canonical in (
            (aten.conv1d.padding, aten.conv1d.default),
            (aten.conv2d.padding, aten.conv2d.default),
            (aten.add.Scalar, aten.add.Tensor),
            (aten.sub.Scalar, aten.sub.Tensor),
            (aten.mul.Scalar, aten.mul.Tensor),
            (aten.div.Scalar, aten.div.Tensor),
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
    *(Row(operator=operator, captured="decomposed") for operator in _DECOMPOSED),
    *_REMOVED,
    *_REWRITTEN,
    *_SHAPE_ONLY,
    *_LOGIC,
)
