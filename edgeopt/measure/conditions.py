"""What a device was doing before and after a measurement, and what of it casts doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Conditions", "Reading", "conditions_warnings", "is_busy", "reading_warnings"]

_HOT_C = 80.0
_BUSY = 0.5  # load average over cores
_SLOWED = 0.9  # clock after over clock before
_NAP_NS = 10_000_000
_THROTTLED_NOW = 0b1111  # Raspberry Pi: undervoltage, capped, throttled, soft limit


class Conditions(msgspec.Struct, frozen=True):
    """A device's state at one moment; empty or None where the system does not say.

    Attributes:
        governor: Of the clocks, for example ``performance``.
        clock_mhz: One entry for each core.
        temperature_c: Sensor to degrees Celsius.
        throttled: The Raspberry Pi firmware's flags, in hexadecimal.
        load_average: Over the last minute.
    """

    governor: str = ""
    clock_mhz: tuple[int, ...] = ()
    temperature_c: dict[str, float] = {}
    throttled: str = ""
    load_average: float | None = None


def is_busy(state: Conditions, *, cores: int) -> bool:
    """Returns whether other work takes much of the device."""
    return state.load_average is not None and state.load_average > _BUSY * cores


class Reading(msgspec.Struct, frozen=True):
    """A device's state between two runs; None or empty where the system does not say.

    Attributes:
        run: Number of the run before it.
        clock_mhz: The fastest clock among the cores in use.
        temperature_c: The first sensor.
        throttled: The Raspberry Pi firmware's flags, in hexadecimal.
    """

    run: int
    clock_mhz: int | None = None
    temperature_c: float | None = None
    throttled: str = ""


def reading_warnings(readings: Sequence[Reading], asleep_ns: int | None) -> list[str]:
    """Returns a line for each thing that happened between the runs and casts doubt on them."""
    lines = []
    clocks = [r.clock_mhz for r in readings if r.clock_mhz]
    if clocks and min(clocks) < _SLOWED * max(clocks):
        lines.append(f"clocks went from {max(clocks)} down to {min(clocks)} MHz meanwhile")
    throttled = [r for r in readings if _flags(r.throttled) & _THROTTLED_NOW]
    if throttled:
        lines.append(f"throttled after run {throttled[0].run}, by the firmware's own account")
    if asleep_ns is not None and asleep_ns > _NAP_NS:
        lines.append(f"the device slept for {asleep_ns / 1e9:.1f} s meanwhile")
    return lines


def conditions_warnings(before: Conditions, after: Conditions, *, cores: int) -> list[str]:
    """Returns a line for each thing that makes times less than certain."""
    lines = []
    if after.governor not in {"", "performance"}:
        lines.append(f"governor {after.governor}: clocks rise and fall with the load")
    if _flags(after.throttled) & _THROTTLED_NOW:
        lines.append(
            f"the firmware reports throttling or undervoltage (0x{_flags(after.throttled):x})"
        )
    if (
        before.clock_mhz
        and after.clock_mhz
        and max(after.clock_mhz) < _SLOWED * max(before.clock_mhz)
    ):
        lines.append(f"clocks fell from {max(before.clock_mhz)} to {max(after.clock_mhz)} MHz")
    hottest = max(after.temperature_c.values(), default=0.0)
    if hottest >= _HOT_C:
        lines.append(f"{hottest:.0f} °C at the end")
    if is_busy(before, cores=cores):
        lines.append(f"busy before the run: load average {before.load_average} on {cores} cores")
    return lines


def _flags(text: str) -> int:
    try:
        return int(text or "0", 16)
    except ValueError:
        return 0
