"""Examines operators in processes of their own: a toolchain may crash, or never come back."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from edgeopt.testing.cheap_export import cheap_export
from edgeopt.testing.operator_database.results import Attempt, Done, Place, Result
from edgeopt.testing.operator_database.samples import cases_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgeopt.testing.operator_database.bench import Bench
    from edgeopt.testing.operator_database.results import Outcome
    from edgeopt.testing.operator_database.samples import Operator

__all__ = ["examine_isolated"]

PATIENCE_S = 120.0
"""How long a worker may say nothing."""
OPERATORS_AT_ONCE = 20
"""Operators whose cases may share builds."""


Message = Attempt | Result | Done
_decoder = msgspec.json.Decoder(Message)


def examine_isolated(
    bench: Bench, operators: Iterable[Operator], samples: int, before: Iterable[Result] = ()
) -> Iterator[Result | Done]:
    """Yields the results of ``operators``, and `Done` after each operator.

    The worker is forked, so that it starts with everything imported: call this before the process
    has started threads. A crash is a result; another worker goes on after it.

    Args:
        bench: What examines.
        operators: What is examined.
        samples: Samples of each dtype.
        before: Results that are known.
    """
    work = _Work(
        bench, deque(operators), samples, {row.place: row.outcome for row in before}, set()
    )
    while work.operators:
        places: tuple[Place, ...] = ()
        worker = _Worker(work)
        for message in worker.messages():
            if isinstance(message, Attempt):
                places = message.places
            elif isinstance(message, Result):
                work.settled[message.place] = message.outcome
                yield message
            else:
                work.operators = deque(o for o in work.operators if o.name != message.operator)
                yield message
        if len(places) > 1 and worker.end:
            work.alone.update(places)
        elif worker.end:
            (place,) = places or (Place(work.operators[0].name),)
            result = place.result("error", worker.end)
            work.settled[place] = result.outcome
            yield result


@dataclass
class _Work:
    """What a worker has to do.

    Attributes:
        bench: What examines.
        operators: What is left.
        samples: Samples of each dtype.
        settled: Where results are known.
        alone: What does not share a build: one of those that did ended a worker.
    """

    bench: Bench
    operators: deque[Operator]
    samples: int
    settled: dict[Place, Outcome]
    alone: set[Place]


class _Worker:
    """A process that examines operators until it is through, or dies.

    Attributes:
        end: How it died; empty where it did not.
    """

    def __init__(self, work: _Work) -> None:
        self.end = ""
        self._reading, writing = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(self._reading)
            _run(work, writing)
        os.close(writing)

    def messages(self) -> Iterator[Message]:
        """Yields what the worker says, until it ends."""
        silent = False
        try:
            for message in _messages(self._reading):
                if message is None:
                    silent = True
                    os.kill(self._process, signal.SIGKILL)
                else:
                    yield message
        finally:
            os.close(self._reading)
            if sys.exc_info()[0] is GeneratorExit:
                os.kill(self._process, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])
        self.end = _end(code, silent=silent)


def _end(code: int, *, silent: bool) -> str:
    if silent:
        return f"nothing for {PATIENCE_S:.0f} s"
    if code < 0:
        return f"crashed: {signal.Signals(-code).name}"
    return f"ended with status {code}" if code else ""


def _messages(reading: int) -> Iterator[Message | None]:
    """Yields what a worker says until it ends; None where it has been silent for too long."""
    rest = b""
    while True:
        if not select.select([reading], [], [], PATIENCE_S)[0]:
            yield None
            continue
        chunk = os.read(reading, 1 << 16)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        yield from map(_decoder.decode, lines)


def _run(work: _Work, writing: int) -> None:
    """The worker: says what it begins and what it has; never returns."""
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # runtimes write to it
        os.dup2(2, 1)
        with cheap_export():
            for message in _examined(work):
                os.write(writing, msgspec.json.encode(message) + b"\n")
        code = 0
    finally:
        os._exit(code)


def _examined(work: _Work) -> Iterator[Message]:
    left = list(work.operators)
    for first in range(0, len(left), OPERATORS_AT_ONCE):
        some = left[first : first + OPERATORS_AT_ONCE]
        cases = []
        for operator in some:
            if Place(operator.name) not in work.settled:  # else its samples ended a worker
                yield Attempt((Place(operator.name),))
                cases += cases_of(operator, work.samples)
        yield from work.bench.examine(cases, work.settled, work.alone)
        yield from (Done(operator.name, work.bench.plan(work.samples)) for operator in some)
