"""What of a toolchain's error a person is told."""

from __future__ import annotations

__all__ = ["reason"]

_LONGEST = 500


def reason(error: Exception) -> str:
    """Returns the last line of ``error``: TVM writes its whole stack above it."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:_LONGEST]
