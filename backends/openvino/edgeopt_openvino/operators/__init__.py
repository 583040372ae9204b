"""One module a family of operators; importing them enters their rules."""

from edgeopt_openvino.operators import (
    activations,
    arithmetic,
    attention,
    convolutions,
    ordering,
    pooling,
    products,
    recurrence,
    shapes,
)

__all__ = [
    "activations",
    "arithmetic",
    "attention",
    "convolutions",
    "ordering",
    "pooling",
    "products",
    "recurrence",
    "shapes",
]
