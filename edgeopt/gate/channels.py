"""Judges the parts of an output along one axis: which are read alone, and what is left of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeopt.gate.floors import Shortfall
from edgeopt.gate.parts import ratios

if TYPE_CHECKING:
    from edgeopt.gate.parts import AxisSums, OutputSums
    from edgeopt.options import FidelityLimits

__all__ = ["ALIVE", "ENOUGH", "SILENT_DB", "ChannelJudge"]

APART = 32.0
"""A part whose spread is smaller than the largest by more than this cannot be shown on one int8 grid
with the others: a grid of 255 steps over 8 standard deviations of the largest leaves it 10 dB."""

MANY = 64
"""Along an axis of more parts, nobody reads each alone: it is an embedding, or a list of places."""

FEW = 0.05
"""Share of the parts of such an axis below which what falls short is warned of only."""

ENOUGH = 4
"""Values that a part must have to be judged: of fewer, one near zero decides."""

NEGLIGIBLE = 1e-5
"""Root mean square beside the output's largest value, below which a part says nothing."""

RARE, RARE_BESIDE = 0.05, 1 / 64
"""Probabilities that never exceed this are those of events that did not happen: 0 is as good. The
first in an output of probabilities, the second beside larger quantities."""

SILENT_DB = 3.0
"""Signal over noise, by its spread, below which a part no longer says what it said."""

ALIVE, ALIVE_BESIDE = 0.1, 0.02
"""Spread over root mean square from which a part says something by how it varies; the second for a
part far smaller than others, which their grid may have flattened."""


class ChannelJudge:
    """Judges the parts of an output along one axis.

    Attributes:
        apart: Which parts are too small beside the largest for one grid.
        worst: Ratio and name of the part with the least ratio of those that are read alone.
    """

    def __init__(self, sums: OutputSums, along: AxisSums, limits: FidelityLimits) -> None:
        self._sums, self._along, self._limits = sums, along, limits
        self._raw, self._varied = ratios(along), ratios(along, "spread")
        self._alive = self._judgeable()
        spread, self._largest = along.spread, float(along.spread.max(initial=0.0))
        several = len(sums.shape) <= 2  # noqa: PLR2004 (a row of scores)
        self._together = several or len(along.count) > MANY
        self.apart = self._alive & (spread < self._largest / APART) & (along.rms < self._peak / 8)
        alone = self.apart if self._together else self._alive
        at = min(np.flatnonzero(alone), key=lambda i: self._raw[i], default=None)
        self.worst = None if at is None else (float(self._raw[at]), self._label([int(at)]))

    @property
    def unlike(self) -> bool:
        """Whether the parts are quantities of different kinds, not scores of classes."""
        share = self.apart.mean()
        return bool(share >= FEW if len(self.apart) > MANY else share > 0)

    @property
    def _peak(self) -> float:
        whole = self._sums.whole
        return float(max(abs(whole.low[0]), abs(whole.high[0])))

    def _judgeable(self) -> np.ndarray:
        along, peak = self._along, self._peak
        if along.simplex:
            return np.zeros(len(along.count), bool)
        whole = self._sums.whole
        rare = RARE if whole.low[0] >= 0 and whole.high[0] <= 1 else RARE_BESIDE
        unlikely = (along.low >= 0) & (along.high <= rare)
        if whole.high[0] <= rare:
            unlikely &= False  # not beside anything larger: a small quantity
        return _mask((along.count >= ENOUGH) & (along.rms > NEGLIGIBLE * peak) & ~unlikely)

    def shortfalls(self, name: str) -> list[Shortfall]:
        """Returns what falls short along this axis: what fails, and what is warned of."""
        grave = self._grave() | self._disturbed()
        warned = self._warned() & ~grave
        fails = self._together and len(grave) > MANY and grave.mean() < FEW
        findings = []
        if grave.any():
            findings.append(Shortfall(not fails, f"{name}: {self._told(grave)}"))
        if warned.any():
            findings.append(Shortfall(grave=False, what=f"{name}: {self._told(warned)}"))
        return findings

    def _grave(self) -> np.ndarray:
        along, raw, varied = self._along, self._raw, self._varied
        varies = along.spread >= ALIVE * along.rms
        frozen = (along.got_low == along.got_high) & varies & (along.spread > 0)
        low = raw < self._limits.min_snr_db
        hidden = (varied < SILENT_DB) & (along.spread >= ALIVE_BESIDE * along.rms)
        hidden &= along.spread < self._largest / (2 * APART)
        if not self._together:
            return _mask(self._alive & (low | frozen | hidden | ((varied < SILENT_DB) & varies)))
        lost = (raw < SILENT_DB) & (along.spread >= self._largest / 4)
        frozen &= along.spread >= self._largest / 4
        return _mask(self._alive & ((self.apart & (low | hidden)) | lost | frozen))

    def _disturbed(self) -> np.ndarray:
        """Parts that are nothing in float, and something now."""
        along, whole = self._along, self._sums.whole
        nothing = along.rms <= NEGLIGIBLE * self._peak
        return _mask(nothing & (along.error > 0.1 * whole.rms[0]))

    def _warned(self) -> np.ndarray:
        along = self._along
        if self._together:
            near = self._raw < self._limits.min_snr_db
            return _mask(self._alive & near & (along.spread >= self._largest / 4))
        varies = along.spread >= ALIVE * along.rms
        low = self._raw < self._limits.warn_snr_db
        return _mask(self._alive & (low | ((self._varied < self._limits.min_snr_db) & varies)))

    def _told(self, parts: np.ndarray) -> str:
        at = [int(i) for i in np.flatnonzero(parts)]
        least = min(at, key=lambda i: min(self._raw[i], self._varied[i]))
        raw, varied = self._raw[least], self._varied[least]
        of = (
            f"{varied:.1f} dB of what varies" if raw > self._limits.warn_snr_db else f"{raw:.1f} dB"
        )
        return f"{self._label(at)} of {len(parts)} along axis {self._along.axis}, the worst {of}"

    def _label(self, at: list[int]) -> str:
        shown = ", ".join(str(i) for i in at[:4])
        more = f" and {len(at) - 4} more" if len(at) > 4 else ""  # noqa: PLR2004
        return f"channel{'s' if len(at) > 1 else ''} {shown}{more}"


def _mask(parts: np.ndarray) -> np.ndarray:
    return np.asarray(parts, dtype=bool)
