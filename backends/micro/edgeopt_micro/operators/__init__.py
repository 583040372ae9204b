"""The rules, by what operators do; importing this package enters them into the table."""

from edgeopt_micro.operators import (
    choices,
    elementwise,
    ordering,
    products,
    reductions,
    views,
    weighted,
)

__all__ = ["choices", "elementwise", "ordering", "products", "reductions", "views", "weighted"]
