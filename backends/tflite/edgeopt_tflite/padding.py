"""Says how TFLite pads as a window of torch does: SAME, VALID, or a pad in front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Axis", "Padding", "explicit_padding", "plan_padding"]


@dataclass(frozen=True)
class Axis:
    """A window along one axis.

    Attributes:
        size: Elements of the input.
        kernel: Elements of the window.
        stride: Steps between windows.
        dilation: Steps between the window's elements.
        before: Elements added in front.
        out: Windows.
    """

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    out: int

    @property
    def reach(self) -> int:
        """Elements of the input that a window spans."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def after(self) -> int:
        """Elements to add at the end so that the last window is full; below 0: some are unread."""
        return (self.out - 1) * self.stride + self.reach - self.size - self.before

    @property
    def is_valid(self) -> bool:
        """Whether TFLite's VALID is this."""
        return self.before == 0 and self.out == (self.size - self.reach) // self.stride + 1

    @property
    def is_same(self) -> bool:
        """Whether TFLite's SAME is this: half of what is missing in front, rounded down."""
        missing = max((self.out - 1) * self.stride + self.reach - self.size, 0)
        return self.out == -(-self.size // self.stride) and self.before == missing // 2


@dataclass(frozen=True)
class Padding:
    """How to pad.

    Attributes:
        same: Whether the operator pads by itself (SAME); else it is VALID.
        amounts: Before and after, for each axis, to be added by an operator in front.
    """

    same: bool
    amounts: tuple[tuple[int, int], ...] = ()


def plan_padding(axes: Sequence[Axis]) -> Padding:
    """Returns how to pad so that the windows along ``axes`` are torch's."""
    if all(axis.is_valid for axis in axes):
        return Padding(same=False)
    if all(axis.is_same for axis in axes):
        return Padding(same=True)
    return explicit_padding(axes)


def explicit_padding(axes: Sequence[Axis]) -> Padding:
    """Returns the padding of ``axes`` as an operator in front."""
    return Padding(same=False, amounts=tuple((a.before, max(a.after, 0)) for a in axes))
