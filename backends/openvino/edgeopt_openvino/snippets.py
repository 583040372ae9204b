"""Keeps apart what OpenVINO's compiler cannot join.

The plugin makes one kernel (a "snippet") of a group norm, and one of a softmax between two products. An elementwise
operator that reads such a kernel and a kernel of other elementwise operators ends the process: its tokenizer takes
both for kernels that may grow, and has no body of the first (`tokenize_node`, up to 2026.4 at least).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino.opset13 as op

from edgeopt.ir import ops

if TYPE_CHECKING:
    import torch

    from edgeopt_openvino.emitter import Emitter

__all__ = ["apart", "meets_others"]


def meets_others(e: Emitter, node: torch.fx.Node) -> bool:
    """Returns whether an operator reads ``node``, through others of one input, beside another computed value."""
    waiting, nodes = [node], {node}
    while waiting:
        for user in waiting.pop().users:
            if user.op == "output" or ops.is_weighted(user) or user in nodes:
                continue
            if sum(v.name not in e.program.constants for v in user.all_input_nodes) > 1:
                return True
            waiting.append(user)
            nodes.add(user)
    return False


def apart(e: Emitter, node: torch.fx.Node, value: Any) -> Any:
    """Returns ``value``, which ``node`` was written as, in a kernel of its own where it `meets_others`.

    A roll by nothing is no elementwise operator, and stays.
    """
    if not meets_others(e, node):
        return value
    return op.roll(value, np.zeros(1, np.int64), np.zeros(1, np.int64))
