"""Why something is slow, large or wrong, and what to do: what `edgeopt.explaining` found, and what only the page knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.reporting.content import Finding
from edgeopt.units import shown_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.explaining import findings as explaining
    from edgeopt.reporting.content import Layer
    from edgeopt.reporting.stored import Stored

__all__ = ["findings_of"]

SHOWN = 5
POOR_DB = 20.0
"""Below a ratio of 100 to 1 in energy a value is worth a look."""


def findings_of(stored: Stored, layers: tuple[Layer, ...]) -> tuple[Finding, ...]:
    """Returns what is found in a report, the gravest first: of the gate, then of values, speed and size.

    What `edgeopt.explaining` found while the bundle was made is shown as it is, with its numbers. A report that
    holds none of it (of an older bundle) is answered from its layers alone.
    """
    known = {kind: _explained(stored, kind) for kind in ("loss", "speed", "float", "input")}
    return (
        *_of_gate(stored),
        *(known["loss"] or _of_values(layers)),
        *_of_clipping(layers),
        *_of_speed(stored),
        *known["speed"],
        *(known["float"] or _of_float(stored, layers)),
        *known["input"],
        *_of_size(stored),
    )


def _explained(stored: Stored, kind: explaining.FindingKind) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            title=one.title,
            sentence=" ".join(one.sentences),
            evidence=tuple(str(evidence) for evidence in one.evidence),
            remedy=tuple(f"{remedy.what} {remedy.python}".strip() for remedy in one.remedy),
        )
        for one in stored.findings
        if one.kind == kind
    )


def _of_gate(stored: Stored) -> Iterator[Finding]:
    if stored.parity is not None and not stored.parity.ok:
        remedy = ("deploy with another backend or precision", "report it to the backend")
        sentence = "The artefact does not compute what its program does."
        yield Finding("Parity fails", sentence, stored.parity.reasons, remedy)
    diagnosis = stored.diagnosis
    if diagnosis is not None:
        evidence = tuple(str(one) for one in diagnosis.sensitivities[:SHOWN])
        sentence = "Rounding costs more than was asked; these values do most of the harm."
        yield Finding("Accuracy is lost", sentence, evidence, diagnosis.advice)


def _of_values(layers: tuple[Layer, ...]) -> Iterator[Finding]:
    poor = sorted(
        (one for one in layers if one.snr_db is not None and one.snr_db < POOR_DB),
        key=lambda one: one.snr_db or 0.0,
    )
    if poor:
        evidence = tuple(f"{one.makes} ({_at(one)}): {one.snr_db:.1f} dB" for one in poor[:SHOWN])
        remedy = (
            f"quantization={{'keep_float': ['{poor[0].value}']}} keeps the worst one in float",
            "calibrate on more and more varied samples",
        )
        what = "One value keeps" if len(poor) == 1 else f"{len(poor)} values keep"
        sentence = (
            f"{what} less than {POOR_DB:.0f} dB beside float: a hundredth of its energy is noise."
        )
        yield Finding("Values that rounding changes most", sentence, evidence, remedy)


def _of_clipping(layers: tuple[Layer, ...]) -> Iterator[Finding]:
    cut = sorted((one for one in layers if one.clipped > 0.001), key=lambda one: -one.clipped)  # noqa: PLR2004 (a thousandth)
    if cut:
        evidence = tuple(
            f"{one.makes} ({_at(one)}): {one.clipped:.2%} beyond {one.grid_low:g} to {one.grid_high:g}"
            for one in cut[:SHOWN]
        )
        override = f"quantization={{'overrides': {{'{cut[0].makes}': {{'ranges': 'minmax'}}}}}}"
        what = "One value has" if len(cut) == 1 else f"{len(cut)} values have"
        sentence = f"{what} elements beyond the ends of its grid; they are cut to them."
        remedy = (f"{override} keeps all of the worst one", "often it is meant: outliers are cut")
        yield Finding("Values that are clipped", sentence, evidence, remedy)


def _of_speed(stored: Stored) -> Iterator[Finding]:
    if stored.speed is not None and not stored.speed.ok:
        ratio = f"{stored.speed.ratio.value:.2f} times the time of float32"
        sentence = f"{stored.precision} takes {ratio} on the same runtime."
        remedy = ("precision='float32' or 'float16' where size does not matter", "backend='auto'")
        yield Finding("Slower than float", sentence, stored.speed.reasons, remedy)


def _of_float(stored: Stored, layers: tuple[Layer, ...]) -> Iterator[Finding]:
    costly = [one for one in layers if one.kind in ("integer", "float")]
    in_float = [one for one in costly if one.kind == "float"]
    if "int" in stored.precision and in_float:
        evidence = tuple(f"{one.makes} ({_at(one)}): {one.reason}" for one in in_float[:SHOWN])
        sentence = f"{len(in_float)} of {len(costly)} operators run in float."
        remedy = ("write them with operators that have an integer kernel, where time matters",)
        yield Finding("Operators in float", sentence, evidence, remedy)


def _of_size(stored: Stored) -> Iterator[Finding]:
    size, floats = stored.size_bytes, stored.float_size_bytes
    if stored.memory is None and floats and size > 1.05 * floats:
        evidence = (f"{shown_bytes(size)}, float weights {shown_bytes(floats)}",)
        sentence = "The artefact is larger than the float weights."
        remedy = (
            "of a small model the file's structure counts most: another backend's is smaller",
        )
        yield Finding("Larger than float", sentence, evidence, remedy)


def _at(layer: Layer) -> str:
    return " ".join(part for part in (layer.operator, layer.module, layer.source) if part)
