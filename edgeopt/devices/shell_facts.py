"""Facts of a device that has no Python: what its shell can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.devices.link import call

if TYPE_CHECKING:
    from edgeopt.devices.about import About
    from edgeopt.devices.link import Link

__all__ = ["shell_probe"]

_SCRIPT = """
part() { printf '\\n@@%s\\n' "$1"; }
part cpuinfo; cat /proc/cpuinfo 2>/dev/null
part board; cat /proc/device-tree/model 2>/dev/null | tr -d '\\0'
part os; sed -n 's/^PRETTY_NAME=//p' /etc/os-release 2>/dev/null | tr -d '"'
part android; getprop ro.build.version.release 2>/dev/null
part model; getprop ro.product.model 2>/dev/null
part kernel; uname -r
part memory; sed -n 's/^MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo 2>/dev/null
part cores; nproc 2>/dev/null || grep -c '^processor' /proc/cpuinfo
part libc; ldd --version 2>&1 | head -n 1
part governor; cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor 2>/dev/null
part clocks; cat /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq 2>/dev/null
part heat
for z in /sys/class/thermal/thermal_zone*; do
  t=$(cat "$z/temp" 2>/dev/null) && echo "$(cat "$z/type") $t"
done
part load; cut -d ' ' -f 1 /proc/loadavg 2>/dev/null
end done 0
"""


def shell_probe(link: Link, about: About) -> dict[str, Any]:
    """Returns what `edgeopt.devices.probe.probe` returns, asked of the shell.

    Raises:
        DeviceError: The device cannot be reached.
    """
    text = call(link, _SCRIPT).stdout.decode("utf-8", "replace")
    parts: dict[str, str] = {}
    for part in text.split("\n@@")[1:]:
        name, _, value = part.partition("\n")
        parts[name] = value.strip()
    android = parts.get("android", "")
    return {
        "machine": about.machine,
        "bits": about.bits,
        "cpuinfo": parts.get("cpuinfo", ""),
        "cpu": "",
        "board": parts.get("board", "") or parts.get("model", ""),
        "cores": max(1, _number(parts.get("cores", ""))),
        "memory_bytes": 1024 * _number(parts.get("memory", "")),
        "os": f"Android {android}" if android else parts.get("os", ""),
        "kernel": parts.get("kernel", ""),
        "libc": _glibc(parts.get("libc", "")),
        "python": None,
        "governor": parts.get("governor", ""),
        "clock_mhz": [_number(word) // 1000 for word in parts.get("clocks", "").split()],
        "temperature_c": _heat(parts.get("heat", "")),
        "throttled": "",
        "load_average": _decimal(parts.get("load", "")),
    }


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _decimal(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _glibc(line: str) -> str:
    """Returns ``glibc 2.36`` for what glibc's ldd prints of itself, else nothing."""
    version = line.rsplit(maxsplit=1)[-1] if line else ""
    is_glibc = ("glibc" in line.lower() or "gnu libc" in line.lower()) and version[:1].isdigit()
    return f"glibc {version}" if is_glibc else ""


def _heat(text: str) -> dict[str, float]:
    temperatures = {}
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if name and value.lstrip("-").isdigit():
            temperatures[name] = int(value) / 1000
    return temperatures
