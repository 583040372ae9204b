"""Which operators are taken apart at capture: what torch writes in terms of simpler ones.

Everything else stays as the model calls it: a runtime has a kernel for `layer_norm`, and a graph
of its parts would be slower and rounded in more places.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["decompositions"]

aten = torch.ops.aten

_COMPOSITES = (
    aten._fused_rms_norm.default,  # noqa: SLF001 (an operator's name)
    aten.addcdiv.default,
    aten.addcmul.default,
    aten.atleast_1d.Sequence,
    aten.atleast_2d.Sequence,
    aten.atleast_3d.Sequence,
    aten.channel_shuffle.default,
    aten.column_stack.default,
    aten.dstack.default,
    aten.einsum.default,
    aten.glu.default,
    aten.hstack.default,
    aten.inner.default,
    aten.outer.default,
    aten.pixel_shuffle.default,
    aten.pixel_unshuffle.default,
    aten.rms_norm.default,
    aten.rot90.default,
    aten.square.default,
    aten.tensordot.default,
    aten.tile.default,
    aten.vstack.default,
)


@cache
def decompositions() -> dict[Any, Callable[..., Any]]:
    """Returns operator to its decomposition; recurrent layers become one linear a step."""
    from torch._decomp import decompositions as table  # noqa: PLC0415 (slow, and only used here)

    known = torch.export.default_decompositions()
    return {
        **{op: known[op] for op in _COMPOSITES},
        aten.lstm.input: table.lstm_impl,
        aten.gru.input: table.gru_impl,
        aten.rnn_tanh.input: table.rnn_tanh_input,
        aten.rnn_relu.input: table.rnn_relu_input,
    }
