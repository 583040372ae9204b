"""Devices that people ask for, and for which no program can be made: by name, with the reason."""

from __future__ import annotations

from edgeopt.registry.suggest import canonical

__all__ = ["reason_against"]

_XTENSA = (
    "has an Xtensa core, for which there is no compiler here: neither zig nor the LLVM that it is"
    " made of generates code for it"
)
_REFUSED: dict[str, str] = dict.fromkeys(
    ("esp32", "esp32s2", "esp32s3", "esp32s3devkitc1", "arduinonanoesp32", "nanoesp32", "esp8266"),
    _XTENSA,
)
_HINT = "Espressif's chips with a RISC-V core are targets: esp32-c3, esp32-c6"


def reason_against(name: str) -> tuple[str, str] | None:
    """Returns why ``name`` cannot be a target, and what to take instead; None where nothing is known."""
    reason = _REFUSED.get(canonical(name))
    return None if reason is None else (f"{name} {reason}", _HINT)
