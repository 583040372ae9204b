"""Which OpenVINO exists for a device, as wheels of its CPU and Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.contracts import Wheel
from edgeopt.errors import TargetError

if TYPE_CHECKING:
    from edgeopt.contracts import Target

__all__ = ["runtime_wheels"]

_VERSIONS = {
    "3.9": ("2025.3.0", "2.0.2"),
    "3.10": ("2026.4.1", "2.2.6"),
    "3.11": ("2026.4.1", "2.4.6"),
    "3.12": ("2026.4.1", "2.4.6"),
    "3.13": ("2026.4.1", "2.4.6"),
}
"""Python to the newest OpenVINO and a numpy it takes, with wheels for x86-64 and aarch64."""
_ARCHITECTURES = ("x86_64", "aarch64")
_ANY = "3.12"


def runtime_wheels(target: Target) -> tuple[Wheel, ...]:
    """Returns the wheels for ``target``.

    Raises:
        TargetError: None exists for its CPU or Python.
    """
    if target.cpu.arch not in _ARCHITECTURES:
        raise TargetError(
            f"no wheel of OpenVINO exists for {target.cpu.arch}",
            where=target.name,
            hint="choose another backend (`edgeopt backends` lists them)",
        )
    python = target.os.python
    if python and python not in _VERSIONS:
        raise TargetError(
            f"no wheel of OpenVINO exists for Python {python}",
            where=target.name,
            hint=f"Pythons with one: {', '.join(_VERSIONS)}",
        )
    version, numpy = _VERSIONS[python or _ANY]
    pythons = (python,) if python else tuple(p for p, v in _VERSIONS.items() if v[1] == numpy)
    return Wheel("openvino", version, pythons), Wheel("numpy", numpy, pythons)
