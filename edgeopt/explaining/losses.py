"""Which values lose most by rounding, and what it would cost to keep each in float or 16 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgeopt.explaining.findings import Evidence, Finding, Remedy
from edgeopt.explaining.rows import short_name
from edgeopt.explaining.typed import quantization_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgeopt.explaining.rows import ValueRow
    from edgeopt.gate.sensitivity import Sensitivity
    from edgeopt.ir import Program
    from edgeopt.measure import Comparison

__all__ = ["KeptInFloat", "extra_bytes", "loss_findings"]

_CLIPPED = 1e-3
_SMALL_GAIN_DB = 1.0
"""A gain that nobody will see."""


class KeptInFloat(msgspec.Struct, frozen=True):
    """What came of compiling the model with the worst value in float.

    Attributes:
        snr_db: Of the outputs against float, as it is.
        kept_snr_db: The same with the value in float.
        extra_bytes: How much larger the artefact is.
        time_ratio: Its time over that of the artefact as it is, on this machine; None where nothing was timed.
    """

    snr_db: float
    kept_snr_db: float
    extra_bytes: int
    time_ratio: float | None = None


def extra_bytes(program: Program, keep: Sequence[str]) -> int:
    """Returns how many bytes more the weights of operators take in float32.

    Args:
        program: The quantized program.
        keep: Names of the operators.
    """
    from edgeopt.ir import ops  # noqa: PLC0415 (torch)

    nodes = [program.node(name) for name in keep]
    read = [ops.weighted_parts(node)[1] for node in nodes if ops.is_weighted(node)]
    specs = {v.name: program.quant[v.name] for v in read if v.name in program.quant}
    return sum(
        4 * program.constants[name].numel()
        - spec.storage.bytes_for(program.constants[name].numel())
        for name, spec in specs.items()
        if name in program.constants
    )


def loss_findings(
    sensitivities: Sequence[Sensitivity],
    rows: Sequence[ValueRow],
    *,
    sizes: Mapping[str, int] | None = None,
    kept: KeptInFloat | None = None,
    beside_float: Comparison | None = None,
    wide: bool = False,
) -> tuple[Finding, ...]:
    """Returns a finding for each value that is worth keeping, the worst first.

    Where none is, the worst alone is shown, which says so: advice that gains nothing is no advice.

    Args:
        sensitivities: The most harmful values, the worst first.
        rows: Of the compiled program, for multiply-adds.
        sizes: Value to `extra_bytes` of keeping it in float.
        kept: What came of keeping the first in float, where that was compiled.
        beside_float: The compressed and the float artefact, operator by operator.
        wide: Whether the backend runs single values on 16 bits.
    """
    worth = [one for one in sensitivities if one.gain_db >= _SMALL_GAIN_DB]
    return tuple(
        _finding(
            one,
            tuple(_costs(one, rows, sizes or {}, None if place else kept, beside_float)),
            wide=wide,
        )
        for place, one in enumerate(worth or sensitivities[:1])
    )


def _finding(one: Sensitivity, costs: tuple[Evidence, ...], *, wide: bool) -> Finding:
    place = one.source or one.module or one.value
    return Finding(
        kind="loss",
        title=f"{one.value} ({short_name(one.operator)} at {place}): "
        f"{one.gain_db:+.1f} dB at the outputs if it stays in float",
        sentences=tuple(_sentences(one)),
        evidence=(
            Evidence("signal over noise of the value", one.snr_db, "dB", basis="measured"),
            Evidence("gain at the outputs", one.gain_db, "dB", basis="measured"),
            *costs,
        ),
        remedy=tuple(_remedies(one, wide=wide)),
        nodes=one.shared or (one.value,),
    )


def _sentences(one: Sensitivity) -> Iterator[str]:
    yield f"Rounded, it keeps {one.snr_db:.1f} dB over the noise; {_reading(one.snr_db)}."
    if one.clipped > _CLIPPED:
        yield f"{one.clipped:.1%} of its elements lie beyond its grid and are cut off."
    if one.gain_db < _SMALL_GAIN_DB:
        yield "No single value is to blame: keeping this one gains less than 1 dB."


def _reading(snr_db: float) -> str:
    share = 10 ** (-snr_db / 20)
    return f"the error is {share:.1%} of its size" if share < 1 else "the error is larger than it"


def _costs(
    one: Sensitivity,
    rows: Sequence[ValueRow],
    sizes: Mapping[str, int],
    kept: KeptInFloat | None,
    beside_float: Comparison | None,
) -> Iterator[Evidence]:
    if one.value in sizes:
        yield Evidence("weights in float32 instead", sizes[one.value] / 1024, "KiB more")
    total = sum(row.macs for row in rows)
    macs = sum(row.macs for row in rows if {row.value, row.makes} & set(one.keep))
    if total:
        yield Evidence("multiply-adds that would be float", 100 * macs / total, "%")
    yield from _times(one, beside_float)
    if kept is not None:
        gain = kept.kept_snr_db - kept.snr_db
        yield Evidence("compiled so: gain at the outputs", gain, "dB", basis="measured")
        size = kept.extra_bytes / 1024
        yield Evidence("compiled so: artefact", size, "KiB more", basis="measured")
        if kept.time_ratio is not None:
            yield Evidence("compiled so: time", kept.time_ratio, "times", basis="measured")


def _times(one: Sensitivity, beside_float: Comparison | None) -> Iterator[Evidence]:
    operators = () if beside_float is None else beside_float.operators
    own = [o for o in operators if o.value in {*one.keep, *one.shared}]
    if own:
        more = -sum(o.difference_ms for o in own)
        yield Evidence("time of its operators in float", more, "ms more", basis="estimated")


def _remedies(one: Sensitivity, *, wide: bool) -> Iterator[Remedy]:
    if one.keep:
        what = "Keep it and the operators around it in float."
        yield Remedy(what, *quantization_option("keep_float", list(one.keep)))
    if wide:
        bits = {name: {"bits": 16} for name in one.shared or (one.value,)}
        yield Remedy("Give it 16 bits.", *quantization_option("overrides", bits))
    if one.clipped > _CLIPPED:
        override = {one.value: {"ranges": "minmax"}}
        yield Remedy("Cut nothing off.", *quantization_option("overrides", override))
