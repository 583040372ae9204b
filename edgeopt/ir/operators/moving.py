"""Operators that move values: shapes, orders, parts, lookups, changes of type."""

from __future__ import annotations

import operator

import torch

from edgeopt.ir.operators.traits import OperatorTraits as Row

__all__ = ["ROWS"]

aten = torch.ops.aten

ROWS = (
    Row(
        operator=aten.reshape.default,
        moves=True,
        keeps_parameters=True,
        view=True,
        channel_axes=("second", "last"),
        identity="same shape",
        partwise=True,
    ),
    Row(
        operator=aten.permute.default,
        moves=True,
        keeps_parameters=True,
        layout="permutes",
        view=True,
        channel_axes=("last",),
        partwise=True,
    ),
    Row(
        operator=aten.alias.default,
        moves=True,
        keeps_parameters=True,
        requantizes=True,
        layout="any",
        view=True,
        channel_axes=("every",),
        identity="same shape",
        copies=True,
        partwise=True,
    ),
    Row(
        operator=aten.slice.Tensor,
        moves=True,
        keeps_parameters=True,
        layout="any",
        channel_axes=("last",),
        identity="same shape",
        partwise=True,
    ),
    Row(
        operator=aten.constant_pad_nd.default,
        moves=True,
        keeps_parameters=True,
        layout="any",
        channel_axes=("second",),
        identity="no padding",
    ),
    Row(
        operator=aten.expand.default,
        moves=True,
        keeps_parameters=True,
        identity="same shape",
        partwise=True,
    ),
    Row(
        operator=aten.cat.default,
        moves=True,
        keeps_parameters=True,
        layout="any",
        partwise=True,
    ),
    Row(
        operator=aten.roll.default,
        moves=True,
        keeps_parameters=True,
        channel_axes=("last",),
        partwise=True,
    ),
    Row(operator=aten.flip.default, moves=True, keeps_parameters=True, partwise=True),
    Row(
        operator=aten.upsample_nearest2d.vec,
        moves=True,
        keeps_parameters=True,
        layout="channels-last",
        channel_axes=("second",),
    ),
    Row(
        operator=aten.embedding.default,
        moves=True,
        keeps_parameters=True,
        trained_operands=(0,),
        representation=True,
    ),
    Row(operator=operator.getitem, moves=True),
    *(
        Row(operator=operator, moves=True, partwise=True)
        for operator in (aten.index_select.default, aten.index.Tensor, aten.gather.default)
    ),
    *(
        Row(operator=operator, moves=True)
        for operator in (
            aten.diagonal.default,
            aten.cummax.default,
            aten.cummin.default,
            aten.kthvalue.default,
            aten.max.dim,
            aten.median.default,
            aten.median.dim,
            aten.min.dim,
            aten.reflection_pad1d.default,
            aten.reflection_pad2d.default,
            aten.scatter.src,
            aten.scatter.value,
            aten.sort.default,
            aten.topk.default,
        )
    ),
    Row(operator=aten.scatter_add.default),
    Row(operator=aten._to_copy.default, casts=True, copies=True, identity="same dtype"),  # noqa: SLF001
    Row(operator=aten.to.dtype, casts=True, copies=True, identity="same dtype"),
)
