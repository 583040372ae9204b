"""The table of the rules that `edgeopt_tflite.ops` enters when it is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.lowering import RuleTable

if TYPE_CHECKING:
    from edgeopt_tflite.emitter import Emitter

__all__ = ["lowers"]

lowers: RuleTable[Emitter] = RuleTable("TFLite")
"""Decorates the function that writes an operator; it puts the value by itself, and returns None."""
