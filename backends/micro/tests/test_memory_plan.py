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


def chain(*sizes, overlaps=None, scratch=0):
    values = [value("input", sizes[0], "input")]
    steps = []
    for k, size in enumerate(sizes[1:]):
        values.append(value(f"v{k}", size))
        call = KernelCall("f", overlaps=overlaps or {}, scratch_bytes=scratch)
        steps.append(Step(f"v{k}", call, (values[-2],), values[-1]))
    return steps, values


def test_a_chain_needs_its_widest_pair():
    steps, values = chain(100, 400, 300, 50)
    plan = plan_memory(steps, values[:1], values[-1:])
    assert plan.size_bytes == plan.bound_bytes == 400 + 304
    assert plan.usage(0) == 112 + 400


def test_in_place_outputs_take_no_room():
    steps, values = chain(400, 400, 400, overlaps={0: 0})
    plan = plan_memory(steps, values[:1], values[-1:])
    assert plan.size_bytes == 400
    assert len({plan.offsets[v.buffer] for v in values}) == 1


def test_an_input_that_is_read_again_is_not_overwritten():
    a, b, c = value("a", 64, "input"), value("b", 64), value("c", 64)
    steps = [
        Step("b", KernelCall("f", overlaps={0: 0}), (a,), b),
        Step("c", KernelCall("f", overlaps={0: 0, 1: 0}), (b, a), c),
    ]
    plan = plan_memory(steps, [a], [c])
    assert plan.offsets[a.buffer] != plan.offsets[b.buffer]
    assert plan.size_bytes == 128


def test_outputs_lie_over_inputs_as_far_before_them_as_is_asked():
    steps, values = chain(400, 800, 400, overlaps={0: 30})
    plan = plan_memory(steps, values[:1], values[-1:])
    places = [plan.offsets[v.buffer] for v in values]
    assert places[0] - places[1] >= 30
    assert places[1] - places[2] >= 30
    assert plan.bound_bytes == 832
    assert plan.size_bytes == 832
    assert [size for _, size in plan.taken(1)] == [800, 32]


def test_outputs_may_start_behind_inputs_that_are_read_faster():
    steps, values = chain(800, 400, overlaps={0: -100})
    plan = plan_memory(steps, values[:1], values[-1:])
    assert plan.size_bytes == plan.bound_bytes == 800
    assert plan.usage(0) == 800


def test_another_view_of_the_same_memory_counts():
    """A step that reads a value twice, once in another order, asks for the larger distance, or for none."""
    a, b = value("a", 64, "input"), value("b", 64)
    for overlaps, size in (({0: 0, 1: 32}, 96), ({0: 0}, 128), ({0: 0, 1: 0}, 64)):
        steps = [Step("b", KernelCall("f", overlaps=overlaps), (a, a), b)]
        assert plan_memory(steps, [a], [b]).size_bytes == size


def test_a_value_that_is_written_in_parts_lies_over_none_that_is_read_later():
    a, b, c = value("a", 64, "input"), value("b", 64, "input"), value("c", 128)
    call = KernelCall("part", overlaps={0: 0})
    plan = plan_memory([Step("c", call, (a,), c), Step("c", call, (b,), c)], [a, b], [c])
    assert abs(plan.offsets[c.buffer] - plan.offsets[b.buffer]) >= 64
    assert plan.size_bytes == 192


def test_scratch_memory_is_apart():
    steps, values = chain(64, 64, scratch=30)
    plan = plan_memory(steps, values[:1], values[-1:])
    taken = {plan.offsets[values[0].buffer], plan.offsets[values[1].buffer], plan.scratch[0]}
    assert len(taken) == 3
    assert plan.size_bytes == 64 + 64 + 32


def apart(a, b):
    return a.offset + a.size_bytes <= b.offset or b.offset + b.size_bytes <= a.offset


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("overlapping", [False, True])
def test_random_graphs(seed, overlapping):
    chance = np.random.default_rng(seed)
    values = [value("input", int(chance.integers(1, 500)), "input")]
    steps = []
    for k in range(25):
        picked = chance.choice(len(values), min(len(values), 2), replace=False)
        sources = tuple(values[int(p)] for p in picked)
        values.append(value(f"v{k}", int(chance.integers(1, 2000))))
        overlaps = {n: int(chance.integers(-900, 900)) for n in range(2) if chance.random() < 0.8}
        call = KernelCall("f", overlaps=overlaps if overlapping else {})
        steps.append(Step(f"v{k}", call, sources, values[-1]))
    plan = plan_memory(steps, values[:1], values[-1:])
    last = {v.buffer: k for k, step in enumerate(steps) for v in step.inputs}
    names = {v.buffer.name: v.buffer for v in values}
    for a, b in combinations(plan.blocks, 2):
        if not a.meets(b) or apart(a, b):
            continue
        early, late = sorted((a, b), key=lambda block: block.first)
        step, read = steps[late.first], names[early.name]
        assert early.last == late.first == last[read]  # nobody reads it later
        (number,) = (k for k, v in enumerate(step.inputs) if v.buffer is read)
        assert late.offset + step.call.overlaps[number] <= early.offset
    assert all(block.offset % ALIGNMENT == 0 for block in plan.blocks)
    assert max(plan.usage(k) for k in range(25)) <= plan.size_bytes
    assert plan.bound_bytes <= plan.size_bytes <= 1.1 * plan.bound_bytes
