"""The order of weights in memory: for each kind of core the one its kernels read from first to last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt_micro.core import Core

__all__ = [
    "CHANNELS",
    "DSP",
    "MVE",
    "PLAIN",
    "PRODUCTS",
    "depthwise_dsp",
    "depthwise_mve",
    "even_odd",
    "packing_of",
]

PLAIN, DSP, MVE = 1, 2, 3
"""The kinds, as ``EDGEOPT_PACKING`` of ``native/edgeopt_weighted.h`` numbers them."""
CHANNELS = {PLAIN: 4, DSP: 2, MVE: 4}
"""How many output channels are computed at a time."""


def packing_of(core: Core) -> int:
    """Returns the kind that fits a core, what its kernels are compiled with as ``EDGEOPT_PACKING``."""
    if core.mve:
        return MVE
    return DSP if core.dsp else PLAIN


def _blocks(rows: np.ndarray, channels: int, multiple: int) -> np.ndarray:
    """Returns rows of shape (channels, depth) as (blocks, channels a block, depth), zeros behind them."""
    count, depth = rows.shape
    filled = np.pad(rows, ((0, -count % channels), (0, -depth % multiple)))
    return filled.reshape(-1, channels, filled.shape[1])


def _plain(rows: np.ndarray) -> np.ndarray:
    return _blocks(rows, CHANNELS[PLAIN], 1).transpose(0, 2, 1).reshape(-1)


def _dsp(rows: np.ndarray) -> np.ndarray:
    blocks = _blocks(rows, CHANNELS[DSP], 4)
    # Of four integers of the depth: 0 and 2 into one word, 1 and 3 into the next.
    quads = blocks.reshape(blocks.shape[0], CHANNELS[DSP], -1, 2, 2)
    return quads.transpose(0, 2, 4, 3, 1).reshape(-1)


def _mve(rows: np.ndarray) -> np.ndarray:
    blocks = _blocks(rows, CHANNELS[MVE], 16)
    return blocks.reshape(*blocks.shape[:2], -1, 16).transpose(0, 2, 1, 3).reshape(-1)


PRODUCTS: dict[int, Callable[[np.ndarray], np.ndarray]] = {PLAIN: _plain, DSP: _dsp, MVE: _mve}
"""From int8 of shape (output channels, depth) to the bytes in memory."""


def depthwise_dsp(taps: np.ndarray) -> np.ndarray:
    """Returns weights of shape (taps, channels) in blocks of four channels, int16 each, as bytes."""
    blocks = _blocks(taps.T, 4, 1).astype("<i2")
    pairs = blocks.shape[2] // 2
    first = blocks[..., : 2 * pairs].reshape(blocks.shape[0], 4, pairs, 2)[:, [0, 2, 1, 3]]
    first = first.transpose(0, 2, 1, 3).reshape(blocks.shape[0], 8 * pairs)
    last = blocks[:, [0, 2, 1, 3], 2 * pairs :].reshape(blocks.shape[0], -1)
    return np.ascontiguousarray(np.concatenate([first, last], axis=1)).reshape(-1).view(np.int8)


def depthwise_mve(taps: np.ndarray) -> np.ndarray:
    """Returns weights of shape (taps, channels) in blocks of eight channels."""
    return _blocks(taps.T, 8, 1).transpose(0, 2, 1).reshape(-1)


def even_odd(values: np.ndarray) -> np.ndarray:
    """Returns one value a channel, of each eight the channels 0, 2, 4, 6 ahead of 1, 3, 5, 7."""
    filled = np.pad(values, (0, -values.size % 8))
    return filled.reshape(-1, 4, 2).transpose(0, 2, 1).reshape(-1)
