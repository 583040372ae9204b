"""Operators that compute: weighted, element by element, reductions, normalizations, products."""

from __future__ import annotations

import torch
from torch.nn import functional

from edgeopt.contracts.storage import INT8
from edgeopt.ir.operators.traits import OperatorTraits as Row
from edgeopt.ir.operators.traits import RecurrentTraits, WeightTraits

__all__ = ["ROWS"]

aten = torch.ops.aten

_WEIGHTED = (
    *(
        Row(
            operator=operator,
            integer_kernel="accumulates",
            weight=weight,
            applies_activation=True,
            layout="channels-last" if weight.convolution else "",
            trained_operands=(1, 2),
        )
        for operator, weight in (
            (aten.conv1d.default, WeightTraits()),
            (aten.conv2d.default, WeightTraits()),
            (aten.conv_transpose2d.input, WeightTraits(output_axis=1, transposed=True)),
            (aten.linear.default, WeightTraits(result_axis=-1, convolution=False)),
        )
    ),
)

_VOLUMES = (
    Row(
        operator=aten.conv3d.default,
        weight=WeightTraits(),
        captured="rewritten",
        trained_operands=(1, 2),
    ),
)
"""Rewritten when batch norms are folded."""

_ARITHMETIC = (
    Row(
        operator=aten.add.Tensor,
        exact=True,
        integer_kernel="elementwise",
        applies_activation=True,
        scale_rule="sum",
        layout="any",
        identity="neutral",
        neutral=0,
        joins=True,
    ),
    Row(
        operator=aten.sub.Tensor,
        exact=True,
        integer_kernel="elementwise",
        scale_rule="sum",
        layout="any",
        identity="neutral",
        neutral=0,
        joins=True,
    ),
    Row(
        operator=aten.mul.Tensor,
        exact=True,
        integer_kernel="elementwise",
        scale_rule="product",
        flat=functional.silu,  # what `useful_range` asks about is x * sigmoid(x)
        layout="any",
        identity="neutral",
        neutral=1,
    ),
    Row(
        operator=aten.div.Tensor,
        layout="any",
        identity="neutral",
        neutral=1,
        undefined="some",
    ),
    Row(operator=aten.where.self, exact=True, partwise=True),
    *(
        Row(operator=operator, exact=True)
        for operator in (aten.maximum.default, aten.minimum.default)
    ),
    *(
        Row(operator=operator, undefined="some")
        for operator in (aten.pow.Tensor_Scalar, aten.pow.Tensor_Tensor)
    ),
)

_ACTIVATIONS = (
    Row(
        operator=aten.relu.default,
        integer_kernel="elementwise",
        activation=True,
        layout="any",
        channel_axes=("every",),
    ),
    Row(
        operator=aten.clamp.default,
        integer_kernel="elementwise",
        activation=True,
        layout="any",
    ),
    Row(
        operator=aten.sigmoid.default,
        integer_kernel="elementwise",
        prescribed_output=(2.0**-8, INT8.lowest),
        flat=torch.sigmoid,
        layout="any",
    ),
    Row(
        operator=aten.tanh.default,
        integer_kernel="elementwise",
        prescribed_output=(2.0**-7, 0),
        flat=torch.tanh,
        layout="any",
        representation=True,
    ),
    Row(operator=aten.gelu.default, integer_kernel="table", flat=functional.gelu),
    Row(operator=aten.hardswish.default, integer_kernel="table", flat=functional.hardswish),
    Row(operator=aten.leaky_relu.default, integer_kernel="table"),
    Row(operator=aten.elu.default, integer_kernel="table"),
)

_FLOAT_UNARY = (
    Row(operator=aten.abs.default, exact=True),
    Row(operator=aten.neg.default, exact=True, partwise=True),
    Row(operator=aten.sign.default, exact=True, jumps="elsewhere"),
    *(
        Row(operator=operator, exact=True, jumps="whole")
        for operator in (aten.ceil.default, aten.floor.default, aten.round.default)
    ),
    *(
        Row(operator=operator, undefined="pole")
        for operator in (aten.log.default, aten.reciprocal.default, aten.rsqrt.default)
    ),
    Row(operator=aten.sqrt.default, undefined="some"),
    *(
        Row(operator=operator)
        for operator in (aten.cos.default, aten.erf.default, aten.exp.default, aten.sin.default)
    ),
)

_REDUCTIONS = (
    Row(
        operator=aten.mean.dim,
        integer_kernel="averages",
        scale_rule="mean",
        channel_axes=("second", "last"),
        partwise=True,
    ),
    Row(
        operator=aten.avg_pool2d.default,
        integer_kernel="averages",
        keeps_parameters=True,
        layout="channels-last",
        channel_axes=("second",),
    ),
    Row(
        operator=aten.max_pool2d.default,
        integer_kernel="selects",
        keeps_parameters=True,
        layout="channels-last",
        channel_axes=("second",),
    ),
    Row(operator=aten.sum.dim_IntList, sums=True, partwise=True),
    *(
        Row(operator=operator, jumps="elsewhere")
        for operator in (
            aten.argmax.default,
            aten.argmin.default,
        )
    ),
    *(Row(operator=operator, exact=True) for operator in (aten.amax.default, aten.amin.default)),
    Row(
        operator=aten.upsample_bilinear2d.vec,
        layout="channels-last",
        channel_axes=("second",),
    ),
)

_NORMALIZATIONS = (
    *(
        Row(
            operator=operator,
            normalization=True,
            trained_operands=(2, 3),
            centers=True,
            representation=True,
        )
        for operator in (aten.layer_norm.default, aten.group_norm.default)
    ),
    Row(operator=aten.softmax.int, normalization=True),
    Row(
        operator=aten.scaled_dot_product_attention.default,
        normalization=True,
        macs="attention",
    ),
)

_RECURRENT = tuple(
    Row(
        operator=operator,
        recurrent=recurrent,
        macs="recurrent",
        trained_operands=(2,),
        representation=True,
    )
    for operator, recurrent in (
        (aten.lstm.input, RecurrentTraits(gates=4, states=2)),
        (aten.gru.input, RecurrentTraits(gates=3)),
        (aten.rnn_tanh.input, RecurrentTraits(activation="tanh")),
        (aten.rnn_relu.input, RecurrentTraits(activation="relu")),
    )
)
"""In float: what a step rounds, all steps behind it carry along."""

_PRODUCTS = (
    Row(operator=aten.matmul.default, macs="product"),
    Row(operator=aten.bmm.default, macs="product", captured="rewritten"),
    Row(operator=aten.mm.default, macs="product", captured="rewritten"),
)

_COMPARISONS = (
    *(
        Row(operator=operator, exact=True, jumps="order")
        for operator in (
            aten.ge.Scalar,
            aten.ge.Tensor,
            aten.gt.Scalar,
            aten.gt.Tensor,
            aten.le.Scalar,
            aten.le.Tensor,
            aten.lt.Scalar,
            aten.lt.Tensor,
        )
    ),
    *(
        Row(operator=operator, exact=True, jumps="elsewhere")
        for operator in (
            aten.eq.Scalar,
            aten.eq.Tensor,
            aten.ne.Scalar,
            aten.ne.Tensor,
            aten.logical_not.default,
        )
    ),
    *(
        Row(operator=operator, exact=True)
        for operator in (
            aten.bitwise_not.default,
            aten.bitwise_xor.Tensor,
            aten.logical_xor.default,
            aten.all.dim,
            aten.any.dim,
        )
    ),
)

_IN_FLOAT = (
    Row(operator=aten.cumsum.default, sums=True),
    *(
        Row(operator=operator, undefined="some")
        for operator in (
            aten.acos.default,
            aten.acosh.default,
            aten.asin.default,
            aten.log10.default,
            aten.log1p.default,
            aten.log2.default,
        )
    ),
    *(
        Row(operator=operator, jumps="elsewhere")
        for operator in (
            aten.div.Scalar_mode,
            aten.div.Tensor_mode,
            aten.floor_divide.default,
            aten.fmod.Scalar,
            aten.fmod.Tensor,
            aten.remainder.Scalar,
            aten.remainder.Tensor,
            aten.round.decimals,
        )
    ),
    *(
        Row(operator=operator, centers=True)
        for operator in (aten.std.correction, aten.var.correction)
    ),
    *(
        Row(operator=operator)
        for operator in (
            aten.asinh.default,
            aten.atan.default,
            aten.atan2.default,
            aten.atanh.default,
            aten.cosh.default,
            aten.erfc.default,
            aten.exp2.default,
            aten.expm1.default,
            aten.hypot.default,
            aten.log_sigmoid.default,
            aten.logaddexp.default,
            aten.logit.default,
            aten.sinc.default,
            aten.sinh.default,
            aten.tan.default,
            aten.xlogy.Tensor,
            aten.pow.Scalar,
            aten._cdist_forward.default,  # noqa: SLF001 (an operator's name)
            aten.cosine_similarity.default,
            aten.cumprod.default,
            aten.linalg_vector_norm.default,
            aten.log_softmax.int,
            aten.logcumsumexp.default,
            aten.logsumexp.default,
            aten.pairwise_distance.default,
            aten.prod.dim_int,
            aten.conv_transpose3d.input,
            aten.grid_sampler.default,
            aten._upsample_bicubic2d_aa.vec,  # noqa: SLF001 (likewise)
            aten._upsample_bilinear2d_aa.vec,  # noqa: SLF001
            aten.upsample_bicubic2d.vec,
            aten.upsample_nearest3d.vec,
            aten.upsample_trilinear3d.vec,
        )
    ),
)
"""Those that stay whole though not all runtimes have a kernel: decomposed at capture, each of their parts
would be rounded in int8. A backend without a kernel decomposes them when it writes them."""

ROWS = (
    *_WEIGHTED,
    *_VOLUMES,
    *_ARITHMETIC,
    *_ACTIVATIONS,
    *_FLOAT_UNARY,
    *_REDUCTIONS,
    *_NORMALIZATIONS,
    *_RECURRENT,
    *_PRODUCTS,
    *_COMPARISONS,
    *_IN_FLOAT,
)
