"""Inputs are rounded and laid out as plain arithmetic does it, whatever their layout; outputs likewise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgeopt_tflite.device.edgeopt_tflite_ports import Port

if TYPE_CHECKING:
    from typing import Any

LAYOUTS = [
    ((1, 3, 8, 5), (0, 2, 3, 1)),
    ((2, 40, 4, 5), (0, 2, 3, 1)),
    ((1, 1, 9, 4), (0, 2, 3, 1)),
    ((2, 6, 7), (0, 2, 1)),
    ((4, 3), (0, 1)),
    ((), ()),
]
GRIDS = [("int8", 0.03, -5, (-128, 127)), ("int8", 0.5, 0, (0, 127)), ("uint8", 0.1, 17, (0, 255))]


def _note(shape: tuple[int, ...], order: tuple[int, ...], **more: Any) -> dict[str, Any]:
    return {"dtype": "float32", "shape": list(shape), "order": list(order), **more}


def _values(shape: tuple[int, ...]) -> np.ndarray:
    chance = np.random.default_rng(0)
    return np.asarray(chance.normal(0, 3, shape), np.float32)


@pytest.mark.parametrize(("shape", "order"), LAYOUTS)
@pytest.mark.parametrize(("dtype", "scale", "zero", "ends"), GRIDS)
def test_integers(shape, order, dtype, scale, zero, ends):
    port = Port(_note(shape, order, scale=scale, zero_point=zero, ends=ends), 0)
    x = _values(shape)
    memory = np.empty(x.transpose(order).shape, dtype)
    for array in (x, x[::-1] if shape else x):  # the second time in the room of the first
        port.fill(memory, array)
        wanted = np.clip(np.rint(array / np.float32(scale)) + np.float32(zero), *ends)
        np.testing.assert_array_equal(memory, wanted.transpose(order).astype(dtype))
    back = port.read(memory.copy())
    assert back.dtype == np.float32
    assert back.flags.c_contiguous
    grid = (wanted.astype(np.float32) - np.float32(zero)) * np.float32(scale)
    np.testing.assert_array_equal(back, grid)


@pytest.mark.parametrize(("shape", "order"), LAYOUTS)
def test_floats(shape, order):
    port, x = Port(_note(shape, order), 0), _values(shape)
    memory = np.empty(x.transpose(order).shape, np.float32)
    port.fill(memory, x)
    np.testing.assert_array_equal(memory, x.transpose(order))
    np.testing.assert_array_equal(port.read(memory.copy()), x)
