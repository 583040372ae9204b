"""Where values lie in the arena: as tightly as is known, beside the bound that no plan can beat.

A value lives from the step that makes it to the last one that reads it. An output may take the place of
an input that its step reads last, where the kernel allows it. The largest values are placed first, each in
the lowest gap; then orders are changed at random for as long as the bound is not reached (Pisarchyk and Lee,
"Efficient Memory Management for Deep Neural Net Inference", 2020; their greedy by size is the start here).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt_micro.emitter import Step
    from edgeopt_micro.values import Buffer, Value

__all__ = ["ALIGNMENT", "Block", "MemoryPlan", "plan_memory"]

ALIGNMENT = 16
"""Bytes; every value starts at a multiple of it."""
_TRIES = 2000
"""Orders that are tried at most where the first does not reach the bound."""
_PAIRS = 5_000_000
"""Pairs of blocks that are looked at for it at most: a second or two."""


@dataclass(eq=False)
class Block:
    """A stretch of the arena for some steps.

    Attributes:
        buffers: What lies in it, one after another.
        size_bytes: Its size, rounded up to the alignment.
        first: The first step that needs it; -1 for what the caller fills.
        last: The last one; the number of steps for what the caller reads.
        offset: Where it starts.
        name: What a person calls it.
    """

    buffers: list[Buffer]
    size_bytes: int
    first: int
    last: int
    offset: int = 0
    name: str = ""

    def meets(self, other: Block) -> bool:
        """Returns whether both are needed at once."""
        return self.first <= other.last and other.first <= self.last


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

    def usage(self, step: int) -> int:
        """Returns the bytes that are needed at ``step``."""
        return sum(b.size_bytes for b in self.blocks if b.first <= step <= b.last)


def plan_memory(
    steps: Sequence[Step], inputs: Sequence[Value], outputs: Sequence[Value]
) -> MemoryPlan:
    """Returns a plan of the arena for ``steps``, inputs and outputs included."""
    blocks = _joined(_lives(steps, inputs, outputs), steps)
    scratches = {
        number: Block([], _room(step.call.scratch_bytes), number, number, name="scratch")
        for number, step in enumerate(steps)
        if step.call.scratch_bytes
    }
    every = [*blocks, *scratches.values()]
    moments = {moment for block in every for moment in (block.first, block.last)}
    needs = {m: sum(b.size_bytes for b in every if b.first <= m <= b.last) for m in sorted(moments)}
    peak = max(needs, key=lambda moment: needs[moment], default=0)
    size = _place(every, needs.get(peak, 0))
    offsets = {buffer: block.offset for block in blocks for buffer in block.buffers}
    scratch = {number: block.offset for number, block in scratches.items()}
    return MemoryPlan(tuple(every), offsets, scratch, size, needs.get(peak, 0), peak)


def _lives(
    steps: Sequence[Step], inputs: Sequence[Value], outputs: Sequence[Value]
) -> dict[Buffer, Block]:
    blocks: dict[Buffer, Block] = {}

    def touch(buffer: Buffer, moment: int) -> None:
        if buffer.kind == "constant":
            return
        block = blocks.setdefault(
            buffer, Block([buffer], _room(buffer.size_bytes), moment, moment, name=buffer.name)
        )
        block.first, block.last = min(block.first, moment), max(block.last, moment)

    for value in inputs:
        touch(value.buffer, -1)
    for number, step in enumerate(steps):
        for value in (*step.inputs, step.output):
            touch(value.buffer, number)
    for value in outputs:
        touch(value.buffer, len(steps))
    return blocks


def _joined(lives: dict[Buffer, Block], steps: Sequence[Step]) -> list[Block]:
    """Returns the blocks after each output has taken the place of an input where it may."""
    owner = dict(lives)
    for number, step in enumerate(steps):
        goal = owner.get(step.output.buffer)
        if goal is None or goal.first != number:
            continue
        for place in step.call.in_place:
            source = owner.get(step.inputs[place].buffer)
            if source is None or source.last != number or source is goal:
                continue
            if goal.size_bytes != source.size_bytes or not _read_alike(step, place):
                continue
            source.buffers += goal.buffers
            source.last = goal.last
            owner.update(dict.fromkeys(goal.buffers, source))
            break
    return list(dict.fromkeys(owner.values()))


def _read_alike(step: Step, place: int) -> bool:
    """Returns whether a step reads the memory of input ``place`` in one order only.

    Another view of it, transposed for example, would be read after it was written over.
    """
    one = step.inputs[place]
    return all(
        (other.shape, other.order, other.dtype) == (one.shape, one.order, one.dtype)
        for other in step.inputs
        if other.buffer is one.buffer
    )


def _place(blocks: Sequence[Block], bound: int) -> int:
    """Gives each block its offset and returns the size of the arena."""
    order = sorted(range(len(blocks)), key=lambda k: (-blocks[k].size_bytes, blocks[k].first))
    best, size = _offsets(blocks, order)
    chance = random.Random(0)  # noqa: S311 (a plan that is the same each time)
    tries = min(_TRIES, _PAIRS // len(blocks) ** 2) if len(blocks) > 1 else 0
    for _ in range(tries):
        if size == bound:
            break
        a, b = chance.sample(range(len(order)), 2)
        order.insert(b, order.pop(a))
        offsets, other = _offsets(blocks, order)
        if other <= size:
            best, size = offsets, other
        else:
            order.insert(a, order.pop(b))
    for block, offset in zip(blocks, best, strict=True):
        block.offset = offset
    return size


def _offsets(blocks: Sequence[Block], order: Sequence[int]) -> tuple[list[int], int]:
    """Returns where each block starts if they are placed in ``order``, each as low as it can be."""
    offsets = [0] * len(blocks)
    placed: list[int] = []
    size = 0
    for k in order:
        taken = sorted(
            (offsets[j], offsets[j] + blocks[j].size_bytes)
            for j in placed
            if blocks[j].meets(blocks[k])
        )
        start = 0
        for low, high in taken:
            if low - start >= blocks[k].size_bytes:
                break
            start = max(start, high)
        offsets[k] = start
        placed.append(k)
        size = max(size, start + blocks[k].size_bytes)
    return offsets, size


def _room(size_bytes: int) -> int:
    return -(-max(1, size_bytes) // ALIGNMENT) * ALIGNMENT
