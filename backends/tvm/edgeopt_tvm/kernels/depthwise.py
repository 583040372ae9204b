"""The template of depthwise convolutions: a tile of columns and channels is held in registers.

The padding is a condition on each load, the same for a whole vector of channels: that costs less
than a padded copy of the input, which was 1.5 to 4 times as slow in every shape of MobileNetV2. What
a tile reads of a row may be staged in registers, padded and widened once: that pays for some integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt_tvm.kernels.anatomy import extents
from edgeopt_tvm.kernels.packing import lanes_for
from edgeopt_tvm.kernels.plain import tiled_tail

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
        {"columns": c, "vectors": v, "channels_first": first, "staged": staged}
        for c in range(1, 17)
        if columns % c == 0
        for v in (1, 2, 4)
        if blocks % v == 0 and c * v + v + 1 <= machine.registers
        for first in (False, True)
        for staged in (False, True)
    ]
    points.sort(key=lambda p: (p["staged"], abs(p["columns"] * p["vectors"] - _TILE), p["vectors"]))
    yield from points


def apply(sch: Schedule, anatomy: Anatomy, machine: Machine, config: dict[str, Any]) -> None:
    """Schedules the kernel by ``config``."""
    anchor = sch.get_sblock(anatomy.anchor)
    sizes = extents(sch, str(anatomy.anchor))
    lanes = lanes_for(sizes[-1], machine)
    if not config["staged"]:
        sch.compute_inline(sch.get_sblock(anatomy.pad))
    tail = tiled_tail(sch, anatomy)
    b, y, x, c, ry, rx = sch.get_loops(anchor)
    x, column = sch.split(x, [None, config["columns"]])
    c, vector, lane = sch.split(c, [None, config["vectors"], lanes])
    outer = [b, c, y, x] if config["channels_first"] else [b, y, c, x]
    sch.reorder(*outer, ry, rx, column, vector, lane)
    if config["staged"]:
        _stage(sch, sch.get_sblock(anatomy.pad), ry, lanes)
    sch.reverse_compute_at(tail, x)
    _finish_tail(sch, tail, lanes)
    for loop in (rx, column, vector):
        sch.unroll(loop)
    sch.vectorize(lane)
    if _work(sch, anatomy) >= PARALLEL_FROM:
        sch.parallel(sch.fuse(*outer[:3]))
    sch.decompose_reduction(anchor, ry)


def _stage(sch: Schedule, pad: Any, loop: Any, lanes: int) -> None:
    """Reads what a tile needs of one row, padded and as wide as it is multiplied, into registers."""
    sch.compute_at(pad, loop)
    *_, column, channel = sch.get_loops(pad)
    vector, lane = sch.split(channel, [None, lanes])
    sch.vectorize(lane)
    sch.unroll(vector)
    sch.unroll(column)


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
