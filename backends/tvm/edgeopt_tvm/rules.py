"""What a rule says when it does not cover a node."""

from __future__ import annotations

__all__ = ["NoRuleError"]


class NoRuleError(Exception):
    """An operator, or these arguments of it, cannot be written this way; says why."""
