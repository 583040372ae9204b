"""Where an attention's heads are moved and rounded: exact either way, and a matter of what the plugin's kernels are fast at.

- Its attention kernel reads values and writes results in the order of the linears around it at no cost, real numbers
  only. So results are rounded once their heads are beside each other, and values become real numbers before that.
- It permutes bytes row by row where a row fills a vector, else byte by byte, slower than four times as many bytes of
  real numbers. So narrow heads that are permuted together are permuted as real numbers, and each part rounded again,
  which finds nothing to round.

`python benchmarks/transformer_latency.py` measures what comes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.contracts.storage import INT8
from edgeopt.ir import ops
from edgeopt.ir.operators import traits_of

if TYPE_CHECKING:
    import torch

    from edgeopt.ir import Program

__all__ = [
    "is_rounded_later",
    "joins_heads",
    "mixes_values",
    "permuted_in_float",
    "rounded_again",
    "scores_bytes_wrong",
]

aten = ops.aten

_VECTOR = 64
"""Bytes of a vector register."""

WIDEST = 64
"""Numbers of a head that are multiplied as bytes. Of more the plugin's kernel (2026.4) reads and writes beside its
buffers where the keys are no whole blocks: wrong numbers, or the end of the process."""


def mixes_values(node: torch.fx.Node) -> bool:
    """Returns whether ``node`` is an attention, or the second product of one that is spelled out."""
    if node.target is not aten.matmul.default:
        return node.target is aten.scaled_dot_product_attention.default
    value: Any = node.args[0]
    while value.op == "call_function" and not ops.is_weighted(value):
        if value.target is aten.softmax.int:
            return True
        value = value.all_input_nodes[0]
    return False


def scores_bytes_wrong(node: torch.fx.Node) -> bool:
    """Returns whether ``node`` makes the scores of an attention whose heads are too wide for the kernel on bytes."""
    attends = node.target is aten.scaled_dot_product_attention.default
    factors: Any = (node.args[0], node.args[2]) if attends else node.args[:1]
    widest = max(int(one.meta["val"].shape[-1]) for one in factors)
    return widest > WIDEST and _makes_scores(node)


def _makes_scores(node: torch.fx.Node) -> bool:
    """Returns whether ``node`` is an attention, or a product that leads to a softmax with no other product between."""
    if node.target is aten.scaled_dot_product_attention.default:
        return True
    waiting, nodes = [node], {node}
    while waiting:
        for user in waiting.pop().users:
            if user.target is aten.softmax.int:
                return True
            ends = ops.is_weighted(user) or traits_of(user).macs == "product"
            if user.op == "call_function" and not ends and user not in nodes:
                waiting.append(user)
                nodes.add(user)
    return False


def is_rounded_later(program: Program, node: torch.fx.Node) -> bool:
    """Returns whether ``node`` is an attention that is rounded once its heads are beside each other."""
    return _joined(program, node) is not None


def joins_heads(program: Program, node: torch.fx.Node) -> bool:
    """Returns whether ``node`` is rounded in place of an attention whose heads it puts beside each other."""
    value: Any = node
    for target in (aten.reshape.default, aten.permute.default):
        if getattr(value, "target", None) is not target:
            return False
        value = value.args[0]
    return _joined(program, value) is node


def permuted_in_float(program: Program, node: torch.fx.Node) -> bool:
    """Returns whether ``node`` permutes queries, keys and values together, in rows of bytes shorter than a vector."""
    spec = program.quant.get(node.name)
    if node.target is not aten.permute.default or spec is None or spec.storage != INT8:
        return False
    axes: Any = node.args[1]
    shape = node.meta["val"].shape
    rows = axes[-1] % len(axes) == len(axes) - 1 and int(shape[-1]) < _VECTOR
    # Behind one value alone OpenVINO would round first all the same, and permute bytes.
    return rows and bool(node.users) and all(u.target is aten.slice.Tensor for u in node.users)


def rounded_again(program: Program, node: torch.fx.Node) -> bool:
    """Returns whether ``node`` is the last move of a part of what was permuted in float."""
    value, moved = node, 0
    while value.target in (aten.slice.Tensor, aten.reshape.default):
        value, moved = value.args[0], moved + 1  # type: ignore[assignment]
    ends = any(not _goes_on_in_float(user, node) for user in node.users)
    return bool(moved) and ends and permuted_in_float(program, value)


def _goes_on_in_float(user: torch.fx.Node, value: torch.fx.Node) -> bool:
    """Returns whether ``user`` moves ``value`` on, or reads it as the values of an attention."""
    if user.target in (aten.slice.Tensor, aten.reshape.default):
        return True
    at = 2 if user.target is aten.scaled_dot_product_attention.default else 1
    return mixes_values(user) and user.args[at] is value and value not in user.args[:at]


def _joined(program: Program, node: torch.fx.Node) -> torch.fx.Node | None:
    """Returns what is rounded in place of ``node``, an attention: its heads beside each other; None for itself."""
    if not mixes_values(node):
        return None
    for target in (aten.permute.default, aten.reshape.default):
        if node.name in program.output_names or [u.target for u in node.users] != [target]:
            return None
        node = next(iter(node.users))
    return node if node.name in program.quant else None
