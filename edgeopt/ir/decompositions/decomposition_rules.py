"""All decompositions, as `ExportedProgram.run_decompositions` takes them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir.decompositions import (
    elementwise,
    layers,
    reads,
    reductions,
    resizing,
    sampling,
    windows,
    writes,
)
from edgeopt.ir.operators import TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Rules = Mapping[Any, Callable[..., Any]]

__all__ = ["decompositions", "fallback_decompositions"]

aten = torch.ops.aten


@cache
def decompositions() -> Rules:
    """Returns operator to its decomposition, of all that capture leaves no trace of.

    Recurrent layers become one linear a step.
    """
    from torch._decomp import decompositions as table  # noqa: PLC0415 (slow, and only used here)

    rules = {op: rule for op, rule in _torch_rules().items() if op not in TABLE}
    return {
        **rules,
        aten.lstm.input: table.lstm_impl,
        aten.gru.input: table.gru_impl,
        aten.rnn_tanh.input: table.rnn_tanh_input,
        aten.rnn_relu.input: table.rnn_relu_input,
        **{op: rule for op, rule in _own_rules().items() if op not in TABLE},
    }


@cache
def fallback_decompositions() -> Rules:
    """Returns the same for what stays at capture, for a runtime that has no kernel for it."""
    rules = {**_torch_rules(), **_own_rules()}
    return {op: rule for op, rule in rules.items() if op in TABLE}


@cache
def _torch_rules() -> Rules:
    return torch.export.default_decompositions()


@cache
def _own_rules() -> Rules:
    modules = (elementwise, layers, reads, reductions, resizing, sampling, windows, writes)
    return {operator: rule for module in modules for operator, rule in module.RULES.items()}
