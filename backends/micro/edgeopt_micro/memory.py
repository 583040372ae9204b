"""Where values lie in the arena: as tightly as is known, beside the bound that no plan can beat.

A value lives from the step that makes it to the last one that reads it. An output may lie over an input that
its step reads last, as far before it as the kernel's order of reading and writing asks for (Blacker, Bridges
and Hadjis, "Diagonal Memory Optimisation", 2020). The largest values are placed first, or the last made, each
in the lowest gap; then orders are changed at random, mostly by placing earlier what reaches highest, for as long
as the bound is not reached (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt_micro.emitter import Step
    from edgeopt_micro.values import Buffer, Value

__all__ = ["ALIGNMENT", "Block", "MemoryPlan", "arena_bound", "plan_memory"]

ALIGNMENT = 16
"""Bytes; every value starts at a multiple of it."""
_TRIES = 4000
"""Orders that are tried at most where the first ones do not reach the bound."""
_TOPS = 0.5
"""The share of tries that move what the arena's size comes from."""
_PAIRS = 3_000_000
"""Pairs of blocks that are looked at for it at most: a second or two."""


@dataclass(eq=False)
class Block:
    """A stretch of the arena for some steps.

    Attributes:
        size_bytes: Its size, rounded up to the alignment.
        first: The first step that needs it; -1 for what the caller fills.
        last: The last one; the number of steps for what the caller reads.
        name: What a person calls it.
        offset: Where it starts.
        over: The blocks that it may lie over, all read last by its first step, to how many bytes it
            must start before them at least if it does; rounded up to the alignment.
    """

    size_bytes: int
    first: int
    last: int
    name: str = ""
    offset: int = 0
    over: dict[Block, int] = field(default_factory=dict, repr=False)

    def meets(self, other: Block) -> bool:
        """Returns whether both are needed at once."""
        return self.first <= other.last and other.first <= self.last

    def shared_bytes(self, other: Block) -> int:
        """Returns how many bytes both lie in."""
        end = min(self.offset + self.size_bytes, other.offset + other.size_bytes)
        return max(0, end - max(self.offset, other.offset))


@dataclass(frozen=True)
class MemoryPlan:
    """A plan.

    Attributes:
        blocks: All stretches.
        offsets: Buffer to where it starts.
        scratch: Step to where its scratch memory starts.
        size_bytes: Of the arena.
        bound_bytes: The most that is needed at any one step: no plan is smaller.
        peak_step: That step.
    """

    blocks: tuple[Block, ...]
    offsets: dict[Buffer, int] = field(repr=False)
    scratch: dict[int, int]
    size_bytes: int
    bound_bytes: int
    peak_step: int

    def taken(self, step: int) -> list[tuple[Block, int]]:
        """Returns the blocks that ``step`` needs, each with the bytes of it that lie over no other one."""
        alive = [block for block in self.blocks if block.first <= step <= block.last]
        return [
            (block, block.size_bytes - sum(block.shared_bytes(b) for b in block.over if b in alive))
            for block in alive
        ]

    def usage(self, step: int) -> int:
        """Returns the bytes that are taken at ``step``."""
        return sum(size for _, size in self.taken(step))


def plan_memory(
    steps: Sequence[Step], inputs: Sequence[Value], outputs: Sequence[Value]
) -> MemoryPlan:
    """Returns a plan of the arena for ``steps``, inputs and outputs included."""
    lives, scratches = _blocks(steps, inputs, outputs)
    every = [*lives.values(), *scratches.values()]
    peak, bound = _peak(every)
    size = _place(every, bound)
    offsets = {buffer: block.offset for buffer, block in lives.items()}
    scratch = {number: block.offset for number, block in scratches.items()}
    return MemoryPlan(tuple(every), offsets, scratch, size, bound, peak)


def arena_bound(steps: Sequence[Step], inputs: Sequence[Value], outputs: Sequence[Value]) -> int:
    """Returns the most bytes that are needed at any one step, without a plan: none is smaller."""
    lives, scratches = _blocks(steps, inputs, outputs)
    return _peak([*lives.values(), *scratches.values()])[1]


def _blocks(
    steps: Sequence[Step], inputs: Sequence[Value], outputs: Sequence[Value]
) -> tuple[dict[Buffer, Block], dict[int, Block]]:
    """Returns the blocks of all buffers, and those of the steps' scratch memory."""
    lives = _lives(steps, inputs, outputs)
    _overlap(lives, steps)
    scratches = {
        number: Block(_room(step.call.scratch_bytes), number, number, "scratch")
        for number, step in enumerate(steps)
        if step.call.scratch_bytes
    }
    return lives, scratches


def _peak(blocks: Sequence[Block]) -> tuple[int, int]:
    """Returns the step that needs most, and how much."""
    moments = sorted({moment for block in blocks for moment in (block.first, block.last)})
    needs = [(_needed(blocks, moment), -moment) for moment in moments]
    bound, peak = max(needs, default=(0, 0))
    return -peak, bound


def _lives(
    steps: Sequence[Step], inputs: Sequence[Value], outputs: Sequence[Value]
) -> dict[Buffer, Block]:
    blocks: dict[Buffer, Block] = {}

    def touch(buffer: Buffer, moment: int) -> None:
        if buffer.kind == "constant":
            return
        size = _room(buffer.size_bytes)
        block = blocks.setdefault(buffer, Block(size, moment, moment, buffer.name))
        block.first, block.last = min(block.first, moment), max(block.last, moment)

    for value in inputs:
        touch(value.buffer, -1)
    for number, step in enumerate(steps):
        for value in (*step.inputs, step.output):
            touch(value.buffer, number)
    for value in outputs:
        touch(value.buffer, len(steps))
    return blocks


def _overlap(lives: dict[Buffer, Block], steps: Sequence[Step]) -> None:
    """Notes what each output may lie over: inputs that nobody reads behind its step."""
    for number, step in enumerate(steps):
        goal = lives.get(step.output.buffer)
        if goal is None or goal.first != number:
            continue
        for buffer in {value.buffer for value in step.inputs}:
            source = lives.get(buffer)
            distance = _distance(step, buffer)
            if source is None or source is goal or source.last != number or distance is None:
                continue
            distance = -(-distance // ALIGNMENT) * ALIGNMENT
            if distance < goal.size_bytes:
                goal.over[source] = distance


def _distance(step: Step, buffer: Buffer) -> int | None:
    """Returns how far before ``buffer`` the output must start to lie over it; None where it may not.

    A step may read the same memory as several inputs, as another view for example: all must allow it.
    """
    places = [k for k, value in enumerate(step.inputs) if value.buffer is buffer]
    if any(k not in step.call.overlaps for k in places):
        return None
    return max(step.call.overlaps[k] for k in places)


def _needed(blocks: Sequence[Block], moment: int) -> int:
    """Returns how many bytes any plan needs at ``moment``: all blocks, less what of them can be shared."""
    alive = {block for block in blocks if block.first <= moment <= block.last}
    total = 0
    for block in alive:
        shared = sum(
            min(block.size_bytes, other.size_bytes, block.size_bytes - distance)
            for other, distance in block.over.items()
            if other in alive
        )
        total += block.size_bytes - min(block.size_bytes, shared)
    return total


# -- places -----------------------------------------------------------------------------------------


def _place(blocks: Sequence[Block], bound: int) -> int:
    """Gives each block its offset and returns the size of the arena."""
    near = _neighbours(blocks)
    numbers = range(len(blocks))
    starts = (
        sorted(numbers, key=lambda k: (-blocks[k].size_bytes, -blocks[k].first)),
        sorted(numbers, key=lambda k: (-blocks[k].last, -blocks[k].first)),
    )
    tried = [(*_offsets(blocks, near, order), order) for order in starts]
    best, size, order = min(tried, key=lambda one: one[1])
    chance = random.Random(0)  # noqa: S311 (a plan that is the same each time)
    pairs = max(1, sum(len(one) for one in near))
    tries = min(_TRIES, _PAIRS // pairs) if len(blocks) > 1 else 0
    for _ in range(tries):
        if size == bound:
            break
        a, b = chance.sample(numbers, 2)
        if chance.random() < _TOPS:  # what reaches highest is placed earlier
            tops = [n for n, k in enumerate(order) if best[k] + blocks[k].size_bytes == size]
            a = chance.choice(tops)
            b = chance.randrange(a + 1)
        order.insert(b, order.pop(a))
        offsets, other = _offsets(blocks, near, order)
        if other <= size:
            best, size = offsets, other
        else:
            order.insert(a, order.pop(b))
    for block, offset in zip(blocks, best, strict=True):
        block.offset = offset
    return size


def _neighbours(blocks: Sequence[Block]) -> list[list[tuple[int, int, int]]]:
    """Returns for each block the others that it meets, and between where, from their start, it may not start."""
    near: list[list[tuple[int, int, int]]] = [[] for _ in blocks]
    for k, block in enumerate(blocks):
        for j, other in enumerate(blocks):
            if j == k or not block.meets(other):
                continue
            low = -min(block.size_bytes, block.over.get(other, block.size_bytes))
            high = min(other.size_bytes, other.over.get(block, other.size_bytes))
            if low < high:
                near[k].append((j, low, high))
    return near


def _offsets(
    blocks: Sequence[Block], near: Sequence[Sequence[tuple[int, int, int]]], order: Sequence[int]
) -> tuple[list[int], int]:
    """Returns where each block starts if they are placed in ``order``, each as low as it can be."""
    offsets = [-1] * len(blocks)
    size = 0
    for k in order:
        taken = sorted(
            (offsets[j] + low, offsets[j] + high) for j, low, high in near[k] if offsets[j] >= 0
        )
        start = 0
        for low, high in taken:
            if start <= low:
                break
            start = max(start, high)
        offsets[k] = start
        size = max(size, start + blocks[k].size_bytes)
    return offsets, size


def _room(size_bytes: int) -> int:
    return -(-max(1, size_bytes) // ALIGNMENT) * ALIGNMENT
