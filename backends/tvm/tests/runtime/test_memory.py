"""The arena holds every value for as long as it is needed."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt_tvm.executable import Buffer, Executable, Step
from edgeopt_tvm.memory import ALIGNMENT, plan_arena, size_bytes


def program(rng, steps):
    """Returns straight-line code on random sizes, every value read by some later steps."""
    buffers = [Buffer("x", (8,), "float32", "input")]
    code = []
    for number in range(steps):
        read = sorted({int(i) for i in rng.integers(0, len(buffers), 3)})
        shape = (int(rng.integers(0, 500)),)
        buffers.append(
            Buffer(f"v{number}", shape, str(rng.choice(["int8", "float32"])), "temporary")
        )
        code.append(Step("k", (*read, len(buffers) - 1)))
    return Executable(None, tuple(buffers), tuple(code), {})


@pytest.mark.parametrize("seed", range(20))
def test_values_that_are_needed_at_once_do_not_overlap(seed):
    made = program(np.random.default_rng(seed), 40)
    arena = plan_arena(made)
    owner = np.full(arena.size_bytes, -1)
    last = {i: n for n, step in enumerate(made.steps) for i in step.args}
    for number, step in enumerate(made.steps):
        for index in step.args:
            if made.buffers[index].kind != "temporary":
                continue
            start = arena.offsets[index]
            room = slice(start, start + size_bytes(made.buffers[index]))
            assert start % ALIGNMENT == 0
            if index == step.args[-1]:
                # nobody who is still needed lies here
                for other in set(owner[room].tolist()) - {-1, index}:
                    assert last[other] < number
                owner[room] = index
            else:
                assert (owner[room] == index).all()


def test_a_chain_needs_room_for_two():
    buffers = [Buffer(f"v{i}", (1024,), "int8", "temporary") for i in range(10)]
    steps = [Step("k", (i, i + 1)) for i in range(9)]
    arena = plan_arena(Executable(None, tuple(buffers), tuple(steps), {}))
    assert arena.size_bytes == 2 * 1024


def test_the_tightest_gap_is_taken():
    sizes = (1000, 4000, 300)
    buffers = [Buffer(f"v{i}", (s,), "int8", "temporary") for i, s in enumerate(sizes)]
    steps = [Step("k", (0, 1)), Step("k", (1, 2))]
    arena = plan_arena(Executable(None, tuple(buffers), tuple(steps), {}))
    assert arena.offsets[0] == arena.offsets[2]
    assert arena.size_bytes == 4032 + 1024


def test_a_view_keeps_its_memory():
    buffers = (
        Buffer("a", (64,), "int8", "temporary"),
        Buffer("b", (64,), "int8", "temporary"),
        Buffer("view of a", (8, 8), "int8", "temporary", alias=0),
        Buffer("c", (64,), "int8", "temporary"),
    )
    steps = (Step("k", (0, 1)), Step("k", (1, 3)), Step("k", (2, 3)))
    arena = plan_arena(Executable(None, buffers, steps, {}))
    assert set(arena.offsets) == {0, 1, 3}
    assert len(set(arena.offsets.values())) == 3


def test_nothing_needs_nothing():
    assert plan_arena(Executable(None, (), (), {})).size_bytes == 0
