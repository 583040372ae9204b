"""What a device was doing before and after a measurement, and what of it casts doubt."""

from __future__ import annotations

import msgspec

__all__ = ["Conditions", "conditions_warnings"]

_HOT_C = 80.0
_BUSY = 0.5  # load average over cores
_SLOWED = 0.9  # clock after over clock before
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
    if before.load_average is not None and before.load_average > _BUSY * cores:
        lines.append(f"busy before the run: load average {before.load_average} on {cores} cores")
    return lines


def _flags(text: str) -> int:
    try:
        return int(text or "0", 16)
    except ValueError:
        return 0
