"""Whether a model fits into a microcontroller: what it takes, what there is, what would help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from edgeopt.contracts import EstimatesMemory, FitsMemory, MemoryUse
from edgeopt.contracts.storage import Precision
from edgeopt.deployment.memory_picture import memory_svg
from edgeopt.errors import InputError, MemoryLimitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgeopt.contracts import Backend, Lowered, MemoryMoment, MemoryPart, Target

__all__ = [
    "MemoryBounds",
    "MemoryReport",
    "limits_of",
    "memory_of",
    "require_fit",
    "require_known_memory",
]

_NAMED = 4  # so many of the largest parts an error names
_BARS = 16  # so many lines RAM over time has at most
_WIDTH = 32  # of the longest bar, in characters
_FULL, _PARTS = "█", " ▏▎▍▌▋▊▉"


class _Limited(Protocol):
    """Options that may limit memory."""

    @property
    def max_flash_kb(self) -> float | None: ...
    @property
    def max_ram_kb(self) -> float | None: ...


class MemoryBounds(msgspec.Struct, frozen=True):
    """What a model may take, in KiB.

    Attributes:
        target: Name of the microcontroller.
        flash_kb: Flash.
        ram_kb: RAM, all of it together.
        arena_kb: The largest piece of RAM: an arena lies in one.
    """

    target: str
    flash_kb: float
    ram_kb: float
    arena_kb: float


class MemoryReport(msgspec.Struct, frozen=True):
    """What a model takes, beside what it may take.

    Attributes:
        use: What it takes.
        limits: What it may take.
    """

    use: MemoryUse
    limits: MemoryBounds

    def __str__(self) -> str:
        use, limits = self.use, self.limits
        flash = f"flash {_kib(use.flash_bytes)} of {limits.flash_kb:g} KiB"
        return f"{flash}, RAM {_kib(use.ram_bytes)} of {limits.ram_kb:g} KiB"

    def bars(self) -> list[str]:
        """Returns the arena over time, a line for each operator.

        Of many operators each line stands for a few in a row, and shows the one that needs most.
        """
        moments = _thinned(self.use.moments)
        most = max((one.size_bytes for one in moments), default=0)
        width = max((len(one.operator) for one in moments), default=0)
        return [
            f"{one.operator:{width}}  {_bar(one.size_bytes, most):{_WIDTH}}  {_kib(one.size_bytes)} KiB"
            for one in moments
        ]

    def svg(self) -> str:
        """Returns the arena over time as an SVG picture, with the limit, and what the fullest operator keeps."""
        return memory_svg(self)


def limits_of(target: Target, options: _Limited | None = None) -> MemoryBounds | None:
    """Returns what a model may take on ``target``; None on a device that is no microcontroller.

    Args:
        target: The device.
        options: May ask for less than the device has.

    Raises:
        InputError: A limit is given for a device that is no microcontroller.
    """
    limits = {n: getattr(options, n, None) for n in ("max_flash_kb", "max_ram_kb")}
    micro = target.microcontroller
    if micro is None:
        for name, value in limits.items():
            if value is not None:
                what = f"{target.name} is no microcontroller, whose flash and RAM this limits"
                hint = "leave it out; `edgeopt targets` lists the microcontrollers"
                raise InputError(what, where=name, hint=hint)
        return None
    flash = min(micro.flash_kb, limits["max_flash_kb"] or micro.flash_kb)
    ram = min(micro.ram_kb, limits["max_ram_kb"] or micro.ram_kb)
    return MemoryBounds(target.name, flash, ram, min(ram, micro.arena_kb))


def require_known_memory(backend: Backend, options: _Limited) -> None:
    """Checks that a limit that is asked for can be kept.

    Raises:
        InputError: The backend does not say how much flash and RAM a model takes.
    """
    for name in ("max_flash_kb", "max_ram_kb"):
        if getattr(options, name) is not None and not isinstance(backend, EstimatesMemory):
            what = f"{backend.name} does not say how much flash and RAM a model takes"
            raise InputError(what, where=name, hint="leave it out, or choose another backend")


def memory_of(
    lowered: Lowered, backend: Backend, limits: MemoryBounds | None
) -> MemoryReport | None:
    """Returns what a program takes, beside what it may; None without limits, and where nobody can say."""
    if limits is None or lowered.support.unsupported or not isinstance(backend, EstimatesMemory):
        return None
    if isinstance(backend, FitsMemory):
        backend.fit(lowered, int(1024 * limits.arena_kb))
    return MemoryReport(backend.memory(lowered), limits)


def require_fit(use: MemoryUse, limits: MemoryBounds, precision: str) -> None:
    """Checks that a model keeps to ``limits``.

    Args:
        use: What it takes.
        limits: What it may take.
        precision: Its precision, for what would help.

    Raises:
        MemoryLimitError: It does not; says by how much, what takes it, and what would help.
    """
    shortfalls = dict(_shortfalls(use, limits))
    if shortfalls:
        helps = list(dict.fromkeys(one for name in shortfalls for one in _helps(name, limits)))
        if not Precision(precision).is_integer:
            helps.insert(0, f'precision="int8" takes about a quarter of {precision}')
        what = "; ".join(shortfalls.values())
        raise MemoryLimitError(what, where=limits.target, hint="; ".join(helps), use=use)


def _shortfalls(use: MemoryUse, limits: MemoryBounds) -> Iterator[tuple[str, str]]:
    """Yields what there is too little of, and a sentence about it."""
    if use.flash_bytes > 1024 * limits.flash_kb:
        most = _listed(use.largest("flash", _NAMED))
        needs = f"needs {_kib(use.flash_bytes)} KiB of flash, and may take {limits.flash_kb:g}"
        yield "flash", needs + (f": {most}" if most else "")
    if use.ram_bytes > 1024 * limits.ram_kb:
        needs = f"needs {_kib(use.ram_bytes)} KiB of RAM, and may take {limits.ram_kb:g}"
        yield "ram", needs + _at_the_fullest(use)
    elif use.arena_bytes > 1024 * limits.arena_kb:
        needs = f"needs an arena of {_kib(use.arena_bytes)} KiB in one piece, and the largest has"
        yield "ram", f"{needs} {limits.arena_kb:g}" + _at_the_fullest(use)


def _at_the_fullest(use: MemoryUse) -> str:
    most = _listed(use.largest("ram", _NAMED))
    text = f": {most}" if most else ""
    moment = use.fullest
    if moment is None:
        return text
    tensors = sorted(moment.tensors, key=lambda one: -one.size_bytes)[:_NAMED]
    return f"{text}; the arena is fullest at {moment.operator}, which keeps {_listed(tensors)}"


def _helps(name: str, limits: MemoryBounds) -> list[str]:
    if name == "flash":
        limit = f"max_flash_kb={limits.flash_kb:g}"
        return [f"pruning: edgeopt.prune({limit}), or edgeopt.search({limit}, pruning=True)"]
    limit = f"max_ram_kb={limits.ram_kb:g}"
    pruning = f"pruning: edgeopt.prune({limit}), or edgeopt.search({limit}, pruning=True)"
    return ["a smaller input", pruning]


def _listed(parts: Sequence[MemoryPart]) -> str:
    return ", ".join(f"{one.name} ({one.what}, {_kib(one.size_bytes)} KiB)" for one in parts)


def _thinned(moments: Sequence[MemoryMoment]) -> list[MemoryMoment]:
    """Returns at most `_BARS` moments: of each few in a row the fullest."""
    step = -(-len(moments) // _BARS) or 1
    rows = (moments[start : start + step] for start in range(0, len(moments), step))
    return [max(row, key=lambda one: one.size_bytes) for row in rows]


def _bar(size: int, most: int) -> str:
    eighths = round(8 * _WIDTH * size / most) if most else 0
    return (_FULL * (eighths // 8) + _PARTS[eighths % 8]).rstrip()


def _kib(size: Any) -> str:
    return f"{size / 1024:.1f}"
