"""The parts of a fused kernel: what carries it, what comes before and behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tvm
from tvm.s_tir import Schedule
from tvm.tirx import IterVar

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "WEIGHTED_OPERATORS",
    "Anatomy",
    "axes",
    "dissected",
    "extents",
    "inlined",
    "is_written_out",
    "open_schedule",
]

WEIGHTED_OPERATORS = ("direct", "depthwise", "grouped")
"""Blocks that templates are made for."""


@dataclass(frozen=True)
class Anatomy:
    """A kernel's blocks.

    Attributes:
        anchor: Name of the block that carries the time.
        pad: Name of the block that pads its input, if there is one.
        tail: Names of the blocks behind it, in order; the last writes the result.
        all: All names, in order.
    """

    anchor: str | None
    pad: str | None
    tail: tuple[str, ...]
    all: tuple[str, ...]


def open_schedule(function: Any) -> Schedule:
    """Returns a schedule of ``function`` with 32-bit indices, as processors want them."""
    module = tvm.IRModule({"main": function.with_attr("global_symbol", "main")})
    if any("int64" in str(p.ty.dtype) for p in function.params):
        return Schedule(module)  # TVM narrows nothing where the data themselves are wide
    return Schedule(tvm.tirx.transform.ForceNarrowIndexToInt32()(module))


def is_written_out(function: Any) -> bool:
    """Returns whether a kernel's loops are its own, with nothing for a schedule to choose: it is one block."""
    return str(function.body.block.name_hint) != "root"


def dissected(sch: Schedule) -> Anatomy:
    """Returns the parts of the schedule's kernel."""
    names = tuple(sch.get(b).name_hint for b in sch.get_child_blocks(sch.get_sblock("root")))
    anchor = next((n for n in names if n.split("_")[0] in WEIGHTED_OPERATORS), None)
    if anchor is None:
        return Anatomy(None, None, (), names)
    at = names.index(anchor)
    before = {n.split("_")[0]: n for n in names[:at]}
    return Anatomy(anchor, before.get("pad"), names[at + 1 :], names)


def extents(sch: Schedule, name: str) -> tuple[int, ...]:
    """Returns the extents of the spatial axes of a block."""
    return tuple(int(v.dom.extent) for v in axes(sch, name, IterVar.DataPar))


def axes(sch: Schedule, name: str, kind: int) -> list[Any]:
    """Returns the axes of a block of one kind, spatial or reduction."""
    return [v for v in sch.get(sch.get_sblock(name)).iter_vars if v.iter_type == kind]


def inlined(sch: Schedule, names: Sequence[str]) -> None:
    """Puts each of the blocks into those that read it."""
    for name in names:
        sch.compute_inline(sch.get_sblock(name))
