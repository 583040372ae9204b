"""The rules as `ExportedProgram.run_decompositions` takes them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir.decompositions import (
    elementwise,
    layers,
    reads,
    recurrence,
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
    """Returns operator to its decomposition, of all that capture leaves no trace of."""
    rules = {**_torch_rules(), **_own_rules()}
    return {op: rule for op, rule in rules.items() if op not in TABLE}


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
    modules = (
        *(elementwise, layers, reads, recurrence, reductions, resizing, sampling, windows),
        writes,
    )
    return {operator: rule for module in modules for operator, rule in module.RULES.items()}
