"""Small functions from Program to Program. Each says what it requires and what it ensures."""

from edgeopt.passes.base import (
    CORE,
    REGISTRY,
    NumberChange,
    Pass,
    changes_numbers,
    find_pass,
    number_changes,
    run_core,
    run_passes,
)

__all__ = [
    "CORE",
    "REGISTRY",
    "NumberChange",
    "Pass",
    "changes_numbers",
    "find_pass",
    "number_changes",
    "run_core",
    "run_passes",
]
