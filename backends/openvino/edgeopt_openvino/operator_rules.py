"""The table of the rules that `edgeopt_openvino.operators` enters when it is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.lowering import RuleTable

if TYPE_CHECKING:
    from edgeopt_openvino.emitter import Emitter

__all__ = ["rule"]

rule: RuleTable[Emitter] = RuleTable("OpenVINO")
"""Decorates the function that writes an operator; it returns the value, or one for each that the node makes."""
