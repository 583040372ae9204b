"""The operators that are written directly: ATen name to ``module:function``. Imports nothing."""

from __future__ import annotations

__all__ = ["TABLE"]

_ARITHMETIC = {
    "add.Tensor": "add",
    "sub.Tensor": "subtract",
    "mul.Tensor": "multiply",
    "div.Tensor": "divide",
    "maximum.default": "maximum",
    "minimum.default": "minimum",
    "pow.Tensor_Scalar": "power",
    "pow.Tensor_Tensor": "power",
    "neg.default": "negative",
    "abs.default": "absolute",
    "exp.default": "exponential",
    "log.default": "logarithm",
    "sqrt.default": "square_root",
    "rsqrt.default": "inverse_square_root",
    "reciprocal.default": "reciprocal",
    "erf.default": "error_function",
    "sin.default": "sine",
    "cos.default": "cosine",
    "floor.default": "floor",
    "ceil.default": "ceiling",
    "round.default": "round_half_to_even",
    "where.self": "where",
    "eq.Tensor": "equal",
    "eq.Scalar": "equal",
    "ne.Tensor": "not_equal",
    "ne.Scalar": "not_equal",
    "lt.Tensor": "less",
    "lt.Scalar": "less",
    "le.Tensor": "less_equal",
    "le.Scalar": "less_equal",
    "gt.Tensor": "greater",
    "gt.Scalar": "greater",
    "ge.Tensor": "greater_equal",
    "ge.Scalar": "greater_equal",
    "logical_and.default": "logical_and",
    "logical_or.default": "logical_or",
    "logical_not.default": "logical_not",
    "_to_copy.default": "to_dtype",
    "to.dtype": "to_dtype",
}

_ACTIVATIONS = {
    "relu.default": "relu",
    "clamp.default": "clamp",
    "sigmoid.default": "sigmoid",
    "tanh.default": "tanh",
    "gelu.default": "gelu",
    "hardswish.default": "hardswish",
    "leaky_relu.default": "leaky_relu",
    "elu.default": "elu",
}

_NORMALIZATION = {
    "softmax.int": "softmax",
    "layer_norm.default": "layer_norm",
    "group_norm.default": "group_norm",
}

_CONVOLUTIONS = {
    "conv1d.default": "convolution",
    "conv2d.default": "convolution",
    "conv_transpose2d.input": "transposed_convolution",
}

_PRODUCTS = {
    "linear.default": "linear",
    "matmul.default": "matmul",
    "bmm.default": "matmul",
    "scaled_dot_product_attention.default": "attention",
}

_SHAPES = {
    "reshape.default": "reshape",
    "permute.default": "permute",
    "slice.Tensor": "slice_axis",
    "expand.default": "expand",
    "cat.default": "concatenate",
    "roll.default": "roll",
    "flip.default": "flip",
    "alias.default": "alias",
    "embedding.default": "embedding",
    "index_select.default": "index_select",
}

_POOLING = {
    "max_pool2d.default": "max_pool",
    "avg_pool2d.default": "avg_pool",
}

_PADDING = {"constant_pad_nd.default": "pad"}

_RESIZING = {
    "upsample_nearest2d.vec": "upsample_nearest",
    "upsample_bilinear2d.vec": "upsample_bilinear",
}

_REDUCTIONS = {
    "mean.dim": "mean",
    "sum.dim_IntList": "total",
    "amax.default": "largest",
    "amin.default": "smallest",
}

TABLE: dict[str, str] = {
    "getitem": "shapes:part",
    **{
        f"aten.{name}": f"{module}:{function}"
        for module, entries in (
            ("arithmetic", _ARITHMETIC),
            ("activations", _ACTIVATIONS),
            ("convolutions", _CONVOLUTIONS),
            ("products", _PRODUCTS),
            ("shapes", _SHAPES),
            ("pooling", _POOLING),
            ("resizing", _RESIZING),
            ("padding", _PADDING),
            ("reductions", _REDUCTIONS),
            ("normalization", _NORMALIZATION),
        )
        for name, function in entries.items()
    },
}
"""ATen operator, as `edgeopt.ir.source.operator_name` spells it, to what writes it."""
