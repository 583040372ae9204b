"""An output that lies over an input never overwrites what is still read: in a model of the turns, and in C."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from edgeopt_micro.core import Core
from edgeopt_micro.loops import pointwise
from edgeopt_micro.operators import reductions
from edgeopt_micro.overlap import channel_distance, pixel_distance, safe_distance
from edgeopt_micro.testing.bare import NATIVE
from edgeopt_micro.testing.cases import grid, make_case, random_geometry
from edgeopt_micro.values import Buffer, Value
from edgeopt_micro.weighted import convolution, max_pool

# -- a model of what kernels do ---------------------------------------------------------------------


def taps(geometry, pixel):
    """Returns the first bytes of the input's pixels that an output pixel is computed of."""
    image, place = divmod(pixel, geometry.out_size[0] * geometry.out_size[1])
    row, column = divmod(place, geometry.out_size[1])
    height, width = geometry.in_size
    found = []
    for u in range(geometry.kernel[0]):
        y = row * geometry.stride[0] - geometry.padding[0] + u * geometry.dilation[0]
        for v in range(geometry.kernel[1]):
            x = column * geometry.stride[1] - geometry.padding[1] + v * geometry.dilation[1]
            if 0 <= y < height and 0 <= x < width:
                found.append(((image * height + y) * width + x) * geometry.in_channels)
    return found


def pixel_turns(geometry, pixels, *, copied):
    """Yields what a convolution reads and writes, each pair in an order that nobody knows, or one by one."""
    count = geometry.batch * geometry.out_size[0] * geometry.out_size[1]
    first = 0
    while first < count:
        many = 1 if count - first < pixels else pixels
        turn = range(first, first + many)
        reads = {
            t + c for p in turn for t in taps(geometry, p) for c in range(geometry.in_channels)
        }
        size = geometry.out_channels
        writes = set(range(first * size, (first + many) * size))
        yield from [(reads, set()), (set(), writes)] if copied else [(reads, writes)]
        first += many


def channel_turns(geometry, block):
    """Yields what a depthwise kernel reads and writes: ``block`` channels of a pixel at a time."""
    for pixel in range(geometry.batch * geometry.out_size[0] * geometry.out_size[1]):
        for start in range(0, geometry.out_channels, block):
            channels = range(start, min(start + block, geometry.out_channels))
            yield {t + c for t in taps(geometry, pixel) for c in channels}, set()
            yield set(), {pixel * geometry.out_channels + c for c in channels}


def overwritten(turns, distance):
    """Returns whether a byte of the input is read after, or in the turn in which, it was written over."""
    gone = set()
    for reads, writes in turns:
        gone |= {byte - distance for byte in writes}
        if reads & gone:
            return True
    return False


def geometries(count, *, depthwise=False):
    chance = np.random.default_rng(7)
    found = [one for one in grid() if one.in_size[0] < 12 and one.in_channels < 32]
    while len(found) < count:
        found.append(random_geometry(chance, 8))
    return [
        one
        for one in found
        if not depthwise or one.in_channels == one.groups == one.out_channels > 1
    ]


@pytest.mark.parametrize("pixels", [1, 2, 4])
@pytest.mark.parametrize("copied", [False, True])
def test_pixels_are_read_before_they_are_written_over(pixels, copied):
    for geometry in geometries(150):
        distance = pixel_distance(geometry, pixels, copied=copied)
        assert not overwritten(pixel_turns(geometry, pixels, copied=copied), distance), geometry
        assert not overwritten(pixel_turns(geometry, 1, copied=True), distance), geometry


@pytest.mark.parametrize("block", [1, 4, 8])
def test_channels_are_read_before_they_are_written_over(block):
    tight = 0
    for geometry in geometries(400, depthwise=True):
        distance = channel_distance(geometry)
        assert not overwritten(channel_turns(geometry, block), distance), geometry
        tight += overwritten(channel_turns(geometry, block), distance - 1)
    assert tight or block > 1  # the model can tell


HOST = Core(triple="", cpu="", fpu=True, dsp=False, mve=False)


# -- in C -------------------------------------------------------------------------------------------


def test_a_byte_less_would_be_noticed(compile_library, call_on_host):
    """`run_on_host` runs each case at its distance; here at one byte less, and some are wrong."""
    sources = [NATIVE / "edgeopt_convolution.c", NATIVE / "edgeopt_depthwise.c"]
    library = compile_library("too_close", sources)
    chance, wrong = np.random.default_rng(0), 0
    for geometry in geometries(80):
        case = make_case(geometry, chance)
        call = convolution(HOST, geometry, case.weights)
        if call.overlaps[0] > -case.input.size:
            got = call_on_host(library, call, case, call.overlaps[0] - 1)
            wrong += not np.array_equal(got, case.expected)
    assert wrong > 4


def test_maxima_over_their_inputs(compile_library, call_on_host):
    library = compile_library("pools", [NATIVE / "edgeopt_pools.c"])
    chance, tight = np.random.default_rng(4), 0
    for geometry in geometries(200, depthwise=True):
        size = (geometry.batch, *geometry.in_size, geometry.in_channels)
        x = chance.integers(-128, 128, size).astype(np.int8)
        wanted = np.full((geometry.batch * np.prod(geometry.out_size), geometry.in_channels), -128)
        flat = x.reshape(-1)
        for pixel, row in enumerate(wanted):
            for tap in taps(geometry, pixel):
                np.maximum(row, flat[tap : tap + geometry.in_channels], out=row)
        call = max_pool(geometry)
        call = replace(call, fields={**dict.fromkeys(POINTERS, np.zeros(1)), **call.fields})
        case = SimpleNamespace(input=x, expected=wanted.reshape(-1))
        for distance in (wanted.size + 16, max(call.overlaps[0], -x.size)):
            got = call_on_host(library, call, case, distance)
            np.testing.assert_array_equal(got, wanted.reshape(-1), str(geometry))
        got = call_on_host(library, call, case, call.overlaps[0] - 1)
        tight += not np.array_equal(got, wanted.reshape(-1))
    assert tight > 10


POINTERS = ("weight", "bias", "factor")
C_DTYPES = {"int8": np.int8, "float32": np.float32, "int32": np.int32}


def drawn_value(chance, shape, dtype):
    order = tuple(int(d) for d in chance.permutation(len(shape)))
    return Value(Buffer("arena", 0, "value"), shape, order, dtype)


def loop_cases(count):
    """Returns loops, with their output and inputs: copies, casts, repeats, other orders; pools."""
    chance = np.random.default_rng(2)
    found = []
    for _ in range(count):
        shape = tuple(int(n) for n in chance.integers(1, 6, 3))
        dtypes = [str(one) for one in chance.choice(["int8", "float32", "int32"], 3)]
        output = drawn_value(chance, shape, dtypes[0])
        repeated = tuple(int(n) if chance.random() < 0.8 else 1 for n in shape)
        inputs = [drawn_value(chance, shape, dtypes[1]), drawn_value(chance, repeated, dtypes[2])]
        if chance.random() < 0.5:
            inputs[0] = Value(inputs[0].buffer, shape, output.order, dtypes[1])
        call = pointwise(output, inputs, lambda a, b, c=output.c_type: f"({c})({a} + {b})")
        found.append((call, output, inputs))
    return found + [pool_case(chance) for _ in range(count // 2)]


def pool_case(chance):
    kernel, stride = (tuple(int(n) for n in chance.integers(1, 4, 2)) for _ in range(2))
    padding = tuple(int(chance.integers(0, k)) for k in kernel)
    size = tuple(int(n) for n in chance.integers(4, 9, 2))
    out = tuple(
        (n + 2 * p - k) // s + 1 for n, p, k, s in zip(size, padding, kernel, stride, strict=True)
    )
    batch, channels = int(chance.choice([1, 2])), int(chance.integers(1, 5))
    dtypes = [str(one) for one in chance.choice(["int8", "float32"], 2)]
    x, y = (
        Value(Buffer("arena", 0, "value"), (batch, channels, *sides), (0, 2, 3, 1), dtype)
        for sides, dtype in zip((size, out), dtypes, strict=True)
    )
    calls = []
    emitter = SimpleNamespace(call=lambda call, *_: calls.append(call))
    window = reductions._Window(kernel, stride, padding)
    steps = (f"{y.c_type} sum = 0;", f"sum = ({y.c_type})(sum + {{x}});", "sum")
    reductions._pooled(emitter, x, y, window, steps)
    return calls[0], y, [x]


MIDDLE = 8192


def ran(function, output, values, distance, number):
    """Returns the output of loops whose output starts ``distance`` bytes before input ``number``."""
    memories = [np.full(3 * MIDDLE, 85, np.uint8) for _ in values]
    for k, value in enumerate(values):
        content = (
            np.random.default_rng(k).integers(-20, 20, value.count).astype(C_DTYPES[value.dtype])
        )
        memories[k][MIDDLE : MIDDLE + value.size_bytes] = content.view(np.uint8)
    goal = memories[number].ctypes.data + MIDDLE - distance
    function(
        *(ctypes.c_void_p(one.ctypes.data + MIDDLE) for one in memories), ctypes.c_void_p(goal)
    )
    start = MIDDLE - distance
    return memories[number][start : start + output.size_bytes].tobytes()


def test_loops_over_their_inputs(compile_library, tmp_path):
    cases = loop_cases(80)
    text = "\n".join(f"void f{k}{call.text}" for k, (call, *_) in enumerate(cases))
    (tmp_path / "loops.c").write_text(f'#include "edgeopt_math.h"\n{text}\n')
    # Without its checks: what is written over too early may be any float.
    library = compile_library("loops", [tmp_path / "loops.c"], "-fno-sanitize=undefined")
    tried = wrong = 0
    for k, (call, output, inputs) in enumerate(cases):
        function = getattr(library, f"f{k}")
        for number, distance in call.overlaps.items():
            apart = ran(function, output, inputs, output.size_bytes, number)
            kept = -(-max(distance, -inputs[number].size_bytes) // 4) * 4
            assert ran(function, output, inputs, kept, number) == apart, (k, call, distance)
            wrong += ran(function, output, inputs, kept - 4, number) != apart
            tried += 1
    assert tried > 80
    assert wrong > 20  # or it could not be seen


def test_types_that_c_takes_for_apart_stay_apart():
    output = Value(Buffer("arena", 0, "y"), (8,), (0,), "float32")
    whole = Value(Buffer("arena", 0, "x"), (8,), (0,), "int32")
    assert pointwise(output, [whole], lambda a: f"(float){a}").overlaps == {}


def test_all_read_before_the_first_write():
    one = np.array([4])
    assert safe_distance(one, np.array([0]), reads_first=True) < -(2**30)
    assert safe_distance(one, np.array([0]), reads_first=False) == 4
