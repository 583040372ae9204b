"""Values that are needed at once never share memory, and the arena is hardly larger than it must be."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from edgeopt_micro.calls import KernelCall
from edgeopt_micro.emitter import Step
from edgeopt_micro.memory import ALIGNMENT, plan_memory
from edgeopt_micro.values import Buffer, Value


def value(name, size, kind="arena"):
    return Value(Buffer(kind, size, name), (size,), (0,), "int8")


def chain(*sizes, in_place=(), scratch=0):
    values = [value("input", sizes[0], "input")]
    steps = []
    for k, size in enumerate(sizes[1:]):
        values.append(value(f"v{k}", size))
        call = KernelCall("f", in_place=in_place, scratch_bytes=scratch)
        steps.append(Step(f"v{k}", call, (values[-2],), values[-1]))
    return steps, values


def test_a_chain_needs_its_widest_pair():
    steps, values = chain(100, 400, 300, 50)
    plan = plan_memory(steps, values[:1], values[-1:])
    assert plan.size_bytes == plan.bound_bytes == 400 + 304
    assert plan.usage(0) == 112 + 400


def test_in_place_outputs_take_no_room():
    steps, values = chain(400, 400, 400, in_place=(0,))
    plan = plan_memory(steps, values[:1], values[-1:])
    assert plan.size_bytes == 400
    assert len({plan.offsets[v.buffer] for v in values}) == 1


def test_an_input_that_is_read_again_is_not_overwritten():
    a, b, c = value("a", 64, "input"), value("b", 64), value("c", 64)
    steps = [
        Step("b", KernelCall("f", in_place=(0,)), (a,), b),
        Step("c", KernelCall("f", in_place=(0, 1)), (b, a), c),
    ]
    plan = plan_memory(steps, [a], [c])
    assert plan.offsets[a.buffer] != plan.offsets[b.buffer]
    assert plan.size_bytes == 128


def test_scratch_memory_is_apart():
    steps, values = chain(64, 64, scratch=30)
    plan = plan_memory(steps, values[:1], values[-1:])
    taken = {plan.offsets[values[0].buffer], plan.offsets[values[1].buffer], plan.scratch[0]}
    assert len(taken) == 3
    assert plan.size_bytes == 64 + 64 + 32


@pytest.mark.parametrize("seed", range(10))
def test_random_graphs(seed):
    chance = np.random.default_rng(seed)
    values = [value("input", int(chance.integers(1, 500)), "input")]
    steps = []
    for k in range(25):
        picked = chance.choice(len(values), min(len(values), 2), replace=False)
        sources = tuple(values[int(p)] for p in picked)
        values.append(value(f"v{k}", int(chance.integers(1, 2000))))
        steps.append(Step(f"v{k}", KernelCall("f"), sources, values[-1]))
    plan = plan_memory(steps, values[:1], values[-1:])
    for a, b in combinations(plan.blocks, 2):
        if a.meets(b):
            assert a.offset + a.size_bytes <= b.offset or b.offset + b.size_bytes <= a.offset
    assert all(block.offset % ALIGNMENT == 0 for block in plan.blocks)
    assert plan.bound_bytes <= plan.size_bytes <= 1.1 * plan.bound_bytes
