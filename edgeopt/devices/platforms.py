"""What pip calls a machine: platform tags, and the environment of conditions (PEP 508, PEP 600)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.devices.wheels import Interpreter
from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from edgeopt.contracts import Target

__all__ = ["platform_tags", "target_interpreter"]

_FAMILIES = {"armv7": "armv7l"}
_OLDEST = {"x86_64": 5, "riscv64": 31}  # glibc 2.x of the first wheels; 17 elsewhere
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}  # PEP 600


def platform_tags(arch: str, *, glibc: str = "", musl: bool = False) -> tuple[str, ...]:
    """Returns the platform tags of wheels that a Linux machine can use, the preferred first.

    Args:
        arch: Its architecture.
        glibc: Version of its C library; empty where it is another.
        musl: Whether its C library is musl.
    """
    family = _FAMILIES.get(arch, arch)
    tags: list[str] = []
    parts = glibc.split(".")
    if len(parts) > 1 and parts[1].isdigit():
        for minor in range(int(parts[1]), _OLDEST.get(arch, 17) - 1, -1):
            tags.append(f"manylinux_2_{minor}_{family}")
            tags += [f"{_LEGACY[minor]}_{family}"] if minor in _LEGACY else []
    if musl:
        tags += [f"musllinux_1_{minor}_{family}" for minor in (2, 1, 0)]
    return (*tags, f"linux_{family}")


def target_interpreter(target: Target) -> Interpreter:
    """Returns the Python that a target's descriptor says it has.

    Raises:
        DeviceError: It says none.
    """
    version = target.os.python
    if not version:
        hint = "set os.python in its descriptor"
        raise DeviceError("its Python is not known", where=target.name, hint=hint)
    machine = _FAMILIES.get(target.cpu.arch, target.cpu.arch)
    markers = {
        "implementation_name": "cpython",
        "implementation_version": f"{version}.0",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{version}.0",
        "python_version": version,
        "sys_platform": "linux",
    }
    return Interpreter(version, platform_tags(target.cpu.arch, glibc=target.os.glibc), markers)
