"""Integers of fewer than 8 bits as bytes: the first one in the lowest bits, no bit between two of them.

Of 4 bits it is the order of TFLite and OpenVINO, two a byte; of 2 bits four, of 3 bits eight in three bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edgeopt.contracts.storage import StorageType

__all__ = ["pack_bits", "unpack_bits"]

_TOGETHER = 8
"""Values that fill as many whole bytes as one has bits."""


def pack_bits(values: np.ndarray, storage: StorageType) -> np.ndarray:
    """Returns ``values`` as bytes: uint8 of one dimension, of `StorageType.bytes_for` elements.

    Args:
        values: Integers within the limits of ``storage``, of any shape.
        storage: What each is stored in, of 8 bits at most.
    """
    count, bits = values.size, storage.bits
    mask = (1 << bits) - 1
    whole = np.zeros((-(-count // _TOGETHER), _TOGETHER), np.uint64)
    whole.reshape(-1)[:count] = values.reshape(-1).astype(np.int64).astype(np.uint64) & np.uint64(
        mask
    )
    words = (whole << _shifts(bits)).sum(axis=1, dtype=np.uint64)
    octets = words.astype("<u8").view(np.uint8).reshape(-1, _TOGETHER)[:, :bits]
    return np.ascontiguousarray(octets).reshape(-1)[: storage.bytes_for(count)]


def unpack_bits(octets: np.ndarray, storage: StorageType, count: int) -> np.ndarray:
    """Returns the ``count`` integers that `pack_bits` made ``octets`` of: int8 of one dimension.

    Raises:
        ValueError: They are not as many bytes as that takes, or bits behind the last are set.
    """
    bits = storage.bits
    if octets.dtype != np.uint8 or octets.ndim != 1 or octets.size != storage.bytes_for(count):
        raise ValueError(f"{octets.size} bytes for {count} values of {bits} bits")
    rows = -(-count // _TOGETHER)
    padded = np.zeros(rows * bits, np.uint8)
    padded[: octets.size] = octets
    words = np.zeros((rows, _TOGETHER), np.uint8)
    words[:, :bits] = padded.reshape(rows, bits)
    fields = (words.reshape(-1).view("<u8")[:, None] >> _shifts(bits)) & np.uint64((1 << bits) - 1)
    flat = fields.reshape(-1).astype(np.int16)
    if flat[count:].any():
        raise ValueError(f"bits behind the last of {count} values")
    signed = np.where(flat > storage.highest, flat - (1 << bits), flat)
    values: np.ndarray = signed[:count].astype(np.int8)
    return values


def _shifts(bits: int) -> np.ndarray:
    return np.arange(_TOGETHER, dtype=np.uint64) * np.uint64(bits)
