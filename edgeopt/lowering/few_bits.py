"""Weights of fewer than 8 bits for runtimes without kernels that read them packed: unpacked, and said.

The numbers stay what they are. With one step a channel they are integers of 8 bits then; with steps for groups, or zero
points, those of 8 bits of the runtime's kernels cannot be, and the weight is float.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from edgeopt.contracts.storage import INT8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import torch

    from edgeopt.contracts import SupportReport
    from edgeopt.ir import Program, QuantSpec

__all__ = ["only_linears_read", "unpack_weights", "with_unpacked"]


def unpack_weights(
    program: Program, keeps: Callable[[Program, str, QuantSpec], bool]
) -> tuple[Program, dict[str, str]]:
    """Returns the program with weights in 8 bits or float where the runtime cannot take fewer, and what became of each.

    Args:
        program: In any precision.
        keeps: Whether the runtime reads the constant of a name packed, on its grid.
    """
    table, notes = dict(program.quant), {}
    for name, spec in program.quant.items():
        if not spec.storage.is_packed or keeps(program, name, spec):
            continue
        if spec.granularity == "group" or bool(spec.zero_point.any()):
            del table[name]
            notes[name] = f"its weight of {spec.bits} bits is stored as float here"
        else:
            table[name] = _of_eight_bits(spec)
            notes[name] = f"its weight of {spec.bits} bits is stored in 8 bits here"
    return (replace(program, quant=table) if notes else program), notes


def with_unpacked(
    report: SupportReport, program: Program, notes: Mapping[str, str]
) -> SupportReport:
    """Returns the report, which says of each operator what became of its weight.

    Args:
        report: What a backend says of ``program``.
        program: What it is about.
        notes: Constant name to what became of it.
    """
    if not notes:
        return report
    rows = []
    for row in report.nodes:
        told = [notes[n.name] for n in _inputs(program, row.node) if n.name in notes]
        reason = "; ".join([*([row.reason] if row.reason else []), *told])
        rows.append(msgspec.structs.replace(row, reason=reason) if told else row)
    return msgspec.structs.replace(report, nodes=tuple(rows))


def only_linears_read(program: Program, name: str) -> bool:
    """Returns whether linears are all that reads a constant, and read it as their weight."""
    from edgeopt.ir import ops  # noqa: PLC0415 (imports torch)

    node = program.node(name)
    return all(
        user.target is ops.aten.linear.default and user.args[1] is node for user in node.users
    )


def _of_eight_bits(spec: QuantSpec) -> QuantSpec:
    return replace(spec, storage=INT8, bits=INT8.bits)


def _inputs(program: Program, name: str) -> Iterable[torch.fx.Node]:
    try:
        return program.node(name).all_input_nodes
    except KeyError:  # of a target pass
        return ()
