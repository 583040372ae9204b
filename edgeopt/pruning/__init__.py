"""Pruning: whole channels, heads and neurons removed; or single weights set to zero."""

from edgeopt.pruning.pruned import LayerReport, Pruned, PruningReport
from edgeopt.pruning.run import prune
from edgeopt.pruning.sparse import record_sparsity, sparsify
from edgeopt.pruning.structure import load_pruned, save_pruned

__all__ = [
    "LayerReport",
    "Pruned",
    "PruningReport",
    "load_pruned",
    "prune",
    "record_sparsity",
    "save_pruned",
    "sparsify",
]
