"""The schedule of kernels that reduce rows: softmax, normalization, sums over the last axis.

All that belongs to a row is computed together, while it lies in the cache; rows run in parallel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvm.tirx import IterVar

from edgeopt_tvm.kernels.anatomy import axes, extents
from edgeopt_tvm.kernels.packing import lanes_for
from edgeopt_tvm.kernels.plain import share_out

if TYPE_CHECKING:
    from tvm.s_tir import Schedule

    from edgeopt_tvm.kernels.anatomy import Anatomy
    from edgeopt_tvm.machine import Machine

__all__ = ["apply", "reduces_rows"]


def reduces_rows(sch: Schedule, anatomy: Anatomy) -> bool:
    """Returns whether all reductions are over one last axis, and all else runs over the same rows."""
    reductions = [n for n in anatomy.all if axes(sch, n, IterVar.CommReduce)]
    if not reductions or reductions[-1] == anatomy.all[-1]:
        return False
    rows = extents(sch, reductions[0])
    return bool(rows) and all(
        extents(sch, name)[: len(rows)] == rows
        and len(axes(sch, name, IterVar.CommReduce)) == (name in reductions)
        and len(extents(sch, name)) <= len(rows) + 1
        for name in anatomy.all
    )


def apply(sch: Schedule, anatomy: Anatomy, machine: Machine) -> None:
    """Schedules the kernel."""
    reductions = [n for n in anatomy.all if axes(sch, n, IterVar.CommReduce)]
    count, last = len(extents(sch, reductions[0])), anatomy.all[-1]
    for name in reductions:
        _in_lanes(sch, name, machine)
    loops = sch.get_loops(sch.get_sblock(last))
    row = sch.fuse(*loops[:count]) if count > 1 else loops[0]
    names = [sch.get(b).name_hint for b in sch.get_child_blocks(sch.get_sblock("root"))]
    for name in reversed(names):
        if name != last:
            sch.compute_at(sch.get_sblock(name), row)
    for name in names:
        if not axes(sch, name, IterVar.CommReduce):
            _vectors(sch, name, machine)
    share_out(sch, [row], last)


def _in_lanes(sch: Schedule, name: str, machine: Machine) -> None:
    """Lets a sum be of as many parts as a vector has lanes, which are summed in the end."""
    block = sch.get_sblock(name)
    loop = sch.get_loops(block)[-1]
    width = lanes_for(int(sch.get(loop).extent), machine)
    if width == 1 or len(sch.get(block).writes) > 1:
        return
    lane = sch.split(loop, [None, width])[1]
    partial = sch.rfactor(lane, len(extents(sch, name)))
    *_, outer, inner = sch.get_loops(partial)
    sch.reorder(outer, inner)
    sch.vectorize(inner)


def _vectors(sch: Schedule, name: str, machine: Machine) -> None:
    loops = sch.get_loops(sch.get_sblock(name))[1:]
    if not loops:
        return
    width = lanes_for(int(sch.get(loops[-1]).extent), machine)
    if width > 1:
        sch.vectorize(sch.split(loops[-1], [None, width])[1])
