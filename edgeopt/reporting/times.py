"""Time by operator: as it was measured, or where nobody did, the work that each one is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgeopt.reporting.content import OperatorShare

if TYPE_CHECKING:
    from edgeopt.measure.record import Saved
    from edgeopt.reporting.content import Layer

__all__ = ["operators_of", "with_times"]

UNTIMED = (
    "Multiply-adds of each operator: work, not time. `edgeopt profile BUNDLE --operators --save times.json` times "
    "them, `edgeopt report BUNDLE times.json` shows it"
)


def with_times(layers: tuple[Layer, ...], saved: Saved | None) -> tuple[Layer, ...]:
    """Returns the layers with the time of the operator that makes each; of several, the first has it all."""
    if saved is None or saved.operators is None:
        return layers
    times: dict[str, float] = {}
    for one in saved.operators.operators:
        if one.values:
            times[one.values[0]] = times.get(one.values[0], 0.0) + one.time_ms
    return tuple(
        msgspec.structs.replace(layer, time_ms=times[name]) if name in times else layer
        for layer, name in ((one, one.value if one.value in times else one.makes) for one in layers)
    )


def operators_of(
    layers: tuple[Layer, ...], saved: Saved | None
) -> tuple[tuple[OperatorShare, ...], str, str]:
    """Returns what each operator takes, the unit, and where and how that was measured."""
    if saved is not None and saved.operators is not None:
        timed = saved.operators
        source = (
            f"Milliseconds a call, measured on {timed.device}: {timed.statistic} of each block; the operators are "
            f"{timed.covered:.0%} of a call"
        )
        shares = tuple(
            OperatorShare(
                one.kernel or one.name or one.operator,
                one.module,
                one.source,
                one.kind,
                one.time_ms,
                one.low_ms,
                one.high_ms,
            )
            for one in timed.operators
        )
        return shares, "ms", source
    if saved is not None and saved.counts is not None:
        counted = saved.counts
        counts = tuple(
            OperatorShare(one.operator or one.name, one.module, one.source, one.kind, one.count)
            for one in counted.operators
        )
        return (
            counts,
            counted.unit,
            f"{counted.unit.capitalize()} a call, counted on {counted.device}",
        )
    work = tuple(
        OperatorShare(one.operator, one.module, one.source, one.kind, one.macs)
        for one in layers
        if one.macs
    )
    return work, "multiply-adds", UNTIMED
