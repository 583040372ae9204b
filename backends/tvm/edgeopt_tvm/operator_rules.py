"""The table of the rules that `edgeopt_tvm.operators` enters when it is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.lowering import RuleTable

if TYPE_CHECKING:
    from edgeopt_tvm.emitter import Emitter

__all__ = ["rule"]

rule: RuleTable[Emitter] = RuleTable("TVM")
"""Decorates the function that writes an operator; it puts the value by itself, and returns None."""
