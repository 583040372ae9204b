"""Fidelity: how much of each output, and of each part of it, is left beside the float model's.

An output is judged as a whole and along each axis that may hold different quantities: boxes beside
scores, one channel far larger than the others. Which parts are not judged, and why the floors lie
where they do, is written in docs/gate.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from edgeopt.gate.channels import ALIVE, ENOUGH, SILENT_DB, ChannelJudge
from edgeopt.gate.floors import Shortfall
from edgeopt.gate.metrics import MAX_SNR_DB, class_axis
from edgeopt.gate.parts import AxisSums, OutputSums, ratios
from edgeopt.options import FidelityLimits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.contracts import Signature
    from edgeopt.gate.metrics import Arrays

__all__ = ["Fidelity", "output_fidelity"]

Measure = Literal["class", "error", "unequal"]

MIN_EQUAL, WARN_EQUAL = 0.5, 0.99
"""Share of equal integers below which an output fails, or is warned of."""


class Fidelity(msgspec.Struct, frozen=True):
    """How much is left of one output.

    Attributes:
        output: Name of the output.
        measure: What ``loss`` is: the share of rows that name another ``class``, of values that are
            ``unequal`` (integers and truth values), or the energy of the ``error`` over that of
            the signal, in the worst part.
        loss: 0 where nothing is lost.
        snr_db: Signal-to-noise ratio of the whole, in dB.
        worst: The part with the least ratio, None where the output has no parts that are read alone.
        worst_snr_db: Its ratio.
        shortfalls: What falls short.
    """

    output: str
    measure: Measure
    loss: float
    snr_db: float
    worst: str | None = None
    worst_snr_db: float | None = None
    shortfalls: tuple[Shortfall, ...] = ()

    def __str__(self) -> str:
        share = f"{100 * self.loss:.{0 if self.loss > 0.1 else 2}f} %"  # noqa: PLR2004 (digits)
        if self.measure == "class":
            return f"{self.output}: another class in {share}"
        if self.measure == "unequal":
            return f"{self.output}: {share} of the values unequal"
        part = f", {self.worst} {self.worst_snr_db:.1f} dB" if self.worst else ""
        return f"{self.output}: error {share} of the energy (SNR {self.snr_db:.1f} dB{part})"


def output_fidelity(
    signature: Signature,
    reference: Sequence[Arrays],
    got: Sequence[Arrays],
    same_class: Sequence[float | None],
    limits: FidelityLimits | None = None,
) -> tuple[Fidelity, ...]:
    """Returns how much is left of each output.

    Args:
        signature: Names the outputs.
        reference: The float model's outputs, one tuple a sample.
        got: The artefact's.
        same_class: For each output the share of rows that name the same class (equal values of an
            integer output); None where it names none.
        limits: What falls short.
    """
    every = []
    for at, spec in enumerate(signature.outputs):
        sums = OutputSums(tuple(spec.shape))
        for want, have in zip(reference, got, strict=True):
            sums.add(want[at], have[at])
        integers = not spec.dtype.startswith(("float", "bfloat"))
        judge = _judged_integers if integers else _judged
        every.append(judge(spec.name, sums, same_class[at], limits or FidelityLimits()))
    return tuple(every)


def _judged_integers(
    name: str, sums: OutputSums, equal: float | None, limits: FidelityLimits
) -> Fidelity:
    """Indices and masks are equal or not; quantities in integers may be near."""
    share = 1.0 if equal is None else float(equal)
    ratio = float(ratios(sums.whole, "spread")[0])
    near = ratio >= limits.warn_snr_db
    if share < MIN_EQUAL and not near:
        shortfalls: tuple[Shortfall, ...] = (_unequal(name, share, grave=True),)
    elif _is_silent(sums.whole, share):
        shortfalls = (Shortfall(grave=True, what=f"{name}: always the same value; float's differ"),)
    elif MIN_EQUAL <= share < WARN_EQUAL:
        shortfalls = (_unequal(name, share, grave=False),)
    else:
        shortfalls = ()
    return Fidelity(name, "unequal", 1 - share, ratio, shortfalls=shortfalls)


def _unequal(name: str, share: float, *, grave: bool) -> Shortfall:
    return Shortfall(grave=grave, what=f"{name}: {100 * share:.1f} % of the values equal float's")


def _is_silent(whole: AxisSums, share: float) -> bool:
    """Whether what is judged never changes, where float's does in at least eight values."""
    unequal = (1 - share) * float(whole.count[0])
    return bool(whole.got_low[0] == whole.got_high[0] and unequal >= 2 * ENOUGH)


def _judged(name: str, sums: OutputSums, same: float | None, limits: FidelityLimits) -> Fidelity:
    ratio = float(ratios(sums.whole)[0])
    parts = [ChannelJudge(sums, along, limits) for along in sums.axes]
    scores = class_axis(sums.shape, "float32") is not None and not parts[0].unlike
    shortfalls = [*_whole(name, sums, ratio, limits), *_in_samples(name, sums, limits)]
    shortfalls += [one for axis in parts for one in axis.shortfalls(name)]
    if scores and same is not None:
        return Fidelity(name, "class", 1 - float(same), ratio, shortfalls=tuple(shortfalls))
    worst = min((axis.worst for axis in parts if axis.worst), default=None)
    least = ratio if worst is None else min(ratio, float(worst[0]))
    loss = min(1.0, 10 ** (-least / 10)) if least < MAX_SNR_DB else 0.0
    label, at = (None, None) if worst is None else (worst[1], float(worst[0]))
    return Fidelity(name, "error", loss, ratio, label, at, tuple(shortfalls))


def _whole(name: str, sums: OutputSums, ratio: float, limits: FidelityLimits) -> list[Shortfall]:
    whole = sums.whole
    shortfalls = [] if sums.axes else _single(name, whole, limits)
    if not shortfalls and ratio < limits.warn_snr_db and whole.count[0] and not _is_nothing(whole):
        return [Shortfall(ratio < limits.min_snr_db, f"{name}: {ratio:.1f} dB")]
    return shortfalls


def _single(name: str, whole: AxisSums, limits: FidelityLimits) -> list[Shortfall]:
    """One number, or one channel: what it says is how it varies."""
    if whole.count[0] < 2 * ENOUGH or whole.spread[0] < ALIVE * whole.rms[0]:
        return []
    ratio = float(ratios(whole, "spread")[0])
    if ratio >= limits.min_snr_db:
        return []
    return [Shortfall(ratio < SILENT_DB, f"{name}: {ratio:.1f} dB of what varies")]


def _is_nothing(whole: AxisSums) -> bool:
    return bool(whole.rms[0] <= 1e-6 and whole.error[0] <= 1e-3)  # noqa: PLR2004 (docs/gate.md)


def _in_samples(name: str, sums: OutputSums, limits: FidelityLimits) -> list[Shortfall]:
    """Single answers that are wrong are drowned by the others: warned of."""
    low = [
        float(ratios(one)[0])
        for one in sums.samples
        if one.count[0] >= 2 * ENOUGH and one.rms[0] >= sums.whole.rms[0] / 4
    ]
    low = [ratio for ratio in low if ratio < limits.min_snr_db]
    if not low or len(low) == len(sums.samples):
        return []
    what = f"{name}: {len(low)} of {len(sums.samples)} samples, the worst {min(low):.1f} dB"
    return [Shortfall(grave=False, what=what)]
