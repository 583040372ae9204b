"""What a bundle brings for the board: the firmware's source, and the host's side of the serial line."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

from edgeopt.contracts import DeviceRuntime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

    from edgeopt.contracts import Microcontroller, Target

__all__ = ["board_metadata", "board_runtime", "firmware_files"]

_KIB = 1024
_STACKS = (1 * _KIB, 4 * _KIB)
"""The smallest stack and the largest."""
_VARIABLES = 1 * _KIB
"""Room for the firmware's own variables: they and the stack are what a target reserves of RAM."""
_LIBRARY = "edgeopt_board"


def firmware_files() -> dict[str, bytes]:
    """Returns the sources of the firmware that serves a model, by their names in the artefact."""
    folder = resources.files("edgeopt_micro") / "native" / "firmware"
    return {f"firmware/{name}": content for name, content in _contents(folder, (".c", ".h"))}


def board_metadata(
    target: Target, micro: Microcontroller, digest: str, arena_bytes: int
) -> dict[str, Any]:
    """Returns what the runner has to know of a board, for the artefact's metadata.

    Args:
        target: The target.
        micro: Its memory and core.
        digest: Of the program; the firmware says it, so that another model is noticed.
        arena_bytes: Of the model.
    """
    ram, arena = _ram(micro, arena_bytes)
    return {
        "digest": digest,
        "board": {
            "target": target.name,
            "zig_triple": micro.zig_triple,
            "zig_cpu": micro.zig_cpu,
            "emulator": micro.emulator,
            "flash": _flash(micro),
            "ram": ram,
            "arena": arena,
            "flash_bytes": micro.flash_kb * _KIB,
            "ram_bytes": (micro.ram_kb + micro.reserved_ram_kb) * _KIB,
            "stack_bytes": _stack_bytes(micro),
        },
    }


def _flash(micro: Microcontroller) -> list[int]:
    """Returns address and bytes of the region that a program uses first, behind what a boot loader has."""
    region = next(region for region in micro.regions if region.kind == "flash")
    reserved = micro.reserved_flash_kb * _KIB
    return [region.start + reserved, region.size_kb * _KIB - reserved]


def _ram(micro: Microcontroller, arena_bytes: int) -> tuple[list[int], list[int]]:
    """Returns address and bytes of what holds the stack and variables, and of what holds the arena.

    That is one and the same stretch, the first, where all of it fits there; else the arena is in the first
    that holds it, and the rest in the first of the others.
    """
    stretches = _stretches(micro)
    reserved = micro.reserved_ram_kb * _KIB
    first = stretches[0]
    if arena_bytes + reserved <= first[1]:
        return first, first
    arena = next((one for one in stretches if arena_bytes <= one[1]), first)
    rest = next((one for one in stretches if one is not arena and reserved <= one[1]), first)
    return rest, arena


def _stretches(micro: Microcontroller) -> list[list[int]]:
    """Returns address and bytes of RAM without a gap, what holds the region that is listed first ahead."""
    ram = [region for region in micro.regions if region.kind == "ram"]
    spans: list[list[int]] = []
    for region in sorted(ram, key=lambda one: one.start):
        if spans and sum(spans[-1]) == region.start:
            spans[-1][1] += region.size_kb * _KIB
        else:
            spans.append([region.start, region.size_kb * _KIB])

    def place(stretch: list[int]) -> int:
        return next(k for k, one in enumerate(ram) if 0 <= one.start - stretch[0] < stretch[1])

    return sorted(spans, key=place)


def _stack_bytes(micro: Microcontroller) -> int:
    least, most = _STACKS
    return max(least, min(most, micro.reserved_ram_kb * _KIB - _VARIABLES))


def board_runtime() -> DeviceRuntime:
    """Returns what drives a board from the machine that it is connected to."""
    folder = resources.files("edgeopt_micro") / "device"
    return DeviceRuntime(
        name="edgeopt-micro",
        wheels=(),
        runner=(folder / "runtime.py").read_text("utf-8"),
        files={
            f"{_LIBRARY}/{name}": content
            for name, content in _contents(folder / _LIBRARY, (".py",))
        },
    )


def _contents(folder: Traversable, endings: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(endings):
            yield file.name, file.read_bytes()
