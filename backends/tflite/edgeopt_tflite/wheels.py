"""Which runtime exists for a device, as wheels of its CPU and Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.contracts import Wheel
from edgeopt.errors import TargetError

if TYPE_CHECKING:
    from edgeopt.contracts import Target

__all__ = ["runtime_wheels"]

_LITERT = {
    "3.9": ("2.1.0", "2.0.2"),
    "3.10": ("2.3.0", "2.2.6"),
    "3.11": ("2.3.0", "2.4.6"),
    "3.12": ("2.3.0", "2.5.5"),
    "3.13": ("2.3.0", "2.5.5"),
    "3.14": ("2.3.0", "2.5.5"),
}
"""Python to the newest ai-edge-litert and numpy with wheels for aarch64 and x86-64."""
_LITERT_GLIBC = (2, 27)
_TFLITE = (
    ("2.14.0", (2, 34), ("3.9", "3.10", "3.11")),
    ("2.13.0", (2, 17), ("3.9", "3.10")),
)
"""tflite-runtime: version, the C library that its armv7 wheels need, and Pythons with one."""
_ARMV7_NOTES = (
    "LiteRT has no wheel for armv7; tflite-runtime 2.14.0 is the last one",
    "its int8 kernels round twice: outputs may be a few steps from the reference",
    "numpy has no armv7 wheel on PyPI: install the system's (apt install python3-numpy), below 2",
)


def runtime_wheels(target: Target) -> tuple[str, tuple[Wheel, ...], tuple[str, ...]]:
    """Returns the runtime's name, its wheels, and what a person should know.

    Raises:
        TargetError: No runtime exists for that CPU, C library or Python.
    """
    if target.cpu.arch == "riscv64":
        raise TargetError(
            "no wheel of LiteRT or tflite-runtime exists for riscv64",
            where=target.name,
            hint="choose a backend that makes code for it (`edgeopt backends` lists them)",
        )
    if target.cpu.arch == "armv7":
        return _tflite_runtime(target)
    _require_glibc(target)
    python = target.os.python
    if not python:
        newest = [p for p, (version, _) in _LITERT.items() if version == "2.3.0"]
        held = tuple(p for p in newest if _LITERT[p][1] == "2.5.5")
        return "LiteRT", _pair("ai-edge-litert", "2.3.0", "2.5.5", held), ()
    if python not in _LITERT:
        raise _no_python(target, python, tuple(_LITERT))
    version, numpy = _LITERT[python]
    return "LiteRT", _pair("ai-edge-litert", version, numpy, (python,)), ()


def _pair(name: str, version: str, numpy: str, pythons: tuple[str, ...]) -> tuple[Wheel, ...]:
    return Wheel(name, version, pythons), Wheel("numpy", numpy, pythons)


def _tflite_runtime(target: Target) -> tuple[str, tuple[Wheel, ...], tuple[str, ...]]:
    python, glibc = target.os.python, _glibc(target)
    fitting = [(version, pythons) for version, least, pythons in _TFLITE if glibc >= least]
    for version, pythons in fitting:
        if not python or python in pythons:
            held = (python,) if python else pythons
            return "tflite-runtime", (Wheel("tflite-runtime", version, held),), _ARMV7_NOTES
    known = tuple(p for _, pythons in fitting[:1] for p in pythons)
    raise _no_python(target, python, known)


def _glibc(target: Target) -> tuple[int, ...]:
    """Returns the device's C library as numbers; the newest where it is not known."""
    version = target.os.glibc
    return tuple(int(part) for part in version.split(".")[:2]) if version else (99,)


def _require_glibc(target: Target) -> None:
    if _glibc(target) < _LITERT_GLIBC:
        raise TargetError(
            f"LiteRT's wheels need glibc 2.27, the device has {target.os.glibc}",
            where=target.name,
            hint="update the device's system",
        )


def _no_python(target: Target, python: str, known: tuple[str, ...]) -> TargetError:
    return TargetError(
        f"no TFLite runtime has a wheel for {target.cpu.arch}, glibc {target.os.glibc or 'unknown'} "
        f"and Python {python}",
        where=target.name,
        hint=f"Pythons with one: {', '.join(known)}",
    )
