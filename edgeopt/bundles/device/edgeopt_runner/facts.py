"""What is worth knowing about a device beside its times. Linux says most; others say less."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

__all__ = ["device_facts", "device_state", "peak_memory_kb"]


def peak_memory_kb() -> int:
    """Returns the most memory this process has held, in KiB; 0 where the system does not say.

    ``ru_maxrss`` comes second: on Linux it starts from what the parent process held.
    """
    for line in read_text("/proc/self/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def read_text(path: str) -> str:
    """Returns the file's text, or '' where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(1 << 20).strip("\0 \n")
    except OSError:
        return ""


def device_facts() -> dict[str, Any]:
    """Returns what does not change during a run: CPU, system, Python."""
    info: dict[str, str] = {}
    for line in read_text("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        info.setdefault(key.strip(), value.strip())
    release = dict(
        line.partition("=")[::2]
        for line in read_text("/etc/os-release").splitlines()
        if "=" in line
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "board": read_text("/proc/device-tree/model"),
        "cpu": info.get("model name") or info.get("Hardware") or info.get("CPU part", ""),
        "flags": (info.get("flags") or info.get("Features") or "").split(),
        "cores": cores,
        "machine": platform.machine(),
        "os": release.get("PRETTY_NAME", platform.system()).strip('"'),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()).strip(),
        "python": platform.python_version(),
        "numpy": getattr(sys.modules.get("numpy"), "__version__", ""),
    }


def device_state() -> dict[str, Any]:
    """Returns what may change during a run: governor, clocks, temperatures, throttling, load."""
    cpus, zones = "/sys/devices/system/cpu", "/sys/class/thermal"
    clocks, heat = [], {}
    for index in range(os.cpu_count() or 1):
        clock = read_text(f"{cpus}/cpu{index}/cpufreq/scaling_cur_freq")
        clocks += [int(clock) // 1000] if clock.isdigit() else []
    for zone in sorted(os.listdir(zones)) if os.path.isdir(zones) else []:
        value = read_text(f"{zones}/{zone}/temp")
        if value.lstrip("-").isdigit():
            heat[read_text(f"{zones}/{zone}/type") or zone] = int(value) / 1000
    return {
        "governor": read_text(f"{cpus}/cpu0/cpufreq/scaling_governor"),
        "clock_mhz": clocks,
        "temperature_c": heat,
        "throttled": read_text("/sys/devices/platform/soc/soc:firmware/get_throttled"),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }
