"""How far long work is: whoever listens is told, however deep the work lies below the call.

    with progress_to(lambda stage, done, total: print(f"{stage}: {done} of {total}")):
        program = edgeopt.quantize(model, data)

A public function's ``progress=`` is such a block around its work; what works below it only calls
`report_progress`. The listener belongs to the context (PEP 567), so calls at the same time in other threads
or tasks have their own. A new thread has none: who starts one gives it a copy of its own context,
``submit(contextvars.copy_context().run, function)``, and then the listener is called in that thread.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Progress", "progress_listener", "progress_to", "report_progress", "silent"]


@runtime_checkable
class Progress(Protocol):
    """Who listens to how far long work is."""

    def __call__(self, stage: str, done: float, total: float) -> None:
        """Takes the stage's name and how much of it is done (``done`` of ``total``).

        What it raises ends the work and comes out of the call that was made.
        """
        ...


_listener: ContextVar[Progress | None] = ContextVar("progress", default=None)


def silent(stage: str, done: float, total: float) -> None:
    """Does nothing: the listener of work that is a part of what a stage counts already."""


@contextmanager
def progress_to(listener: Progress | None) -> Iterator[None]:
    """Has ``listener`` told of the work within the block, and nobody else.

    Args:
        listener: Who is told; `silent` for nobody. None changes nothing: who is told around the
            block is told within it.
    """
    if listener is None:
        yield
        return
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def progress_listener() -> Progress | None:
    """Returns who is told now; None for nobody."""
    return _listener.get()


def report_progress(stage: str, done: float, total: float) -> None:
    """Tells who listens that ``done`` of ``total`` of a stage is done; nothing where nobody does.

    Args:
        stage: A name in words that a person reads, for example ``check kernels``.
        done: From 0 to ``total``.
        total: Above 0; of any unit.

    Raises:
        BaseException: What the listener raises.
    """
    listener = _listener.get()
    if listener is not None:
        listener(stage, done, total)
