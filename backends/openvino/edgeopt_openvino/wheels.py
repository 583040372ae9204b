"""Which OpenVINO exists for a device, as wheels of its CPU, C library and Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeopt.contracts import Wheel
from edgeopt.errors import TargetError

if TYPE_CHECKING:
    from edgeopt.contracts import Target

__all__ = ["runtime_wheels"]


@dataclass(frozen=True)
class _Release:
    """A release: the C library that its wheels need, by CPU, and a numpy it takes, by Python."""

    version: str
    glibc: dict[str, tuple[int, int]]
    numpy: dict[str, str]


_RELEASES = (
    _Release(
        "2026.4.1",
        {"x86_64": (2, 28), "aarch64": (2, 35)},
        {"3.10": "2.2.6", "3.11": "2.4.6", "3.12": "2.4.6", "3.13": "2.4.6", "3.14": "2.4.6"},
    ),
    _Release(
        "2025.2.0",
        {"x86_64": (2, 17), "aarch64": (2, 31)},
        {"3.9": "2.0.2", "3.10": "2.2.6", "3.11": "2.2.6", "3.12": "2.2.6", "3.13": "2.2.6"},
    ),
)
"""The newest first. Wheels listed with ``pip index versions`` and their METADATA, November 2026."""


def runtime_wheels(target: Target) -> tuple[Wheel, ...]:
    """Returns the wheels for ``target``: the newest release that runs there.

    Raises:
        TargetError: None exists for its CPU, C library or Python.
    """
    arch, python = target.cpu.arch, target.os.python
    if arch not in _RELEASES[0].glibc:
        raise TargetError(
            f"no wheel of OpenVINO exists for {arch}",
            where=target.name,
            hint="choose another backend (`edgeopt backends` lists them)",
        )
    for release in _RELEASES:
        fits = not python or python in release.numpy
        if fits and _glibc(target) >= release.glibc[arch]:
            return _wheels(release, python)
    known = sorted({p for r in _RELEASES for p in r.numpy}, key=lambda p: int(p.split(".")[1]))
    raise TargetError(
        f"no wheel of OpenVINO exists for {arch}, glibc {target.os.glibc or 'unknown'} and "
        f"Python {python or 'unknown'}",
        where=target.name,
        hint=f"Pythons with one: {', '.join(known)}; its wheels need glibc "
        f"{'.'.join(map(str, _RELEASES[-1].glibc[arch]))} or newer",
    )


def _wheels(release: _Release, python: str) -> tuple[Wheel, ...]:
    """One numpy for all Pythons where the device's is not known: the newest, for most of them."""
    numpy = release.numpy[python] if python else max(release.numpy.values())
    pythons = (python,) if python else tuple(p for p, v in release.numpy.items() if v == numpy)
    return Wheel("openvino", release.version, pythons), Wheel("numpy", numpy, pythons)


def _glibc(target: Target) -> tuple[int, ...]:
    """Returns the device's C library as numbers; the newest where it is not known."""
    version = target.os.glibc
    return tuple(int(part) for part in version.split(".")[:2]) if version else (99,)
