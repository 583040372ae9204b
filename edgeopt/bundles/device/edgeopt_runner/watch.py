"""What a machine does while it is measured: clock, heat, throttling, energy, sleep. Pins cores."""

from __future__ import annotations

import os
import time
from typing import Any

from .facts import read_text

__all__ = ["Watch", "energy_uj", "parse_cores", "pin"]

_EVERY_S = 0.05
_MOST = 500


class Watch:
    """Reads the machine's state now and then between runs.

    Args:
        system: Where the kernel's files are.
    """

    def __init__(self, system: str = "/sys") -> None:
        self._system = system
        self._next = 0.0
        self._energy = energy_uj(system)
        self._slept = _slept_ns()
        self.readings: list[dict[str, Any]] = []

    def __call__(self, run: int) -> None:
        """Takes a reading after run number ``run``, if it is time for one."""
        now = time.monotonic()
        if now < self._next or len(self.readings) >= _MOST:
            return
        self._next = now + _EVERY_S
        self.readings.append({"run": run, **_reading(self._system)})

    def told(self) -> dict[str, Any]:
        """Returns the readings, the energy that was used since the start, and time asleep."""
        before, after, used = self._energy, energy_uj(self._system), None
        if before and before.keys() == after.keys():
            used = sum(_since(before[key], after[key]) for key in before)
        slept = _slept_ns()
        asleep = None if slept is None or self._slept is None else slept - self._slept
        readings = [
            r for r in self.readings if any(r[key] not in (None, "") for key in r.keys() - _RUN)
        ]
        return {"readings": readings, "energy_uj": used, "asleep_ns": asleep}


_RUN = {"run"}


def energy_uj(system: str = "/sys") -> dict[str, tuple[int, int]]:
    """Returns count and range of each processor package's energy counter, in microjoules."""
    folder, counters = f"{system}/class/powercap", {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if name.count(":") != 1:  # its parts: they are counted in it already
            continue
        count = read_text(f"{folder}/{name}/energy_uj")
        most = read_text(f"{folder}/{name}/max_energy_range_uj")
        if count.isdigit() and read_text(f"{folder}/{name}/name").startswith("package"):
            counters[name] = (int(count), int(most) if most.isdigit() else 0)
    return counters


def parse_cores(text: str) -> set[int]:
    """Returns the cores in ``0-3,6``.

    Raises:
        ValueError: It is no such list.
    """
    cores: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        ends = range(int(first), int(last if dash else first) + 1)
        if not ends:
            raise ValueError(f"{part}: the first is above the last")
        cores.update(ends)
    return cores


def pin(cores: set[int] | None) -> dict[str, Any]:
    """Returns the cores that this process may use now: ``cores``, where the system allows it."""
    why = ""
    if cores and hasattr(os, "sched_setaffinity"):
        try:
            os.sched_setaffinity(0, cores)
        except OSError as error:
            why = f"not allowed: {error.strerror}"
    elif cores:
        why = "this system cannot pin processes"
    affinity = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return {"cores": affinity, "pinned": bool(cores) and not why, "why_not_pinned": why}


def _reading(system: str) -> dict[str, Any]:
    cpus, clocks = f"{system}/devices/system/cpu", []
    for core in os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ():
        text = read_text(f"{cpus}/cpu{core}/cpufreq/scaling_cur_freq")
        clocks += [int(text) // 1000] if text.isdigit() else []
    heat = read_text(f"{system}/class/thermal/thermal_zone0/temp")
    return {
        "clock_mhz": max(clocks, default=None),
        "temperature_c": int(heat) / 1000 if heat.lstrip("-").isdigit() else None,
        "throttled": read_text(f"{system}/devices/platform/soc/soc:firmware/get_throttled"),
    }


def _since(before: tuple[int, int], after: tuple[int, int]) -> int:
    used = after[0] - before[0]
    return used if used >= 0 else used + after[1]  # the counter began anew


def _slept_ns() -> int | None:
    """Returns how long this machine has been asleep since it started; None where it is unknown."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return None
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
