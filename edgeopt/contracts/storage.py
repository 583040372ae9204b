"""What values are stored in: storage types and the precisions that are made of them, as data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "ACTIVATION_TYPES",
    "FLOAT16",
    "FLOAT32",
    "INT2",
    "INT3",
    "INT4",
    "INT8",
    "INT16",
    "INT32",
    "STORAGE_TYPES",
    "UINT8",
    "WEIGHT_TYPES",
    "Precision",
    "StorageType",
    "storage_type",
    "weight_storage",
]


BYTE = 8
"""Bits of a byte."""


@dataclass(frozen=True)
class StorageType:
    """What one value is stored in.

    Attributes:
        name: For example ``int8``: as torch and numpy call it, where they have it.
        bits: Bits of one value.
        signed: Whether it holds numbers below zero.
        floating: Whether it is a floating type; else it holds integers.
        largest: The largest finite number of a floating type.
    """

    name: str
    bits: int
    signed: bool = True
    floating: bool = False
    largest: float = math.inf

    @property
    def lowest(self) -> int:
        """The lowest integer."""
        return self.limits()[0]

    @property
    def highest(self) -> int:
        """The highest integer."""
        return self.limits()[1]

    @property
    def steps(self) -> int:
        """Steps from the lowest to the highest integer: 255 of 8 bits."""
        return self.highest - self.lowest

    def limits(self, bits: int | None = None, *, narrow: bool = False) -> tuple[int, int]:
        """Returns the lowest and the highest integer.

        Args:
            bits: Bits that are used, where those are fewer than it has.
            narrow: Whether the lowest is left out, so that the range is symmetric (weights).
        """
        bits = self.bits if bits is None else bits
        if not self.signed:
            return 0, 2**bits - 1
        return -(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1

    def bytes_for(self, count: int) -> int:
        """Returns the bytes that ``count`` values take, packed."""
        return -(-count * self.bits // 8)

    @property
    def is_packed(self) -> bool:
        """Whether values share bytes: a tensor of them is one of `container` where it is not packed."""
        return self.bits < BYTE

    @property
    def container(self) -> str:
        """The name of the type that torch and numpy hold its values in, one by one."""
        return "int8" if self.is_packed else self.name

    def __str__(self) -> str:
        return self.name


INT2 = StorageType("int2", 2)
INT3 = StorageType("int3", 3)
INT4 = StorageType("int4", 4)
INT8 = StorageType("int8", 8)
UINT8 = StorageType("uint8", 8, signed=False)
INT16 = StorageType("int16", 16)
INT32 = StorageType("int32", 32)
FLOAT16 = StorageType("float16", 16, floating=True, largest=65504.0)
FLOAT32 = StorageType("float32", 32, floating=True, largest=float.fromhex("0x1.fffffep127"))

ACTIVATION_TYPES = (INT8, INT16)
"""What an activation on a grid is stored in; of 16 bits its zero point is 0."""

WEIGHT_TYPES = (INT2, INT3, INT4, INT8)
"""What a weight on a grid is stored in; those of fewer than 8 bits are packed."""

STORAGE_TYPES: dict[str, StorageType] = {
    one.name: one for one in (*WEIGHT_TYPES, UINT8, INT16, INT32, FLOAT16, FLOAT32)
}
"""Name to storage type."""


def storage_type(name: str | StorageType) -> StorageType:
    """Returns the storage type called ``name``.

    Raises:
        KeyError: There is none.
    """
    return name if isinstance(name, StorageType) else STORAGE_TYPES[name]


def weight_storage(bits: int) -> StorageType:
    """Returns the smallest storage type that holds weights of ``bits``: of 5 to 7 it is int8."""
    return next(one for one in WEIGHT_TYPES if one.bits >= bits)


_ACTIVATIONS = {"int8": INT8, "int16x8": INT16}
"""Precision to what activations are stored in, where that is an integer type."""


class Precision(StrEnum):
    """What weights and activations are stored in; a string, so that it is read and written as one.

    ``Precision("int8") == "int8"``.
    """

    INT8 = "int8"
    INT16X8 = "int16x8"
    INT8_DYNAMIC = "int8-dynamic"
    INT4_DYNAMIC = "int4-dynamic"
    FLOAT16 = "float16"
    FLOAT32 = "float32"

    @property
    def weight_type(self) -> StorageType:
        """What weights are stored in."""
        return (
            INT8 if self is Precision.INT16X8 else storage_type(self.value.removesuffix("-dynamic"))
        )

    @property
    def activation_type(self) -> StorageType:
        """What activations are stored in."""
        return _ACTIVATIONS.get(self.value, FLOAT32)

    @property
    def is_integer(self) -> bool:
        """Whether kernels run on integers: weights and activations are both quantized."""
        return not self.activation_type.floating

    @property
    def has_integer_weights(self) -> bool:
        """Whether weights are integers, whatever activations are."""
        return not self.weight_type.floating

    @property
    def needs_calibration(self) -> bool:
        """Whether ranges of activations must be found on data."""
        return self.is_integer
