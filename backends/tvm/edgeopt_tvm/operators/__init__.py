"""One module a family of operators; importing them enters their rules."""

from edgeopt_tvm.operators import (
    activations,
    arithmetic,
    convolutions,
    normalization,
    padding,
    pooling,
    products,
    reductions,
    resizing,
    shapes,
)

__all__ = [
    "activations",
    "arithmetic",
    "convolutions",
    "normalization",
    "padding",
    "pooling",
    "products",
    "reductions",
    "resizing",
    "shapes",
]
