"""What a node runs as: on integers, in float, as a move, or as part of another's kernel; and why.

The answer follows from the graph and its quantization table alone, so every runtime starts from it.
A runtime may still compute an integer operator in float, or none at all; its report then says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from edgeopt.contracts.support import NodeSupport
from edgeopt.ir import ops
from edgeopt.ir.operators import traits_of
from edgeopt.ir.source import matches, module_path, operator_name, source_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.contracts.support import Verdict
    from edgeopt.ir.program import Program
    from edgeopt.ir.quant import QuantSpec

__all__ = [
    "REAL_SUMS",
    "KernelKind",
    "Kind",
    "activation_spec",
    "gives_real_sums",
    "kernel_kind",
    "kernel_kinds",
    "node_support",
]

Kind = Literal["integer", "float", "moves", "folded"]

REAL_SUMS = "its sums are scaled to real numbers, for what reads those"
"""Why an integer kernel gives real numbers (`gives_real_sums`)."""


@dataclass(frozen=True)
class KernelKind:
    """What a node runs as.

    Attributes:
        kind: ``integer``: integers go in and come out, or the real numbers that whole sums stand for.
            ``float``: it reads and makes real numbers.
            ``moves``: it makes no number, whatever type they have. ``folded``: the kernel of the
            node before it does it too.
        reason: Why it is float or folded, and why it is integer without quantization, or gives real numbers.
    """

    kind: Kind
    reason: str = ""


def kernel_kind(program: Program, node: torch.fx.Node) -> KernelKind:
    """Returns what a call of ``program`` runs as.

    Args:
        program: In canonical form, in any precision.
        node: One of its calls.
    """
    if ops.is_fused(node):
        return KernelKind("folded", f"part of the kernel of {node.args[0]}")
    if not _touches_float(node):
        return _of_integers(node)
    if traits_of(node).moves and not any(True for _ in _specs(program, node)):
        return KernelKind("moves")
    reason = _why_float(program, node)
    if reason:
        return KernelKind("float", reason)
    if gives_real_sums(program, node):
        return KernelKind("integer", REAL_SUMS)
    return KernelKind("moves" if _only_moves(program, node) else "integer")


def kernel_kinds(program: Program) -> dict[str, KernelKind]:
    """Returns the name of each call to what it runs as."""
    calls = (node for node in program.graph.nodes if node.op == "call_function")
    return {node.name: kernel_kind(program, node) for node in calls}


def activation_spec(program: Program, node: torch.fx.Node) -> QuantSpec | None:
    """Returns the per-tensor int8 parameters of a value, None for one that is float."""
    spec = program.quant.get(node.name)
    return spec if spec is not None and spec.is_activation else None


def gives_real_sums(program: Program, node: torch.fx.Node) -> bool:
    """Returns whether ``node`` adds up products of integers, and nothing rounds what those sums stand for.

    Args:
        program: In canonical form.
        node: One of its calls.
    """
    if not ops.is_weighted(node) or ops.fused_activation(node) is not None:
        return False
    value, weight, _ = ops.weighted_parts(node)
    spec = program.quant.get(weight.name)
    sums = activation_spec(program, value) is not None and spec is not None and spec.is_weight
    return sums and activation_spec(program, node) is None


def node_support(
    program: Program,
    node: torch.fx.Node,
    *,
    verdict: Verdict | None = None,
    reason: str = "",
) -> NodeSupport:
    """Returns a node's line of a support report.

    Args:
        program: As it was before the target passes.
        node: One of its calls.
        verdict: What the runtime makes of it, where that is not what `kernel_kind` says.
        reason: Why.
    """
    result = kernel_kind(program, node)
    return NodeSupport(
        node=node.name,
        operator=operator_name(node),
        verdict=verdict or result.kind,
        reason=reason if verdict is not None else result.reason,
        source=source_line(node),
        module=module_path(node),
    )


def _touches_float(node: torch.fx.Node) -> bool:
    """Whether ``node`` reads or makes a float tensor; one of several results counts."""
    output = node.meta.get("val")
    parts = output if isinstance(output, (tuple, list)) else (output,)
    return any(isinstance(p, torch.Tensor) and p.dtype.is_floating_point for p in parts) or any(
        ops.is_float_tensor(value) for value in node.all_input_nodes
    )


def _of_integers(node: torch.fx.Node) -> KernelKind:
    if traits_of(node).moves:
        return KernelKind("moves")
    dtype = str(getattr(node.meta.get("val"), "dtype", "integers")).removeprefix("torch.")
    return KernelKind("integer", f"{dtype} arithmetic")


def _why_float(program: Program, node: torch.fx.Node) -> str:
    if not program.precision.is_integer:
        return f"the precision is {program.precision}"
    if traits_of(node).recurrent is not None:
        return "its state needs more than 8 bits: each step would round what it hands on"
    if not traits_of(node).runs_on_integers:
        return "no integer kernel"
    missing = next(_without_parameters(program, node), "")
    if not missing:
        return ""
    pattern = _kept_in_float_by(program, node)
    return f"kept in float by keep_float={pattern!r}" if pattern else missing


def _without_parameters(program: Program, node: torch.fx.Node) -> Iterator[str]:
    """Yields what lacks quantization parameters: the weight, an input, the output."""
    if ops.is_weighted(node):
        _, weight, _ = ops.weighted_parts(node)
        if weight.name not in program.constants:
            yield f"its weight {weight.name} is computed by the model"
            return
        spec = program.quant.get(weight.name)
        if spec is None or not spec.is_weight:
            yield f"its weight {weight.name} has no quantization parameters"
        elif spec.granularity == "group" or bool(spec.zero_point.any()):
            yield f"its weight {weight.name} has steps that one sum of integers cannot take"
    for value in ops.activation_inputs(node):
        if activation_spec(program, value) is None:
            yield f"{value.name} has no quantization parameters"
    if gives_real_sums(program, node):
        return
    if activation_spec(program, ops.fused_activation(node) or node) is None:
        yield "its output has no quantization parameters"


def _specs(program: Program, node: torch.fx.Node) -> Iterator[QuantSpec]:
    for value in (*ops.activation_inputs(node), node):
        spec = activation_spec(program, value)
        if spec is not None:
            yield spec


def _only_moves(program: Program, node: torch.fx.Node) -> bool:
    first, *others = _specs(program, node)
    return traits_of(node).moves and all(first.same_grid(other) for other in others)


def _kept_in_float_by(program: Program, node: torch.fx.Node) -> str:
    """Returns the pattern of the user's that keeps ``node`` in float, empty where there is none."""
    fused = ops.fused_activation(node)
    nodes = [node] if fused is None else [node, fused]
    for step in reversed(program.history):
        patterns: Any = step.settings.get("keep_float", ())
        for pattern in patterns if step.name == "quantize" else ():
            if any(matches(one, pattern) for one in nodes):
                return str(pattern)
    return ""
