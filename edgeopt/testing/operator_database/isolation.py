"""Examines operators in processes of their own: a toolchain may crash, or never come back."""

from __future__ import annotations

import os
import select
import signal
import sys
from typing import TYPE_CHECKING

import msgspec

from edgeopt.testing.operator_database.examine import Result
from edgeopt.testing.operator_database.samples import cases_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgeopt.testing.operator_database.examine import Bench
    from edgeopt.testing.operator_database.samples import Operator

__all__ = ["Done", "examine_isolated"]

PATIENCE_S = 120.0
"""How long a worker may say nothing."""


class Started(msgspec.Struct, frozen=True, tag=True):
    """A worker begins with a case."""

    operator: str
    sample: str


class Finished(msgspec.Struct, frozen=True, tag=True):
    """A worker has a result."""

    result: Result


class Done(msgspec.Struct, frozen=True, tag=True):
    """A worker is through with an operator."""

    operator: str


Message = Started | Finished | Done
_decoder = msgspec.json.Decoder(Message)


def examine_isolated(
    bench: Bench, operators: Iterable[Operator], most: int
) -> Iterator[Result | Done]:
    """Yields the results of ``operators``, and `Done` after each operator.

    The worker is forked, so that it starts with everything imported: call this before the process
    has started threads. A crash is a result; another worker goes on after it.

    Args:
        bench: What examines.
        operators: What is examined.
        most: Samples of each dtype.
    """
    waiting = {operator.name: operator for operator in operators}
    tried: set[tuple[str, str]] = set()
    while waiting:
        last: Started | None = None
        worker = _Worker(bench, list(waiting.values()), most, tried)
        for message in worker.messages():
            if isinstance(message, Started):
                last = message
                tried.add((message.operator, message.sample))
            elif isinstance(message, Finished):
                yield message.result
            else:
                del waiting[message.operator]
                yield message
        if worker.end:
            operator, sample = (last.operator, last.sample) if last else (next(iter(waiting)), "")
            yield Result(operator, sample, "process", "", "error", worker.end)
            if last is None:  # it does not even come to its first case
                del waiting[operator]


class _Worker:
    """A process that examines operators until it is through, or dies.

    Attributes:
        end: How it died; empty where it did not.
    """

    def __init__(
        self, bench: Bench, operators: list[Operator], most: int, tried: set[tuple[str, str]]
    ) -> None:
        self.end = ""
        self._reading, writing = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(self._reading)
            _work(bench, operators, most, tried, writing)
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


def _work(
    bench: Bench,
    operators: list[Operator],
    most: int,
    tried: set[tuple[str, str]],
    writing: int,
) -> None:
    """The worker: says what it begins and what it has; never returns."""
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # runtimes write to it
        os.dup2(2, 1)

        def say(message: Message) -> None:
            os.write(writing, msgspec.json.encode(message) + b"\n")

        for operator in operators:
            for case in cases_of(operator, most):
                if (operator.name, case.sample) not in tried:
                    say(Started(operator.name, case.sample))
                    for result in bench.examine(case):
                        say(Finished(result))
            say(Done(operator.name))
        code = 0
    finally:
        os._exit(code)
