"""Which OpenVINO exists for a device, as wheels of its CPU, C library and Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.lowering import Release, find_wheels

if TYPE_CHECKING:
    from edgeopt.contracts import Target, Wheel

__all__ = ["runtime_wheels"]

_RELEASES = (
    Release(
        "openvino",
        "2026.4.1",
        {"x86_64": (2, 28), "aarch64": (2, 35)},
        {"3.10": "2.2.6", "3.11": "2.4.6", "3.12": "2.4.6", "3.13": "2.4.6", "3.14": "2.4.6"},
    ),
    Release(
        "openvino",
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
    return find_wheels(target, _RELEASES, runtime="OpenVINO")
