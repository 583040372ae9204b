"""Operators that OpenVINO's own importer gets wrong: they are left to be decomposed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt_openvino.operators.pooling import MISFUSED_RANK

if TYPE_CHECKING:
    from torch.fx import Node

__all__ = ["importer_fault"]

aten = torch.ops.aten

_REDUCING = frozenset(
    {
        aten.cosine_similarity.default,
        aten.linalg_vector_norm.default,
        aten.log_softmax.int,
        aten.logsumexp.default,
        aten.pairwise_distance.default,
        aten.prod.dim_int,
        aten.std.correction,
        aten.var.correction,
    }
)


def importer_fault(node: Node) -> str:
    """Returns what is wrong with what the importer makes of ``node``, empty where nothing is known."""
    if node.target is aten.log1p.default:
        return "OpenVINO's logarithm next to 1 is off by 1e-5"
    source: Any = node.args[0] if node.args else None
    value = source.meta.get("val") if hasattr(source, "meta") else None
    if node.target in _REDUCING and getattr(value, "ndim", 0) == MISFUSED_RANK:
        return "OpenVINO reduces three axes wrongly where a constant follows"
    return ""
