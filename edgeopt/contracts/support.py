"""Which nodes of a program a backend can run on a target, and why not."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["NodeSupport", "SupportReport"]

Verdict = Literal["integer", "float", "moves", "folded", "unsupported"]
"""What a node runs as: what `edgeopt.ir.kernel_kind` says, or that the backend cannot run it."""


class NodeSupport(msgspec.Struct, frozen=True):
    """One node's verdict.

    Attributes:
        node: Name of the value that the node makes.
        operator: The ATen operator, for example ``aten.conv2d.default``.
        verdict: ``integer`` (integers go in and come out), ``float``, ``moves`` (makes no number),
            ``folded`` (costs nothing at run time: a view, a fused activation) or ``unsupported``.
        reason: Why it is float, folded or not supported, and integer without quantization.
        source: ``file:line`` of the model's code that made the node, where known.
        module: Path of the module in the model, for example ``encoder.layers.0``.
    """

    node: str
    operator: str
    verdict: Verdict
    reason: str = ""
    source: str = ""
    module: str = ""


class SupportReport(msgspec.Struct, frozen=True):
    """What a backend says of a program before it compiles it."""

    backend: str
    target: str
    nodes: tuple[NodeSupport, ...]

    @property
    def unsupported(self) -> tuple[NodeSupport, ...]:
        """The nodes that stop this program from being compiled."""
        return tuple(n for n in self.nodes if n.verdict == "unsupported")

    @property
    def ok(self) -> bool:
        """Whether every node can run."""
        return not self.unsupported

    def count(self, verdict: Verdict) -> int:
        """Returns how many nodes got ``verdict``."""
        return sum(n.verdict == verdict for n in self.nodes)

    def __str__(self) -> str:
        total = len(self.nodes)
        head = (
            f"{self.backend} on {self.target}: {total} nodes, {self.count('integer')} integer, "
            f"{self.count('float')} float, {self.count('moves')} moves, "
            f"{self.count('folded')} folded, "
            f"{len(self.unsupported)} unsupported"
        )
        rows = [
            f"  {n.node} ({n.operator}){f' at {n.source}' if n.source else ''}: {n.reason}"
            for n in self.unsupported
        ]
        return "\n".join([head, *rows])
