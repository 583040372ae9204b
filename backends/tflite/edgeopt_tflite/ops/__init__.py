"""One module a family of operators; importing them enters their rules."""

from edgeopt_tflite.ops import (
    activation,
    arithmetic,
    convolution,
    linear,
    logic,
    lookup,
    normalization,
    pooling,
    products,
    recurrence,
    reduction,
    resize,
    sorting,
    transposed,
    views,
)

__all__ = [
    "activation",
    "arithmetic",
    "convolution",
    "linear",
    "logic",
    "lookup",
    "normalization",
    "pooling",
    "products",
    "recurrence",
    "reduction",
    "resize",
    "sorting",
    "transposed",
    "views",
]
