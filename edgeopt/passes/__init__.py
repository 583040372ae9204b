"""Small functions from Program to Program. What each requires and ensures is checked when it is run."""

from edgeopt.contracts.passes import PassSpec
from edgeopt.passes.base import (
    CORE,
    REGISTRY,
    GraphPass,
    Pass,
    PassResult,
    find_pass,
    graph_pass,
    require_canonical,
    run_core,
    run_pass,
    run_passes,
)

__all__ = [
    "CORE",
    "REGISTRY",
    "GraphPass",
    "Pass",
    "PassResult",
    "PassSpec",
    "find_pass",
    "graph_pass",
    "require_canonical",
    "run_core",
    "run_pass",
    "run_passes",
]
