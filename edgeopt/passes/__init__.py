"""Small functions from Program to Program. What each requires and ensures is checked when it is run."""

from edgeopt.contracts.passes import PassSpec
from edgeopt.passes.base import (
    CORE,
    REGISTRY,
    GraphPass,
    NumberChange,
    Pass,
    PassResult,
    changes_numbers,
    find_pass,
    graph_pass,
    number_changes,
    require_canonical,
    run_core,
    run_pass,
    run_passes,
)

__all__ = [
    "CORE",
    "REGISTRY",
    "GraphPass",
    "NumberChange",
    "Pass",
    "PassResult",
    "PassSpec",
    "changes_numbers",
    "find_pass",
    "graph_pass",
    "number_changes",
    "require_canonical",
    "run_core",
    "run_pass",
    "run_passes",
]
