"""Facts of any device that has a Python: the same program asks all of them."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

from edgeopt.boundary import decode_json
from edgeopt.errors import DeviceError, InputError
from edgeopt.registry.cpuinfo import parse_cpuinfo

if TYPE_CHECKING:
    from edgeopt.contracts import Device
    from edgeopt.contracts.target import Arch

__all__ = ["facts_of", "probe"]

ARCHS: dict[str, Arch] = {
    "aarch64": "aarch64",
    "arm64": "aarch64",
    "armv7l": "armv7",
    "armv8l": "armv7",
    "riscv64": "riscv64",
    "x86_64": "x86_64",
    "AMD64": "x86_64",
}
_ASK = """
import json
import struct

def _memory():
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 0

said = {**device_facts(), **device_state()}
said["cpuinfo"] = read_text("/proc/cpuinfo")
said["memory_bytes"] = _memory()
said["bits"] = 8 * struct.calcsize("P")
json.dump(said, sys.stdout)
"""


def probe(device: Device) -> dict[str, Any]:
    """Returns what the device's Python says about it, as it says it.

    Raises:
        DeviceError: Its Python did not run, or said nothing that can be read.
    """
    facts = resources.files("edgeopt.bundles.device.edgeopt_runner") / "facts.py"
    source = facts.read_text(encoding="utf-8") + _ASK
    process = device.run(["python3", "-c", source], timeout_s=120.0)
    try:
        answer = decode_json(process.stdout, dict[str, Any], where=device.name)
    except InputError:
        answer = None
    if process.returncode != 0 or answer is None:
        hint = process.stderr.strip()[-500:] or None
        what = f"its Python could not say what it runs on (exit status {process.returncode})"
        raise DeviceError(what, where=device.name, hint=hint)
    return answer


def facts_of(device: Device, said: dict[str, Any]) -> dict[str, Any]:
    """Returns the facts that `Device.facts` promises; None for each that is not known.

    Args:
        device: The device.
        said: What `probe` returned of it.
    """
    arch = _arch(str(said["machine"]), said["bits"])
    cpu, isa = _processor(said, arch)
    library, _, version = str(said["libc"]).partition(" ")
    return {
        "name": device.name,
        "emulated": device.emulated,
        "arch": arch or said["machine"],
        "board": said["board"] or None,
        "cpu": cpu,
        "isa": list(isa),
        "cores": said["cores"],
        "memory_mb": said["memory_bytes"] // 2**20 or None,
        "os": said["os"] or None,
        "kernel": said["kernel"] or None,
        "glibc": version if library == "glibc" else None,
        "python": said["python"],
        "governor": said["governor"] or None,
        "clock_mhz": said["clock_mhz"] or None,
        "temperature_c": said["temperature_c"] or None,
        "throttled": said["throttled"] or None,
        "load_average": said["load_average"],
    }


def _arch(machine: str, bits: int) -> Arch | None:
    arch = ARCHS.get(machine)
    return "armv7" if arch == "aarch64" and bits == 32 else arch  # noqa: PLR2004 (32-bit Python)


def _processor(said: dict[str, Any], arch: Arch | None) -> tuple[str | None, tuple[str, ...]]:
    if arch is None or not said["cpuinfo"]:
        return said["cpu"] or None, ()
    processor = parse_cpuinfo(said["cpuinfo"], arch, board=said["board"])
    return processor.model, processor.isa
