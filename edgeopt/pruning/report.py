"""What pruning did, layer by layer."""

from __future__ import annotations

from typing import Any

import msgspec

from edgeopt.ir.program import Step

__all__ = ["LayerReport", "PruningReport"]


class LayerReport(msgspec.Struct, frozen=True):
    """What happened to the channels that start at one layer.

    Attributes:
        name: The layer.
        kind: ``channels`` or ``heads``.
        before: Units at first.
        after: Units left.
        reason: Why it was left as it is; empty where it could be pruned.
    """

    name: str
    kind: str
    before: int
    after: int
    reason: str = ""


class PruningReport(msgspec.Struct, frozen=True):
    """What was done, and what it brought.

    Attributes:
        importance: By which measure units were ranked.
        goal: Name and value of the goal.
        layers: One entry a set of channels that live and go together.
        macs: Multiply-accumulates of convolutions and linear layers, before and after.
        parameters: Before and after.
        estimated_ms: The target's roofline estimate before and after; None without a target. Not
            a measurement.
        multiple: Widths were kept to a multiple of this.
        steps: In how many steps.
    """

    importance: str
    goal: dict[str, Any]
    layers: tuple[LayerReport, ...]
    macs: tuple[int, int]
    parameters: tuple[int, int]
    estimated_ms: tuple[float, float] | None = None
    multiple: int = 1
    steps: int = 1

    def as_step(self) -> Step:
        """Returns what was done as an entry of a Program's history."""
        settings = {
            "importance": self.importance,
            **self.goal,
            "multiple": self.multiple,
            "steps": self.steps,
        }
        shrunk = sum(1 for layer in self.layers if layer.after < layer.before)
        effect = {"macs": list(self.macs), "parameters": list(self.parameters), "layers": shrunk}
        return Step("prune", settings, effect)

    def __str__(self) -> str:
        (macs, macs_left), (size, size_left) = self.macs, self.parameters
        head = f"pruned by {self.importance}: MACs {macs:,} -> {macs_left:,}"
        lines = [f"{head} ({macs_left / max(1, macs):.0%}), parameters {size:,} -> {size_left:,}"]
        for layer in self.layers:
            note = f"  ({layer.reason})" if layer.reason else ""
            lines.append(f"  {layer.name}: {layer.after} of {layer.before} {layer.kind}{note}")
        return "\n".join(lines)
