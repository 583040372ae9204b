"""Which inputs differ most from float: ranked, with both answers beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeopt.explaining.findings import Evidence, Finding, Remedy, SampleDifference, Score
from edgeopt.gate.metrics import class_axis, snr_db

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edgeopt.contracts import Signature
    from edgeopt.gate.metrics import Arrays

__all__ = ["input_finding", "sample_differences"]

SHOWN_SCORES = 3
_FAR_DB = 6.0
"""Below the median by so much, an input is one of its own kind."""


def sample_differences(
    signature: Signature,
    reference: Sequence[Arrays],
    outputs: Sequence[Arrays],
    *,
    values: Collection[str] = (),
    labels: Sequence[str] = (),
    names: Sequence[str] = (),
) -> tuple[SampleDifference, ...]:
    """Returns how far each input's outputs are from float's, the worst first.

    The signal of each output is its mean over all inputs, so that an answer near zero is not called far off.

    Args:
        signature: Names the outputs.
        reference: The float model's outputs, one tuple an input.
        outputs: The compressed model's.
        values: Outputs that are no scores of classes.
        labels: Names of the classes.
        names: Of the inputs.
    """
    scored = next((i for i, s in enumerate(signature.outputs) if _has_scores(s, values)), None)
    signals = _signals(signature, reference)
    every = []
    for index, (expected, got) in enumerate(zip(reference, outputs, strict=True)):
        noise = sum(
            _energy(w, g) / s for w, g, s in zip(expected, got, signals, strict=True) if s
        ) / max(1, sum(s > 0 for s in signals))
        at = 0 if scored is None else scored
        want, have = expected[at].ravel(), got[at].ravel()
        shown = _shown(want, have, by_class=scored is not None)
        every.append(
            SampleDifference(
                index=index,
                snr_db=snr_db(1.0, noise),
                same_class=None if scored is None else bool(want.argmax() == have.argmax()),
                float_scores=_scores(want, shown, labels),
                scores=_scores(have, shown, labels),
                name=names[index] if index < len(names) else "",
            )
        )
    return tuple(sorted(every, key=lambda one: (one.snr_db, one.index)))


def input_finding(
    differences: Sequence[SampleDifference], *, inputs: str = "inputs"
) -> Finding | None:
    """Returns what the ranking says; None where there is nothing to rank.

    Args:
        differences: The worst first.
        inputs: What the inputs are.
    """
    if not differences:
        return None
    worst, ratios = differences[0], [one.snr_db for one in differences]
    median = float(np.median(ratios))
    changed = [one for one in differences if one.same_class is False]
    sentences = [f"Over {len(differences)} {inputs} the median is {median:.1f} dB."]
    if worst.same_class is not None:
        sentences.append(f"{len(changed)} of them get another class than from float.")
    alone = median - worst.snr_db > _FAR_DB
    if alone:
        sentences.append(
            f"Input {worst.index} lies {median - worst.snr_db:.1f} dB below: it is unlike the others."
        )
    place = f"input {worst.index}"
    return Finding(
        kind="input",
        title=f"Input {worst.index} differs most: {worst.snr_db:.1f} dB against float",
        sentences=tuple(sentences),
        evidence=(
            Evidence("signal over noise", worst.snr_db, "dB", place, "measured"),
            Evidence("median of all inputs", median, "dB", basis="measured"),
            Evidence("inputs with another class", len(changed), basis="measured"),
        ),
        remedy=_remedy(worst) if alone else (),
    )


def _remedy(worst: SampleDifference) -> tuple[Remedy, ...]:
    what = "Calibrate on inputs like this one too, so that its values are within the grids."
    return (Remedy(what, f"calibration_data=[*calibration_data, inputs[{worst.index}]]"),)


def _has_scores(spec: object, values: Collection[str]) -> bool:
    shape, dtype, name = (getattr(spec, key) for key in ("shape", "dtype", "name"))
    return class_axis(tuple(shape), dtype) is not None and name not in values


def _signals(signature: Signature, reference: Sequence[Arrays]) -> list[float]:
    count = max(1, len(reference))
    places = range(len(signature.outputs))
    return [sum(_energy(sample[at]) for sample in reference) / count for at in places]


def _energy(array: np.ndarray, other: np.ndarray | None = None) -> float:
    difference = array.astype(np.float64)
    if other is not None:
        difference = difference - other.astype(np.float64)
    return float(np.square(difference).sum())


def _shown(want: np.ndarray, have: np.ndarray, *, by_class: bool) -> list[int]:
    """Returns places: of scores the largest of both, of values those that differ most."""
    if by_class:
        largest = [int(have.argmax()), *np.argsort(-want, kind="stable")[:SHOWN_SCORES]]
        return sorted(set(map(int, largest)), key=lambda at: -float(want[at]))
    error = np.abs(want.astype(np.float64) - have.astype(np.float64))
    return [int(at) for at in np.argsort(-error, kind="stable")[:SHOWN_SCORES]]


def _scores(row: np.ndarray, places: Sequence[int], labels: Sequence[str]) -> tuple[Score, ...]:
    return tuple(
        Score(labels[at] if at < len(labels) else str(at), float(row[at])) for at in places
    )
