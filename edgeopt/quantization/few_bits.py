"""Steps and zero points of weights of few bits: those of least squared error, of a channel or of each group.

The largest weight of a group decides its step no longer: of 4 bits and fewer, clipping it costs less than a coarse step
for all others. Steps are tried from the largest weight's down, and each is then fitted to the integers that it gives,
by least squares; errors count by the mean square of the input that they are multiplied with, where that is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from edgeopt.contracts.storage import weight_storage
from edgeopt.ir.quant import QuantSpec
from edgeopt.ir.rounding import round_and_clip

if TYPE_CHECKING:
    from edgeopt.contracts.storage import StorageType

__all__ = ["GROUPS", "fitted_spec", "fitting_group"]

GROUPS = tuple(2**power for power in (7, 6, 5))
"""How many neighbours may share a step, the most first."""
SHRINKS = torch.linspace(1.0, 0.3, 29).tolist()
MIN_SCALE = 1e-9
FITS = 2
"""How often integers and step are fitted to one another."""


def fitting_group(inputs: int, asked: int) -> int | None:
    """Returns how many of ``inputs`` share a step: as many as asked, or the most below that divide them.

    Returns:
        ``inputs`` where they are fewer than any group or all are asked for (0), None where nothing divides them.
    """
    if not asked or inputs <= min(GROUPS):
        return inputs
    return next((g for g in GROUPS if g <= asked and inputs % g == 0), None)


def fitted_spec(
    weight: torch.Tensor,
    *,
    bits: int,
    group: int | None = None,
    affine: bool = False,
    importance: torch.Tensor | None = None,
) -> QuantSpec:
    """Returns the grid on which ``weight`` has the least squared error.

    Args:
        weight: (channels, inputs), float32.
        bits: 2 to 4.
        group: Inputs that share a step, of which their number is a multiple; None for one step a channel.
        affine: Whether a group has a zero point, beside its step.
        importance: (inputs,): what the square of an error counts; None where all count the same.
    """
    storage = weight_storage(bits)
    parts = weight.reshape(weight.shape[0], -1, group or weight.shape[1])
    counts = torch.ones(weight.shape[1]) if importance is None else importance.float()
    fit = _Fit(parts, counts.reshape(1, parts.shape[1], -1).clamp_min(1e-12), storage, affine)
    scale, zero = fit.best()
    if group is None:
        scale, zero = scale[:, 0], zero[:, 0]
    return QuantSpec(storage, scale, zero.to(torch.int32), 0, bits, "least squares", group)


@dataclass(frozen=True)
class _Fit:
    """Parts of a weight, (channels, groups, members), and what errors in them count."""

    parts: torch.Tensor
    counts: torch.Tensor
    storage: StorageType
    affine: bool

    def best(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns step and zero point of least squared error: (channels, groups) each."""
        least: torch.Tensor | None = None
        chosen = (torch.empty(0), torch.empty(0))
        for shrink in SHRINKS:
            scale, zero = self._fitted(*self._start(shrink))
            error = self._error(scale, zero)
            if least is None:
                least, chosen = error, (scale, zero)
                continue
            better = error < least
            least = torch.where(better, error, least)
            pairs = zip((scale, zero), chosen, strict=True)
            chosen = tuple(torch.where(better, new, old) for new, old in pairs)  # type: ignore[assignment]
        return chosen

    def _start(self, shrink: float) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.affine:
            scale = self.parts.abs().amax(2) * (shrink / self.storage.highest)
            return scale.clamp_min(MIN_SCALE), torch.zeros_like(scale)
        low, high = self.parts.amin(2).clamp(max=0), self.parts.amax(2).clamp(min=0)
        scale = ((high - low) * (shrink / self.storage.steps)).clamp_min(MIN_SCALE)
        zero = (self.storage.lowest - low * shrink / scale).round()
        return scale, zero.clamp(*self.storage.limits())

    def _fitted(self, scale: torch.Tensor, zero: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        for _ in range(FITS):
            steps = self._integers(scale, zero) - zero[..., None]
            weighted = self.counts * steps
            squares = (weighted * steps).sum(2)
            products = (weighted * self.parts).sum(2)
            fits = (squares > 0) & (products > 0)
            scale = torch.where(fits, products / squares, scale).clamp_min(MIN_SCALE)
        return scale, zero

    def _integers(self, scale: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
        limits = self.storage.limits()
        return round_and_clip(self.parts, scale[..., None], zero[..., None], *limits)

    def _error(self, scale: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
        real = (self._integers(scale, zero) - zero[..., None]) * scale[..., None]
        return (self.counts * (real - self.parts).square()).sum(2)
