"""Pruning: whole channels, heads and neurons removed; or single weights set to zero."""

from edgeopt.pruning.pruned import Pruned
from edgeopt.pruning.report import LayerReport, PruningReport
from edgeopt.pruning.run import prune
from edgeopt.pruning.sparse import record_sparsity, sparsify
from edgeopt.pruning.structure import load_pruned

__all__ = [
    "LayerReport",
    "Pruned",
    "PruningReport",
    "load_pruned",
    "prune",
    "record_sparsity",
    "sparsify",
]
