"""The template of convolutions and matrix products: a tile of sums is held in registers.

The tile is some pixels (rows of a matrix) times some vectors of output channels; for each input channel
one number a pixel is spread over a vector and multiplied with the weights, which lie as vectors
in memory (`packing`). What is behind the sums is computed on the tile before it leaves the cache.
The scheme is that of GotoBLAS (Goto and van de Geijn, "Anatomy of high-performance matrix
multiplication", 2008) without its blocking of the inner dimension, which layers on edge devices
are too small for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeopt_tvm.kernels.anatomy import extents
from edgeopt_tvm.kernels.dots import PAIRS, instruction
from edgeopt_tvm.kernels.plain import copied, tiled_tail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tvm.s_tir import Schedule

    from edgeopt_tvm.kernels.anatomy import Anatomy
    from edgeopt_tvm.machine import Machine

__all__ = ["apply", "configurations"]

_MOST_COLUMNS, _UNROLL = 28, (1, 4)
PARALLEL_FROM = 60_000
"""Multiply-adds from which more than one thread pays."""


@dataclass(frozen=True)
class _Shape:
    pixels: tuple[int, ...]
    blocks: int
    lanes: int
    group: int
    depth: int
    batched: bool


def configurations(sch: Schedule, anatomy: Anatomy, machine: Machine) -> Iterator[dict[str, Any]]:
    """Yields the points of the space, the default first."""
    shape = _shape(sch, anatomy)
    points = [
        {"rows": r, "columns": c, "vectors": v, "unroll": u, "weights_first": w, "parallel": True}
        for r, c in _tiles(shape.pixels, batched=shape.batched)
        for v in (1, 2, 3, 4, 6, 8)
        if shape.blocks % v == 0 and r * c * v + v + 1 <= machine.registers
        for u in _UNROLL
        if u == 1 or shape.depth // shape.group % u == 0
        for w in (True, False)
    ]
    points.sort(key=lambda p: _cost(p, shape, machine))
    yield from points


def _cost(p: dict[str, Any], shape: _Shape, machine: Machine) -> tuple[float, ...]:
    """Loads a multiply, then how badly the tasks fill the cores, then what is read again."""
    tile, vectors = p["rows"] * p["columns"], p["vectors"]
    of_weights = 2 * vectors if shape.group == PAIRS else vectors  # those are widened, too
    loads = (tile + of_weights) / (tile * vectors)
    pixels = 1
    for d in shape.pixels:
        pixels *= d
    tasks = pixels // tile * (shape.blocks // vectors)
    waves = -(-tasks // machine.cores) * machine.cores / tasks
    weights = shape.blocks * shape.lanes * shape.depth
    inputs = pixels * shape.depth
    again = inputs * (shape.blocks // vectors) if p["weights_first"] else weights * (pixels // tile)
    return (round(loads * waves, 2), again, p["unroll"])


def _shape(sch: Schedule, anatomy: Anatomy) -> _Shape:
    block = sch.get(sch.get_sblock(anatomy.anchor))
    lanes, group = (int(block.annotations[f"edgeopt.{k}"]) for k in ("lanes", "group"))
    *pixels, out = extents(sch, str(anatomy.anchor))
    reduced = [int(v.dom.extent) for v in block.iter_vars][len(pixels) + 1 :]
    return _Shape(
        tuple(pixels),
        out // lanes,
        lanes,
        group,
        _product(reduced),
        "edgeopt.batched" in block.annotations,
    )


def _product(numbers: list[int]) -> int:
    result = 1
    for n in numbers:
        result *= n
    return result


def _tiles(pixels: tuple[int, ...], *, batched: bool) -> Iterator[tuple[int, int]]:
    """Yields (rows, columns) of tiles that cover the pixels evenly."""
    columns = pixels[-1]
    rows = pixels[-2] if len(pixels) > 1 and not batched else 1
    for c in range(1, min(columns, _MOST_COLUMNS) + 1):
        if columns % c == 0:
            yield 1, c
    for r in range(2, rows + 1):
        if rows % r == 0 and r * columns <= _MOST_COLUMNS:
            yield r, columns


def apply(sch: Schedule, anatomy: Anatomy, machine: Machine, config: dict[str, Any]) -> None:
    """Schedules the kernel by ``config``."""
    shape = _shape(sch, anatomy)
    if anatomy.pad is not None:
        copied(sch, anatomy.pad, machine)
    anchor = sch.get_sblock(anatomy.anchor)
    tail = tiled_tail(sch, anatomy)
    tile = _split(sch, anchor, shape, config)
    sch.reverse_compute_at(tail, tile.outer[-1])
    _finish_tail(sch, tail, shape, len(tile.outer))
    for loop in tile.unrolled:
        sch.unroll(loop)
    fused = sch.fuse(*tile.outer)
    if (
        config["parallel"]
        and _product([*shape.pixels, shape.blocks * shape.lanes, shape.depth]) >= PARALLEL_FROM
    ):
        sch.parallel(fused)
    intrinsic = instruction(machine, shape.lanes, shape.group) if shape.group > 1 else None
    if intrinsic is None:
        sch.vectorize(tile.lane)
    start = sch.decompose_reduction(anchor, tile.reduced)
    if intrinsic is not None:
        sch.vectorize(sch.get_loops(start)[-1])
        sch.tensorize(tile.lane, intrinsic.name)


@dataclass(frozen=True)
class _Tile:
    outer: list[Any]
    reduced: Any
    unrolled: list[Any]
    lane: Any


def _split(sch: Schedule, anchor: Any, shape: _Shape, config: dict[str, Any]) -> _Tile:
    count = len(shape.pixels)
    loops = sch.get_loops(anchor)
    *lead, column = loops[:count]
    outs, reduced = loops[count], loops[count + 1 :]
    block, vector, lane = sch.split(outs, [None, config["vectors"], shape.lanes])
    column, inner_columns = sch.split(column, [None, config["columns"]])
    inner = [inner_columns]
    if lead:
        row, inner_rows = sch.split(lead[-1], [None, config["rows"]])
        lead, inner = [*lead[:-1], row], [inner_rows, inner_columns]
    deep, unrolled, *group = sch.split(
        reduced[-1], [None, config["unroll"], *([shape.group] if shape.group > 1 else [])]
    )
    places = [*lead, column]
    outer = [block, *places] if config["weights_first"] else [*places, block]
    sch.reorder(*outer, *reduced[:-1], deep, unrolled, *inner, vector, lane, *group)
    first = [*reduced[:-1], deep][0]
    return _Tile(outer, first, [unrolled, *inner, vector], lane)


def _finish_tail(sch: Schedule, tail: Any, shape: _Shape, depth: int) -> None:
    loops = sch.get_loops(tail)[depth:]
    if not loops:  # one number to a tile
        return
    width = int(sch.get(loops[-1]).extent)
    if width % shape.lanes == 0:
        vector, lane = sch.split(loops[-1], [None, shape.lanes])
        sch.vectorize(lane)
        loops = [*loops[:-1], vector]
    for loop in loops:
        sch.unroll(loop)
