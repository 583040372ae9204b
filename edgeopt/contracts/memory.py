"""What a model takes of a microcontroller's flash and RAM, known before anything is compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from edgeopt.contracts.backend import Lowered

__all__ = ["EstimatesMemory", "FitsMemory", "MemoryMoment", "MemoryPart", "MemoryUse"]


class MemoryPart(msgspec.Struct, frozen=True):
    """Something that takes memory.

    Attributes:
        name: Its name: of a tensor, of a kernel, of a layer.
        size_bytes: Its size.
        what: What it is, for people: ``weights``, ``code``, ``arena``, ``stack``, ``tensor`` …
        memory: Where it is.
    """

    name: str
    size_bytes: int
    what: str
    memory: Literal["flash", "ram"] = "ram"


class MemoryMoment(msgspec.Struct, frozen=True):
    """The arena while one operator runs.

    Attributes:
        operator: Name of the operator's value in the program.
        tensors: What must be kept while it runs: its inputs, its output, its scratch memory, and
            what later operators still read.
    """

    operator: str
    tensors: tuple[MemoryPart, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of all that must be kept."""
        return sum(one.size_bytes for one in self.tensors)


class MemoryUse(msgspec.Struct, frozen=True):
    """What a model takes of flash and RAM.

    Attributes:
        flash_bytes: Flash: code and constants.
        ram_bytes: RAM: the arena, with inputs and outputs; a stack is among what the target reserves.
        parts: What takes them; need not be all.
        moments: The arena over time, in the order of execution; empty where it is not known.
        arena_bytes: The part of ``ram_bytes`` that lies in one piece; 0 where it is not known.
        notes: What was done to make it fit, for people.
    """

    flash_bytes: int
    ram_bytes: int
    parts: tuple[MemoryPart, ...] = ()
    moments: tuple[MemoryMoment, ...] = ()
    arena_bytes: int = 0
    notes: tuple[str, ...] = ()

    @property
    def fullest(self) -> MemoryMoment | None:
        """The moment that needs the largest arena; None where moments are not known."""
        return max(self.moments, key=lambda one: one.size_bytes, default=None)

    def largest(self, memory: str, count: int) -> tuple[MemoryPart, ...]:
        """Returns the ``count`` parts that take most of ``memory`` (``flash`` or ``ram``)."""
        parts = (one for one in self.parts if one.memory == memory)
        return tuple(sorted(parts, key=lambda one: -one.size_bytes)[:count])


@runtime_checkable
class EstimatesMemory(Protocol):
    """What a `Backend` that knows flash and RAM beforehand has beside its other methods."""

    def memory(self, lowered: Lowered) -> MemoryUse:
        """Returns what ``lowered`` will take on its target. Compiles nothing."""
        ...


@runtime_checkable
class FitsMemory(Protocol):
    """What a `Backend` that can take less RAM, at the cost of something else, has beside its other methods."""

    def fit(self, lowered: Lowered, arena_bytes: int) -> None:
        """Has ``lowered`` take an arena of ``arena_bytes`` at most, if it can; the smallest, if it cannot.

        The numbers that it computes stay the same. Compiles nothing.
        """
        ...
