"""Flags that are called otherwise than the fields that they are for."""

from __future__ import annotations

__all__ = ["NAMES"]

NAMES = {
    "quantization": "set",
    "tuning.": "tune-",
    "checks.samples": "check-samples",
    "checks.fidelity.": "fidelity-",
}
"""Flags of `DeployOptions` that are not called as their fields are."""
