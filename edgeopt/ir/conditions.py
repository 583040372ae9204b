"""What a pass asks of a program, and promises: predicates that name the node that breaks them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from edgeopt.contracts.storage import Precision
from edgeopt.ir.source import operator_name, source_line

if TYPE_CHECKING:
    import torch

    from edgeopt.ir.program import Program

__all__ = ["Breach", "Condition", "breach_at", "no_calls", "no_table"]


class Breach(NamedTuple):
    """One node that breaks a condition.

    Attributes:
        what: The node, its operator and line in the user's code, and what is wrong with it.
        run: The pass that mends it; empty for none.
    """

    what: str
    run: str = ""


Condition = Callable[["Program"], Iterator[Breach]]


def breach_at(node: torch.fx.Node, what: str, run: str = "") -> Breach:
    """Returns the breach of ``node``."""
    line = source_line(node)
    return Breach(f"{node.name} ({operator_name(node)}{f', {line}' if line else ''}) {what}", run)


def no_calls(*targets: Any) -> Condition:
    """Returns the condition that no node calls one of ``targets``."""

    def condition(program: Program) -> Iterator[Breach]:
        for node in program.graph.nodes:
            if node.op == "call_function" and node.target in targets:
                yield breach_at(node, "is left")

    return condition


def no_table(program: Program) -> Iterator[Breach]:
    """Yields each integer value that still is in the quantization table."""
    for name, spec in program.quant.items():
        if spec.dtype != Precision.FLOAT16:
            yield breach_at(program.node(name), "is still in the quantization table")
