"""The table of this backend's rules: ATen overload to the function that writes it in C."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.lowering import RuleTable

if TYPE_CHECKING:
    from edgeopt_micro.emitter import Emitter

__all__ = ["rule"]

rule: RuleTable[Emitter] = RuleTable("the C writer")
