"""The table of operator traits: what the core knows of each ATen overload, one row each."""

from edgeopt.ir.operators.operator_table import (
    ACTIVATIONS,
    CONVOLUTIONS,
    TABLE,
    WEIGHTED,
    operators_where,
    traits_of,
)
from edgeopt.ir.operators.traits import OperatorTraits, WeightTraits

__all__ = [
    "ACTIVATIONS",
    "CONVOLUTIONS",
    "TABLE",
    "WEIGHTED",
    "OperatorTraits",
    "WeightTraits",
    "operators_where",
    "traits_of",
]
