"""Sums over the parts of an output that a person may read alone: its channels, rows and samples."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgeopt.gate.metrics import snr_db

__all__ = ["AxisSums", "OutputSums", "channel_axes", "ratios"]

SIMPLEX = 1e-3
"""How far shares may be from adding up to 1."""


def channel_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the axes along which an output may hold quantities that are read apart.

    The first axis is the batch's. The second is the channels' in torch's layout, the last one in
    that of transformers and detection heads; of a square picture only the second can be.
    """
    last = len(shape) - 1
    if last <= 0:
        axes: tuple[int, ...] = (0,) if shape else ()
    elif last == 3 and shape[2] == shape[3]:  # noqa: PLR2004 (batch, channels, height, width)
        axes = (1,)
    else:
        axes = tuple(dict.fromkeys((1, last)))
    return tuple(axis for axis in axes if shape[axis] > 1)


@dataclass
class AxisSums:
    """Energies of the parts along one axis, added up over samples and all other axes.

    Attributes:
        axis: The axis; None for the output as one part.
        count: Number of values in each part.
        total: Sum of the wanted values.
        signal: Sum of their squares.
        noise: Sum of the squared differences.
        low, high: Least and largest wanted value.
        got_low, got_high: Least and largest value of what is judged.
        simplex: Whether the values along the axis are shares of one: not negative, with sum 1.
    """

    axis: int | None
    count: np.ndarray
    total: np.ndarray
    signal: np.ndarray
    noise: np.ndarray
    low: np.ndarray
    high: np.ndarray
    got_low: np.ndarray
    got_high: np.ndarray
    simplex: bool = True

    @classmethod
    def over(cls, axis: int | None, size: int) -> AxisSums:
        """Returns empty sums of ``size`` parts."""
        zero, far = np.zeros(size), np.full(size, np.inf)
        return cls(axis, zero, zero, zero, zero, far, -far, far, -far)

    def add(self, want: np.ndarray, have: np.ndarray, noise: np.ndarray) -> None:
        """Adds one sample: what it should be, what it is, and the squared differences."""
        others = tuple(a for a in range(want.ndim) if a != self.axis)
        size = want.shape[self.axis] if self.axis is not None else 1
        self.count = self.count + want.size / size
        self.total = self.total + want.sum(axis=others)
        self.signal = self.signal + np.square(want).sum(axis=others)
        self.noise = self.noise + noise.sum(axis=others)
        self.low = np.minimum(self.low, want.min(axis=others))
        self.high = np.maximum(self.high, want.max(axis=others))
        self.got_low = np.minimum(self.got_low, have.min(axis=others))
        self.got_high = np.maximum(self.got_high, have.max(axis=others))
        self._see_shares(want)

    def _see_shares(self, want: np.ndarray) -> None:
        if self.simplex and self.axis is not None:
            sums = want.sum(axis=self.axis)
            self.simplex = bool(want.min() >= 0 and np.abs(sums - 1).max() <= SIMPLEX)

    @property
    def rms(self) -> np.ndarray:
        """Root mean square of the wanted values of each part."""
        return np.asarray(np.sqrt(self.signal / np.maximum(self.count, 1)))

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation of the wanted values of each part."""
        mean = self.total / np.maximum(self.count, 1)
        variance = self.signal / np.maximum(self.count, 1) - np.square(mean)
        floor = 1e-13 * self.signal / np.maximum(self.count, 1)  # what float64 cannot tell from 0
        return np.asarray(np.sqrt(np.where(variance > floor, variance, 0.0)))

    @property
    def error(self) -> np.ndarray:
        """Root mean square of the differences of each part."""
        return np.asarray(np.sqrt(self.noise / np.maximum(self.count, 1)))


@dataclass
class OutputSums:
    """The sums of one output in numbers: as a whole, along each channel axis, and by sample."""

    shape: tuple[int, ...]
    whole: AxisSums = field(init=False)
    axes: tuple[AxisSums, ...] = field(init=False)
    samples: list[AxisSums] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.whole = AxisSums.over(None, 1)
        self.axes = tuple(AxisSums.over(a, self.shape[a]) for a in channel_axes(self.shape))

    def add(self, reference: np.ndarray, got: np.ndarray) -> None:
        """Adds one sample: what it should be, and what it is."""
        if not reference.size:
            return
        want, have, noise = _comparable(reference, got)
        alone = AxisSums.over(None, 1)
        for sums in (self.whole, alone, *self.axes):
            sums.add(want, have, noise)
        self.samples.append(alone)


def _comparable(
    reference: np.ndarray, got: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns both in float64 and their squared differences.

    What is not finite on both sides alike (a mask's -inf) is no difference and no signal; on one
    side only, the difference is infinite.
    """
    want, have = reference.astype(np.float64), got.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        noise = np.square(want - have)
    alike = (want == have) | (np.isnan(want) & np.isnan(have))
    noise = np.where(alike, 0.0, np.where(np.isfinite(noise), noise, np.inf))
    return np.where(np.isfinite(want), want, 0.0), np.where(np.isfinite(have), have, 0.0), noise


def ratios(sums: AxisSums, of: str = "rms") -> np.ndarray:
    """Returns the signal-to-noise ratio of each part in dB; ``of`` is what counts as signal."""
    signal, error = getattr(sums, of), sums.error
    return np.array([snr_db(s * s, e * e) for s, e in zip(signal, error, strict=True)])
