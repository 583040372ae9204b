"""The template of depthwise convolutions: a tile of columns and channels is held in registers.

The padding is a condition on each load, the same for a whole vector of channels: that costs less
than a padded copy of the input, which was 1.5 to 4 times as slow in every shape of MobileNetV2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt_tvm.kernels.anatomy import extents
from edgeopt_tvm.kernels.plain import lanes_for, tiled_tail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tvm.s_tir import Schedule

    from edgeopt_tvm.kernels.anatomy import Anatomy
    from edgeopt_tvm.machine import Machine

__all__ = ["apply", "configurations"]

_TILE = 14
"""Vectors in a tile that is tried first."""
PARALLEL_FROM = 20_000
"""Multiply-adds from which more than one thread pays."""


def configurations(sch: Schedule, anatomy: Anatomy, machine: Machine) -> Iterator[dict[str, Any]]:
    """Yields the points of the space, the default first."""
    _, _, columns, channels = extents(sch, str(anatomy.anchor))
    lanes = lanes_for(channels, machine)
    blocks = channels // lanes
    points = [
        {"columns": c, "vectors": v, "channels_first": first}
        for c in range(1, 17)
        if columns % c == 0
        for v in (1, 2, 4)
        if blocks % v == 0 and c * v + v + 1 <= machine.registers
        for first in (False, True)
    ]
    points.sort(key=lambda p: (abs(p["columns"] * p["vectors"] - _TILE), p["vectors"]))
    yield from points


def apply(sch: Schedule, anatomy: Anatomy, machine: Machine, config: dict[str, Any]) -> None:
    """Schedules the kernel by ``config``."""
    anchor = sch.get_sblock(anatomy.anchor)
    sizes = extents(sch, str(anatomy.anchor))
    lanes = lanes_for(sizes[-1], machine)
    if anatomy.pad is not None:
        sch.compute_inline(sch.get_sblock(anatomy.pad))
    tail = tiled_tail(sch, anatomy)
    b, y, x, c, ry, rx = sch.get_loops(anchor)
    x, column = sch.split(x, [None, config["columns"]])
    c, vector, lane = sch.split(c, [None, config["vectors"], lanes])
    outer = [b, c, y, x] if config["channels_first"] else [b, y, c, x]
    sch.reorder(*outer, ry, rx, column, vector, lane)
    sch.reverse_compute_at(tail, x)
    _finish_tail(sch, tail, lanes)
    for loop in (rx, column, vector):
        sch.unroll(loop)
    sch.vectorize(lane)
    if _work(sch, anatomy) >= PARALLEL_FROM:
        sch.parallel(sch.fuse(*outer[:3]))
    sch.decompose_reduction(anchor, ry)


def _finish_tail(sch: Schedule, tail: Any, lanes: int) -> None:
    *_, column, channel = sch.get_loops(tail)
    vector, lane = sch.split(channel, [None, lanes])
    sch.vectorize(lane)
    sch.unroll(vector)
    sch.unroll(column)


def _work(sch: Schedule, anatomy: Anatomy) -> int:
    work = 1
    for axis in sch.get(sch.get_sblock(anatomy.anchor)).iter_vars:
        work *= int(axis.dom.extent)
    return work
