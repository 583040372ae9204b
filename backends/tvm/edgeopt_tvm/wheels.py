"""Which numpy exists for a device, and what to do where none does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.errors import TargetError
from edgeopt.lowering import Release, find_wheels, require_system

if TYPE_CHECKING:
    from edgeopt.contracts import Target, Wheel

__all__ = ["runtime_wheels"]

_WITHOUT = ("armv7", "riscv64")
_NUMPY = (
    Release(
        "",
        "",
        {"aarch64": (2, 27), "x86_64": (2, 27)},
        {"3.11": "2.4.6", "3.12": "2.5.5", "3.13": "2.5.5", "3.14": "2.5.5"},
    ),
    Release(
        "",
        "",
        {"aarch64": (2, 17), "x86_64": (2, 17)},
        {"3.9": "2.0.2", **dict.fromkeys(("3.10", "3.11", "3.12", "3.13"), "2.2.6")},
    ),
)
"""Nothing but numpy, the newest with wheels, by Python; for armv7 and riscv64 there is none.

Checked with ``pip download --platform``, November 2026.
"""


def runtime_wheels(target: Target) -> tuple[tuple[Wheel, ...], tuple[str, ...]]:
    """Returns the wheels that run.py needs on ``target``, and what a person should know.

    Raises:
        TargetError: The device has a Python for which no numpy exists, or no system at all.
    """
    require_system(target, "the TVM runtime")
    python, arch = target.os.python, target.cpu.arch
    if not python:
        return (), ("the device has no Python: model/run is the runner, and needs nothing else",)
    if arch in _WITHOUT or not target.os.glibc:
        note = f"numpy has no wheel for {arch}{'' if target.os.glibc else ' without glibc'}"
        return (), (f"{note}: use model/run, or the system's numpy (python3-numpy) with run.py",)
    try:
        return find_wheels(target, _NUMPY, runtime="numpy"), ()
    except TargetError as error:
        error.hint = "leave os.python empty in its descriptor: the native runner needs none"
        raise
