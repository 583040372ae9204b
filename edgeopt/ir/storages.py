"""Makes tensors of bytes from outside: nothing is read beyond them, nothing grows far over them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DTYPES", "storage", "strided"]

_MAX_NUMBER = 2**62

DTYPES = {
    name: getattr(torch, name)
    for name in (
        *("float16", "bfloat16", "float32", "float64", "bool", "uint8"),
        *("int8", "int16", "int32", "int64", "complex64", "complex128"),
    )
}


def storage(raw: bytes | memoryview) -> torch.Tensor:
    """Returns a copy of the bytes, uint8, that tensors of one storage share."""
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8) if len(raw) else torch.empty(0)


def strided(
    whole: torch.Tensor,
    dtype: torch.dtype,
    size: Sequence[int],
    stride: Sequence[int],
    offset: int,
    *,
    spare: int,
) -> torch.Tensor:
    """Returns the given view of a storage.

    Args:
        whole: The storage, uint8, shape ``[bytes]``.
        dtype: Of the elements.
        size: Dimensions.
        stride: Elements from one to the next along each dimension.
        offset: The first element.
        spare: Bytes that it may have more than its storage (a dimension of stride 0 has).

    Raises:
        ValueError: The view reaches beyond the storage, or is far larger.
    """
    numbers = (*size, *stride, offset)
    if any(type(number) is not int or not 0 <= number < _MAX_NUMBER for number in numbers):
        raise ValueError("a tensor whose dimensions are no numbers")
    width, count, capacity = dtype.itemsize, math.prod(size), whole.numel()
    last = offset + sum((d - 1) * s for d, s in zip(size, stride, strict=True))
    if count and (last + 1) * width > capacity:
        raise ValueError(f"a tensor of {list(size)} in {capacity} bytes")
    if count * width > capacity + spare:
        raise ValueError(f"a tensor of {list(size)} that repeats {capacity} bytes")
    if not count:
        return torch.empty_strided(tuple(size), tuple(stride), dtype=dtype)
    elements = whole[: capacity // width * width].view(dtype)
    return elements.as_strided(tuple(size), tuple(stride), offset)
