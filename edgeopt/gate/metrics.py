"""How near two sets of outputs are: cosine, signal-to-noise, and the class they name."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import msgspec
import numpy as np

__all__ = ["Arrays", "Likeness", "LikenessMeter", "class_axis", "cosine", "snr_db"]

Arrays = tuple[np.ndarray, ...]
"""One call's inputs or outputs, in the order of the signature."""

LAST_BITS = 2.0**-20
"""Of the largest score of a row in float32: eight units in its last place."""

MAX_SNR_DB = 200.0
"""What stands for "no difference at all": an infinite figure is not JSON."""


class Likeness(msgspec.Struct, frozen=True):
    """How near one output is to what it is compared with, over all samples.

    Attributes:
        output: Name of the output.
        samples: Number of samples compared.
        cosine_min: Least cosine of a sample.
        cosine_mean: Mean cosine of the samples.
        snr_db: Signal-to-noise ratio over all samples, in dB.
        max_error: Largest absolute difference, in the output's unit.
        max_error_steps: The same in steps of the output's grid; None where it has none.
        argmax: Share of rows (0 to 1) that name the same class; None where the output is not
            one score a class. Ties count as equal. For an integer output, the share of equal values.
        near_ties: Share of rows that name another class, whose two scores in the reference lie
            within one step of its grid, or of one in float within its last bits: a coin toss.
        off_grid: Least cosine among samples with a difference above one step; 1 where there is none.
    """

    output: str
    samples: int
    cosine_min: float
    cosine_mean: float
    snr_db: float
    max_error: float
    max_error_steps: float | None = None
    argmax: float | None = None
    near_ties: float = 0.0
    off_grid: float = 1.0


def class_axis(shape: tuple[int, ...], dtype: str) -> int | None:
    """Returns the axis that class scores would lie on: the last of a (batch, classes) output, else None."""
    return 1 if len(shape) == 2 and shape[1] > 1 and dtype.startswith("float") else None  # noqa: PLR2004


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the cosine of the angle between two arrays; 1 for two zeros.

    NaN and infinities count for nothing where both have the same ones; else it is 0.
    """
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    finite = np.isfinite(x)
    if (
        not np.array_equal(x[~finite], y[~finite], equal_nan=True)
        or not np.isfinite(y[finite]).all()
    ):
        return 0.0
    x, y = x[finite], y[finite]
    length = math.sqrt(float(x @ x)) * math.sqrt(float(y @ y))
    if length == 0.0:
        return 1.0 if not x.any() and not y.any() else 0.0
    return max(-1.0, min(1.0, float(x @ y) / length))


def snr_db(signal: float, noise: float) -> float:
    """Returns the ratio of two energies in dB, at most `MAX_SNR_DB` to either side."""
    if noise <= 0.0:
        return MAX_SNR_DB
    if signal <= 0.0 or not math.isfinite(noise):
        return -MAX_SNR_DB
    ratio = 10.0 * math.log10(signal) - 10.0 * math.log10(noise)  # no quotient that overflows
    return max(-MAX_SNR_DB, min(MAX_SNR_DB, ratio)) + 0.0


@dataclass
class LikenessMeter:
    """Adds up samples of one output.

    Attributes:
        output: Name of the output.
        step: Step of the output's grid; None where it has none.
        by_class: Whether rows of two axes are one score a class; else they are values.
    """

    output: str
    step: float | None = None
    by_class: bool = True
    _cosines: list[float] = field(default_factory=list)
    _off_grid: list[float] = field(default_factory=list)
    _signal: float = 0.0
    _noise: float = 0.0
    _max_error: float = 0.0
    _rows: int = 0
    _equal: int = 0
    _near: int = 0

    def add(self, reference: np.ndarray, got: np.ndarray) -> None:
        """Adds one sample: what it should be, and what it is."""
        near = cosine(reference, got)
        want, have = reference.astype(np.float64), got.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            alike = (want == have) | (np.isnan(want) & np.isnan(have))
            error = np.where(alike, 0.0, np.abs(want - have))
        largest = float(error.max(initial=0.0)) if np.isfinite(error).all() else math.inf
        self._cosines.append(near)
        if self.step is None or largest > 1.001 * self.step:
            self._off_grid.append(near)
        self._max_error = max(self._max_error, largest)
        self._signal += float(np.square(want[np.isfinite(want)]).sum())
        self._noise += float(np.square(error).sum())
        self._count_classes(reference, got)

    def _count_classes(self, reference: np.ndarray, got: np.ndarray) -> None:
        if reference.dtype.kind in "iub":
            self._rows += reference.size
            self._equal += int((reference == got).sum())
        elif self.by_class and class_axis(reference.shape, str(reference.dtype)) is not None:
            for want, have in zip(reference, got, strict=True):
                self._count_row(want, have)

    def _count_row(self, want: np.ndarray, have: np.ndarray) -> None:
        prediction, right = int(have.argmax()), int(want.argmax())
        self._rows += 1
        if want[prediction] == want[right] or have[right] == have[prediction]:
            self._equal += 1
        elif want[right] - want[prediction] <= self._toss(want):
            self._near += 1

    def _toss(self, want: np.ndarray) -> float:
        """Returns the distance of two scores of a row below which either may be the larger one."""
        if self.step is not None:
            return 1.001 * self.step
        return LAST_BITS * float(
            np.abs(want, where=np.isfinite(want), out=np.zeros_like(want)).max()
        )

    def likeness(self) -> Likeness:
        """Returns what was found so far."""
        count = len(self._cosines)
        return Likeness(
            output=self.output,
            samples=count,
            cosine_min=min(self._cosines, default=1.0),
            cosine_mean=sum(self._cosines) / count if count else 1.0,
            snr_db=snr_db(self._signal, self._noise),
            max_error=self._max_error,
            max_error_steps=None if self.step is None else self._max_error / self.step,
            argmax=self._equal / self._rows if self._rows else None,
            near_ties=self._near / self._rows if self._rows else 0.0,
            off_grid=min(self._off_grid, default=1.0),
        )
