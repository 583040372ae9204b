"""Which operators are taken apart at capture: what torch writes in terms of simpler ones.

Everything else stays as the model calls it: a runtime has a kernel for `layer_norm`, and a graph
of its parts would be slower and rounded in more places.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir.operators import operators_where

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["decompositions"]

aten = torch.ops.aten


@cache
def decompositions() -> dict[Any, Callable[..., Any]]:
    """Returns operator to its decomposition; recurrent layers become one linear a step."""
    from torch._decomp import decompositions as table  # noqa: PLC0415 (slow, and only used here)

    defaults = torch.export.default_decompositions()
    return {
        **{op: defaults[op] for op in operators_where(lambda row: row.captured == "decomposed")},
        aten.lstm.input: table.lstm_impl,
        aten.gru.input: table.gru_impl,
        aten.rnn_tanh.input: table.rnn_tanh_input,
        aten.rnn_relu.input: table.rnn_relu_input,
    }
