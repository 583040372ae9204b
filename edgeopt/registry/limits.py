"""How much of this machine a process may use: cores, memory and clock.

A container's limits count: a process that may use two of sixty-four cores has two.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

__all__ = ["CGROUP", "CPUS", "fast_cores", "max_mhz", "memory_mb", "usable_cores"]

CGROUP = Path("/sys/fs/cgroup")
"""Where the limits of this process's control group are, of version 1 or 2."""
CPUS = Path("/sys/devices/system/cpu")
"""Where the kernel says what it knows of each core."""
_SAME_KIND = 0.9  # clocks of one kind of core differ by less: favoured cores turbo a little higher


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Returns the number of cores (hardware threads) that this process may run on."""
    cores = len(_cpus())
    quota = _cgroup_cpus(cgroup)
    return max(1, min(cores, math.ceil(quota))) if quota else cores


def memory_mb(cgroup: Path = CGROUP) -> int:
    """Returns the memory in MiB that this process may use; 0 where the system does not say."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 0
    limit = _cgroup_bytes(cgroup)
    return (min(total, limit) if limit else total) // 2**20


def max_mhz(cpus: Path = CPUS) -> int:
    """Returns the highest clock of any core in MHz; 0 where the system does not say."""
    return max(_clocks_mhz(cpus), default=0)


def fast_cores(cpus: Path = CPUS) -> int:
    """Returns how many usable cores are of the fastest kind; 0 where all are alike."""
    clocks = _clocks_mhz(cpus)
    fast = sum(clock >= _SAME_KIND * max(clocks) for clock in clocks)
    return fast if fast < len(clocks) else 0


def _cpus() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _clocks_mhz(cpus: Path) -> list[int]:
    texts = (_text(cpus / f"cpu{cpu}" / "cpufreq" / "cpuinfo_max_freq") for cpu in _cpus())
    return [int(khz) // 1000 for khz in texts if khz.isdigit()]


def _cgroup_cpus(root: Path) -> float | None:
    quota, _, period = _text(root / "cpu.max").partition(" ")
    if not quota:
        quota = _text(root / "cpu" / "cpu.cfs_quota_us")
        period = _text(root / "cpu" / "cpu.cfs_period_us")
    limited = quota.isdigit() and period.isdigit() and int(period) > 0
    return int(quota) / int(period) if limited else None


def _cgroup_bytes(root: Path) -> int | None:
    text = _text(root / "memory.max") or _text(root / "memory" / "memory.limit_in_bytes")
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
