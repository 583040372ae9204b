"""One emission of each program, however many steps of a deployment ask for it."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.contracts import Backend, Lowered, Target
    from edgeopt.ir import Program

__all__ = ["lower_once", "shared_lowerings"]

_CAPACITY = 4
"""How many are kept: those of the float model, and of the last tries. They hold all weights."""

_Key = tuple[int, str, str]
_shared: ContextVar[OrderedDict[_Key, tuple[Program, Target, Lowered]] | None] = ContextVar(
    "shared_lowerings", default=None
)


@contextmanager
def shared_lowerings() -> Iterator[None]:
    """Keeps what `lower_once` makes within the block; a block within another shares with it."""
    if _shared.get() is not None:
        yield
        return
    token = _shared.set(OrderedDict())
    try:
        yield
    finally:
        _shared.reset(token)


def lower_once(backend: Backend, program: Program, target: Target) -> Lowered:
    """Returns ``backend.lower(program, target)``: made before, where a block shares it.

    Args:
        backend: The backend.
        program: Before the target passes; the same object gives the same emission.
        target: The device.
    """
    cache = _shared.get()
    if cache is None:
        return backend.lower(program, target)
    key = (id(program), backend.name, target.name)
    # The program is kept with it: its id stays its own, and targets of one name may differ.
    if key not in cache or cache[key][1] != target:
        cache[key] = (program, target, backend.lower(program, target))
    cache.move_to_end(key)
    while len(cache) > _CAPACITY:
        cache.popitem(last=False)
    return cache[key][2]
