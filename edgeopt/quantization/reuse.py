"""What a second run of the quantizer need not find again: it lies before all that was placed otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.quantization.layerwise import QuantizationResult

if TYPE_CHECKING:
    from edgeopt.ir.program import Program
    from edgeopt.quantization.placement import QuantizerPlacement

__all__ = ["unaffected"]


def unaffected(
    program: Program,
    before: QuantizerPlacement,
    result: QuantizationResult,
    after: QuantizerPlacement,
) -> QuantizationResult:
    """Returns the part of ``result``, of a run with ``before``, that one with ``after`` would find again.

    A value is affected where it, or one that it is computed from, is in another group of quantization parameters or
    belongs to a weighted operator that runs otherwise. Parameters that a group's values share are kept where none of
    these is affected, and a weight where none of its consumers is.
    """
    own, new_own = (
        {name: names for names in map(frozenset, placement.members.values()) for name in names}
        for placement in (before, after)
    )
    otherwise = set(before.weighted_operators) ^ set(after.weighted_operators)
    affected: set[str] = set()
    for node in program.graph.nodes:
        is_other = node.name in otherwise or own.get(node.name) != new_own.get(node.name)
        if is_other or any(used.name in affected for used in node.all_input_nodes):
            affected.add(node.name)

    def is_read_alike(constant: str) -> bool:
        return affected.isdisjoint(consumer.name for consumer in program.node(constant).users)

    return QuantizationResult(
        grids={
            group: result.grids[before.group[group]]
            for group, members in after.members.items()
            if affected.isdisjoint(members)
        },
        weights={name: weight for name, weight in result.weights.items() if is_read_alike(name)},
        quality={name: q for name, q in result.quality.items() if name not in affected},
    )
