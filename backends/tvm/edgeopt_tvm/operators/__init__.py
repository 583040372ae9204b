"""One module a family of operators; importing them enters their rules."""

from edgeopt_tvm.operators import (
    activations,
    arithmetic,
    convolutions,
    indexing,
    normalization,
    ordering,
    padding,
    pooling,
    products,
    reductions,
    resizing,
    running,
    sampling,
    shapes,
    volumes,
    windows,
)

__all__ = [
    "activations",
    "arithmetic",
    "convolutions",
    "indexing",
    "normalization",
    "ordering",
    "padding",
    "pooling",
    "products",
    "reductions",
    "resizing",
    "running",
    "sampling",
    "shapes",
    "volumes",
    "windows",
]
