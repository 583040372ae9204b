"""The table of operator traits: what the core knows of each ATen overload, one row each."""

from edgeopt.ir.operators.table import (
    ACTIVATIONS,
    CONVOLUTIONS,
    RECURRENT,
    TABLE,
    WEIGHTED,
    operators_where,
    traits_of,
)
from edgeopt.ir.operators.traits import OperatorTraits, RecurrentTraits, WeightTraits

__all__ = [
    "ACTIVATIONS",
    "CONVOLUTIONS",
    "RECURRENT",
    "TABLE",
    "WEIGHTED",
    "OperatorTraits",
    "RecurrentTraits",
    "WeightTraits",
    "operators_where",
    "traits_of",
]
