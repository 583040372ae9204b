"""Schedules without choices: copies, element-wise kernels, reductions, and what follows an anchor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tvm.s_tir.schedule import ScheduleError
from tvm.tirx import IterVar

from edgeopt_tvm.kernels.anatomy import axes, extents, inlined
from edgeopt_tvm.kernels.packing import lanes_for

if TYPE_CHECKING:
    from tvm.s_tir import Schedule

    from edgeopt_tvm.kernels.anatomy import Anatomy
    from edgeopt_tvm.machine import Machine

__all__ = ["apply", "copied", "follows", "share_out", "tiled_tail"]

_PARALLEL_FROM = 16_384
"""Elements from which more than one thread pays."""
_TASKS = 64
"""Iterations of a parallel loop that are enough to share out evenly."""


def apply(sch: Schedule, anatomy: Anatomy, machine: Machine) -> None:
    """Schedules a kernel without an anchor's template, block by block."""
    for name in anatomy.all[:-1]:
        if not axes(sch, name, IterVar.CommReduce):
            _inline_if_possible(sch, name)
    for block in sch.get_child_blocks(sch.get_sblock("root")):
        name = sch.get(block).name_hint
        if axes(sch, name, IterVar.CommReduce):
            _reduced(sch, name, machine)
        else:
            copied(sch, name, machine)


def _inline_if_possible(sch: Schedule, name: str) -> None:
    block = sch.get_sblock(name)
    if len(sch.get_consumers(block)) > 1:  # it would be computed once for each
        return
    try:
        sch.compute_inline(block)
    except ScheduleError:  # it is read with an index that depends on data
        return


def copied(sch: Schedule, name: str, machine: Machine) -> None:
    """Schedules an element-wise block: vectors of the last axis, threads over the others."""
    loops = sch.get_loops(sch.get_sblock(name))
    if not loops:
        return
    loops, lane = _vector(sch, loops, machine)
    if lane is not None:
        sch.vectorize(lane)
    share_out(sch, loops, name)


def _reduced(sch: Schedule, name: str, machine: Machine) -> None:
    """Schedules a reduction: threads over its results, vectors where results are neighbours."""
    block = sch.get_sblock(name)
    spatial = len(axes(sch, name, IterVar.DataPar))
    loops = sch.get_loops(block)
    if len(loops) != spatial + len(axes(sch, name, IterVar.CommReduce)) or not spatial:
        return
    outer, reduced = loops[:spatial], loops[spatial:]
    if _results_are_neighbours(sch, block):
        outer, lane = _vector(sch, outer, machine)
        if lane is not None:
            sch.reorder(*outer, *reduced, lane)
            sch.vectorize(lane)
    share_out(sch, outer, name)
    sch.decompose_reduction(block, reduced[0])


def _results_are_neighbours(sch: Schedule, block: Any) -> bool:
    """Returns whether the last axis of what is read is an axis of the result."""
    statement = sch.get(block)
    spatial = [v.var for v in statement.iter_vars if v.iter_type == IterVar.DataPar]
    written = statement.writes[0].region[-1].min
    read = [r.region[-1].min for r in statement.reads if len(r.region)]
    return any(written.same_as(v) for v in spatial) and any(r.same_as(written) for r in read)


def _vector(sch: Schedule, loops: list[Any], machine: Machine) -> tuple[list[Any], Any]:
    width = lanes_for(int(sch.get(loops[-1]).extent), machine)
    if width == 1:
        return loops, None
    last, lane = sch.split(loops[-1], [None, width])
    return [*loops[:-1], last], lane


def share_out(sch: Schedule, loops: list[Any], name: str) -> None:
    """Runs the outermost of ``loops`` in parallel, as few as give each core enough tasks."""
    if _work(sch, name) < _PARALLEL_FROM:
        return
    outer_loops, tasks = [], 1
    for loop in loops:
        if tasks >= _TASKS:
            break
        outer_loops.append(loop)
        tasks *= int(sch.get(loop).extent)
    sch.parallel(sch.fuse(*outer_loops) if len(outer_loops) > 1 else outer_loops[0])


def _work(sch: Schedule, name: str) -> int:
    total = 1
    for v in sch.get(sch.get_sblock(name)).iter_vars:
        total *= int(v.dom.extent)
    return total


def tiled_tail(sch: Schedule, anatomy: Anatomy) -> Any:
    """Returns the one block that is left behind the anchor, the others put into it."""
    if not anatomy.tail:
        return sch.cache_write(sch.get_sblock(anatomy.anchor), 0, "global")
    inlined(sch, anatomy.tail[:-1])
    return sch.get_sblock(anatomy.tail[-1])


def follows(sch: Schedule, anatomy: Anatomy) -> bool:
    """Returns whether what is behind the anchor runs over its axes, so that it can be tiled."""
    own = extents(sch, str(anatomy.anchor))
    for name in anatomy.tail:
        theirs = extents(sch, name)
        fits = len(own) == len(theirs) and all(a <= b for a, b in zip(theirs, own, strict=True))
        if not fits or axes(sch, name, IterVar.CommReduce):
            return False
    return True
