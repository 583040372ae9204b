"""Which runtime exists for a device, as wheels of its CPU and Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.errors import TargetError
from edgeopt.lowering import Release, find_wheels

if TYPE_CHECKING:
    from edgeopt.contracts import Target, Wheel

__all__ = ["MICRO_RUNTIME", "runtime_wheels"]

_GLIBC = {"aarch64": (2, 27), "x86_64": (2, 27)}
_LITERT = (
    Release(
        "ai-edge-litert",
        "2.3.0",
        _GLIBC,
        {"3.10": "2.2.6", "3.11": "2.4.6", "3.12": "2.5.5", "3.13": "2.5.5", "3.14": "2.5.5"},
    ),
    Release("ai-edge-litert", "2.1.0", _GLIBC, {"3.9": "2.0.2"}),
)
"""The newest release with wheels, and the newest numpy, by Python."""
_TFLITE = (
    Release(
        "tflite-runtime", "2.14.0", {"armv7": (2, 34)}, dict.fromkeys(("3.9", "3.10", "3.11"), "")
    ),
    Release("tflite-runtime", "2.13.0", {"armv7": (2, 17)}, dict.fromkeys(("3.9", "3.10"), "")),
)
_ARMV7_NOTES = (
    "LiteRT has no wheel for armv7; tflite-runtime 2.14.0 is the last one",
    "its int8 kernels round twice: outputs may be a few steps from the reference",
    "numpy has no armv7 wheel on PyPI: install the system's (apt install python3-numpy), below 2",
)
MICRO_RUNTIME = (
    "TFLite for Micro",
    (),
    (
        "no Python is on the device: compile model_data.cc and model_operators.h into a program with TFLite for Micro",
        "model.tflite runs here by pip install tflite-micro, with TFLM's reference kernels",
    ),
)
"""What runs the file on a microcontroller: its name, its wheels, and what a person should know."""


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
        wheels = find_wheels(target, _TFLITE, runtime="a TFLite runtime")
        return "tflite-runtime", wheels, _ARMV7_NOTES
    return "LiteRT", find_wheels(target, _LITERT, runtime="LiteRT"), ()
