"""Small functions from Program to Program. Each says what it requires and what it ensures."""

from edgeopt.passes.base import CORE, REGISTRY, Pass, find_pass, run_core, run_passes

__all__ = ["CORE", "REGISTRY", "Pass", "find_pass", "run_core", "run_passes"]
