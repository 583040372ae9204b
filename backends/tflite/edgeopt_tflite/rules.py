"""The table of operators: ATen target to the function that writes it, and what it refuses."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from edgeopt_tflite.emitter import Emitter

    Lowering = Callable[[Emitter, torch.fx.Node], None]
    Check = Callable[[Emitter, torch.fx.Node], str]

__all__ = ["FAMILIES", "Rule", "lowers", "rule_of", "rules"]

FAMILIES = (
    "activation",
    "composite",
    "arithmetic",
    "convolution",
    "linear",
    "logic",
    "lookup",
    "normalization",
    "pooling",
    "products",
    "reduction",
    "resize",
    "transposed",
    "views",
)
"""The modules of `edgeopt_tflite.ops`; each fills the table when it is imported."""


@dataclass(frozen=True)
class Rule:
    """How one operator is written.

    Attributes:
        lower: Emits a node and writes its value.
        check: Why a node cannot be emitted; empty where it can.
    """

    lower: Lowering
    check: Check


_RULES: dict[Any, Rule] = {}


def lowers(*targets: Any, check: Check | None = None) -> Callable[[Lowering], Lowering]:
    """Returns a decorator that enters a function into the table for ``targets``."""

    def enter(function: Lowering) -> Lowering:
        for target in targets:
            _RULES[target] = Rule(function, check or _accept)
        return function

    return enter


def rules() -> dict[Any, Rule]:
    """Returns the whole table."""
    for family in FAMILIES:
        importlib.import_module(f"edgeopt_tflite.ops.{family}")
    return _RULES


def rule_of(node: torch.fx.Node) -> Rule | None:
    """Returns how ``node`` is written, None where nothing in the table fits it."""
    return rules().get(node.target)


def _accept(_: Emitter, __: torch.fx.Node) -> str:
    return ""
