"""What backends stand on: rules for operators, one emission, its support report, a local runner.

A backend derives from `RuleBackend` and gives an `Emitter`, the rules of a `RuleTable` and a writer
of files; docs/backends.md shows a whole one. `edgeopt.lowering.frontend`, which needs torch, writes
single operators through a toolchain's own importer. Importing this package takes no torch.
"""

from edgeopt.lowering.backend import ModelFiles, RuleBackend
from edgeopt.lowering.emitter import Emitter
from edgeopt.lowering.rule_table import NoRuleError, RuleTable
from edgeopt.lowering.sharing import lower_once, shared_lowerings
from edgeopt.lowering.support import require_supported, support_report
from edgeopt.lowering.wheels import Release, find_wheels, require_system

__all__ = [
    "Emitter",
    "ModelFiles",
    "NoRuleError",
    "Release",
    "RuleBackend",
    "RuleTable",
    "find_wheels",
    "lower_once",
    "require_supported",
    "require_system",
    "shared_lowerings",
    "support_report",
]
