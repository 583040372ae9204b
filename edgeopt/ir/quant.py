"""The grid that a value lies on: Q(x) = round(x / scale) + zero_point, that is round(a·x + b).

Source of the scheme: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2018 (affine activations, symmetric weights, int32 biases);
Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference", 2018 (one scale
a channel).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import torch

from edgeopt.contracts.storage import (
    ACTIVATION_TYPES,
    INT8,
    INT16,
    INT32,
    STORAGE_TYPES,
    WEIGHT_TYPES,
    StorageType,
    storage_type,
)
from edgeopt.errors import ProgramError
from edgeopt.ir.rounding import on_integers, round_and_clip

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Granularity", "QuantSpec"]

Granularity = Literal["tensor", "channel", "group"]
"""How many values share a scale: all, those of a channel, or as many of them as a group has."""

STEP_OF_CONSTANTS = 2.0**-7
"""The step of a range of width zero."""

SMALLEST_STEP = 1e-12
"""A range with smaller steps counts as a constant."""


@dataclass(frozen=True, eq=False)
class QuantSpec:
    """How one value is stored.

    Attributes:
        storage: What it is stored in, or its name. A floating type has no scale: the value is
            rounded to it.
        scale: float32 of shape (1,) or (channels,), or (channels, groups): the step of the grid.
        zero_point: int32 of the same shape: the integer that stands for 0.
        axis: The channel axis for one scale a channel, None for one scale in all.
        bits: Bits of the grid that are used; 7 in 8 where products of the target saturate.
        method: How the range was found, for example ``mse`` or ``fixed``.
        group: How many neighbours along the last axis share a scale, of a matrix with its channels on axis 0;
            None for all of a channel.
    """

    storage: StorageType
    scale: torch.Tensor = field(default_factory=lambda: torch.ones(1))
    zero_point: torch.Tensor = field(default_factory=lambda: torch.zeros(1, dtype=torch.int32))
    axis: int | None = None
    bits: int = 8
    method: str = ""
    group: int | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "storage", storage_type(self.storage))
        except KeyError as error:
            raise ProgramError(
                f"there is no storage type {self.storage!r}",
                hint=f"known: {', '.join(STORAGE_TYPES)}",
            ) from error
        if self.storage.floating:
            return
        dimensions = 1 if self.group is None else 2
        if self.scale.shape != self.zero_point.shape or self.scale.ndim != dimensions:
            kind = "one-dimensional" if self.group is None else "channels by groups"
            raise ProgramError(
                f"scale of shape {tuple(self.scale.shape)} and zero point of shape "
                f"{tuple(self.zero_point.shape)}: both must be {kind} and of one length"
            )
        if self.group is not None and (self.group < 1 or self.axis != 0):
            raise ProgramError(f"a group of {self.group} on axis {self.axis}: groups divide rows")
        if self.storage.is_packed and not self._holds_zero_points():
            raise ProgramError(f"a zero point that is no {self.storage}")
        if not bool(torch.isfinite(self.scale).all()) or bool((self.scale <= 0).any()):
            raise ProgramError("a scale must be finite and above zero")
        if self.storage == INT16 and bool(self.zero_point.any()):
            raise ProgramError("the zero point of 16 bits must be 0, as kernels for them have it")

    @classmethod
    def affine(
        cls,
        low: float,
        high: float,
        *,
        method: str,
        bits: int | None = None,
        storage: StorageType = INT8,
    ) -> QuantSpec:
        """Returns the grid of an activation that spans ``low`` to ``high`` and holds 0 exactly.

        Both ends are rounded to the grid, so that 0 is one of its points. A range of width zero
        becomes a grid of step 1/128 around the constant's side of zero. Of 16 bits it is symmetric, as
        kernels for them have it.

        Raises:
            ProgramError: An end is not finite.
        """
        if not math.isfinite(low) or not math.isfinite(high):
            raise ProgramError(f"a range must be finite, not {low} to {high}")
        low, high = min(low, 0.0), max(high, 0.0)
        bits = storage.bits if bits is None else bits
        symmetric = storage.bits > INT8.bits
        if symmetric:
            low, high = min(low, -high), max(high, -low)
        q_min, q_max = storage.limits(bits, narrow=symmetric)
        scale = (high - low) / (q_max - q_min)
        if scale < SMALLEST_STEP:
            scale = STEP_OF_CONSTANTS
        zero = 0 if symmetric else max(q_min, min(q_max, round(q_min - low / scale)))
        return cls(
            storage,
            scale=torch.tensor([scale], dtype=torch.float32),
            zero_point=torch.tensor([zero], dtype=torch.int32),
            bits=bits,
            method=method,
        )

    @property
    def dtype(self) -> str:
        """The name of its storage type."""
        return self.storage.name

    @property
    def granularity(self) -> Granularity:
        """How many values share a scale."""
        if self.group is not None:
            return "group"
        return "tensor" if self.axis is None else "channel"

    @property
    def is_weight(self) -> bool:
        """Whether a weight may be so stored: in integers of 8 bits or fewer."""
        return self.storage in WEIGHT_TYPES

    @property
    def is_activation(self) -> bool:
        """Whether a value so stored is what integer kernels read: 8 or 16 bits, one scale in all."""
        return self.storage in ACTIVATION_TYPES and self.granularity == "tensor"

    @property
    def _limits(self) -> tuple[int, int]:
        """Both ends; symmetric ones leave out the integer that has no counterpart."""
        if self.storage not in ACTIVATION_TYPES:
            return self.storage.limits()  # all of an accumulator's bits are used, and of few bits
        symmetric = self.granularity != "tensor" or self.storage != INT8
        return self.storage.limits(self.bits, narrow=symmetric)

    def _holds_zero_points(self) -> bool:
        lowest, highest = self.storage.limits()
        return bool(((self.zero_point >= lowest) & (self.zero_point <= highest)).all())

    @property
    def q_min(self) -> int:
        """The smallest integer."""
        return self._limits[0]

    @property
    def q_max(self) -> int:
        """The largest integer."""
        return self._limits[1]

    @property
    def low(self) -> float:
        """The smallest real value of a per-tensor grid."""
        return float(self.scale[0]) * (self.q_min - int(self.zero_point[0]))

    @property
    def high(self) -> float:
        """The largest real value of a per-tensor grid."""
        return float(self.scale[0]) * (self.q_max - int(self.zero_point[0]))

    def bytes_for(self, count: int) -> int:
        """Returns the bytes that ``count`` values take; scales and zero points of groups are counted with them."""
        beside = 0
        if self.group is not None:
            beside = self.scale.numel() * self.scale.element_size()
            beside += self.storage.bytes_for(self.scale.numel()) if self.zero_point.any() else 0
        return self.storage.bytes_for(count) + beside

    def misfit(self, shape: Sequence[int]) -> str:
        """Returns why a tensor of ``shape`` cannot lie on the grid, empty where it can."""
        if self.axis is None or self.storage.floating:
            return ""
        scales = tuple(self.scale.shape)
        if self.group is not None:
            fits = tuple(shape) == (scales[0], scales[1] * self.group)
            return "" if fits else f"scales of shape {scales}, groups of {self.group}"
        fits = self.axis < len(shape) and shape[self.axis] == scales[0]
        return "" if fits else f"{scales[0]} scales on axis {self.axis}"

    def with_method(self, method: str) -> QuantSpec:
        """Returns the same grid, found by ``method``."""
        return replace(self, method=method)

    def same_grid(self, other: QuantSpec) -> bool:
        """Returns whether both store every real number as the same integer."""
        return (
            self.storage == other.storage
            and self.axis == other.axis
            and self.group == other.group
            and self.bits == other.bits
            and torch.equal(self.scale, other.scale)
            and torch.equal(self.zero_point, other.zero_point)
        )

    def quantize(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the integers (or halves) of ``x``, of its shape; ties round to even."""
        if self.storage.floating:
            return x.to(torch.float16)
        x = x.double() if self.storage == INT32 else x  # float32 holds no integer above 2**24
        scale, zero = self._spread(x)
        q = round_and_clip(x, scale, zero, self.q_min, self.q_max)
        return q.to(getattr(torch, self.storage.container))

    def dequantize(self, q: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Returns the real numbers that the integers ``q`` stand for."""
        if self.storage.floating:
            return q.to(dtype)
        scale, zero = self._spread(q.to(dtype))
        return (q.to(dtype) - zero) * scale

    def fake(self, x: torch.Tensor) -> torch.Tensor:
        """Returns ``x`` rounded onto the grid and clipped to it, float32, of its shape."""
        if self.storage.floating:
            return x.to(torch.float16).to(torch.float32)
        scale, zero = self._spread(x)
        return on_integers(x, scale, zero, self.q_min, self.q_max)

    def spread(self, values: torch.Tensor, ndim: int) -> torch.Tensor:
        """Returns one value a scale in a shape that spreads over a tensor of ``ndim`` dimensions."""
        if self.axis is None:
            return values
        if self.group is not None:
            return values.repeat_interleave(self.group, 1)
        shape = [1] * ndim
        shape[self.axis] = -1
        return values.reshape(shape)

    def _spread(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scale, zero = self.scale.to(like.dtype), self.zero_point.to(like.dtype)
        return self.spread(scale, like.ndim), self.spread(zero, like.ndim)
