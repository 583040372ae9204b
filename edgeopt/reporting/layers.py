"""Every call of the program, with the range and the error of its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.reporting.content import Layer

if TYPE_CHECKING:
    from edgeopt.reporting.stored import Stored, StoredValue

__all__ = ["layers_of"]

_TAKEN = (
    *("snr_db", "low", "high", "storage", "grid_low", "grid_high", "scale", "zero_point"),
    *("method", "clipped", "histogram", "bin_low", "bin_high"),
)


def layers_of(stored: Stored) -> tuple[Layer, ...]:
    """Returns the calls in their order; one that another's kernel does too is that one's."""
    statistics = {one.value: msgspec.structs.asdict(one) for one in stored.statistics}
    fused = {row.makes for row in stored.values if row.makes and row.makes != row.value}
    rows = [row for row in stored.values if row.value not in fused]
    makers = _makers(rows)
    return tuple(_layer(row, statistics.get(row.makes or row.value, {}), makers) for row in rows)


def _makers(rows: list[StoredValue]) -> dict[str, int]:
    """Returns the place of the row that makes a value, by both of its names."""
    return {name: place for place, row in enumerate(rows) for name in (row.value, row.makes)}


def _layer(row: StoredValue, known: dict[str, Any], makers: dict[str, int]) -> Layer:
    inputs = dict.fromkeys(makers[name] for name in row.inputs if name in makers)
    return Layer(
        value=row.value,
        makes=row.makes or row.value,
        operator=row.operator,
        module=row.module,
        source=row.source,
        kind=row.kind,
        reason=row.reason,
        macs=row.macs,
        bytes=row.bytes,
        shape=row.shape,
        inputs=tuple(inputs),
        **{name: known[name] for name in _TAKEN if name in known},
    )
