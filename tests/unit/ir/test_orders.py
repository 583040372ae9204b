"""Orders of dimensions, against numpy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.ir import orders

SHAPES = st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=5).map(tuple)


@st.composite
def arranged(draw):
    """A shape and an order of its dimensions."""
    shape = draw(SHAPES)
    return shape, tuple(draw(st.permutations(range(len(shape)))))


@st.composite
def reshapes(draw):
    """A shape, an order, and another shape with as many elements."""
    shape, order = draw(arranged())
    flat = [p for n in shape for p in _primes(n)]
    factors = draw(st.permutations(flat)) if draw(st.booleans()) else flat
    new, rest = [], list(factors)
    while rest:
        take = draw(st.integers(0, len(rest)))
        new.append(math.prod(rest[:take]))
        rest = rest[take:] if len(new) < 5 else []
        if len(new) == 5:
            new[-1] *= math.prod(shape) // math.prod(new)
    return shape, order, tuple(new) or (1,) * draw(st.integers(1, 3))


def _primes(n):
    return next(([p, *_primes(n // p)] for p in (2, 3) if n % p == 0), [])


def memory(array, order):
    return array.transpose(order).ravel()


@given(reshapes())
def test_reshaped_leaves_the_memory_alone(case):
    shape, order, new = case
    array = np.arange(math.prod(shape)).reshape(shape)
    found = orders.reshaped(shape, order, new)
    if found is not None:
        assert sorted(found) == list(range(len(new)))
        np.testing.assert_array_equal(memory(array, order), memory(array.reshape(new), found))


@given(reshapes())
def test_reshaped_always_finds_an_order_for_plain_memory(case):
    shape, _, new = case
    assert orders.reshaped(shape, orders.identity(len(shape)), new) is not None


@given(arranged(), st.data())
def test_permuted_leaves_the_memory_alone(case, data):
    shape, order = case
    axes = tuple(data.draw(st.permutations(range(len(shape)))))
    array = np.arange(math.prod(shape)).reshape(shape)
    moved = orders.permuted(order, axes)
    np.testing.assert_array_equal(memory(array, order), memory(array.transpose(axes), moved))


@given(arranged(), st.data())
def test_merged_transpose_moves_memory(case, data):
    shape, old = case
    new = tuple(data.draw(st.permutations(range(len(shape)))))
    array = np.arange(math.prod(shape)).reshape(shape)
    runs, axes = orders.merged_transpose(shape, old, new)
    assert 1 not in runs
    moved = memory(array, old).reshape(runs).transpose(axes)
    np.testing.assert_array_equal(moved.ravel(), memory(array, new))


@given(arranged(), st.data())
def test_same_memory_is_what_it_says(case, data):
    shape, a = case
    b = tuple(data.draw(st.permutations(range(len(shape)))))
    array = np.arange(math.prod(shape)).reshape(shape)
    alike = np.array_equal(memory(array, a), memory(array, b))
    assert orders.same_memory(shape, a, b) == alike


@pytest.mark.parametrize(
    ("shape", "order", "new", "expected"),
    [
        ((1, 64, 4, 4), orders.NHWC, (1, 64, 16), (0, 2, 1)),  # patches of a vision transformer
        ((1, 16, 64), (0, 1, 2), (1, 4, 4, 64), (0, 1, 2, 3)),
        ((1, 64, 16), (0, 2, 1), (1, 64, 4, 4), orders.NHWC),
        ((1, 8, 1, 1), orders.NHWC, (1, 8), (0, 1)),
        ((2, 8, 3, 3), orders.NHWC, (2, 72), None),
    ],
)
def test_reshaped_examples(shape, order, new, expected):
    assert orders.reshaped(shape, order, new) == expected


def test_reduced_renumbers():
    assert orders.reduced(orders.NHWC, [2, 3]) == (0, 1)
    assert orders.reduced(orders.NHWC, [1]) == (0, 1, 2)
