"""Examines networks in a process of their own: a toolchain may crash, or never come back."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING

import msgspec

from edgeopt.testing.networks.examine import Outcome
from edgeopt.testing.networks.generate import generate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgeopt.testing.networks.examine import Bench

__all__ = ["Examined", "examine_isolated"]

PATIENCE_S = 120.0
"""How long a worker may say nothing."""


class Examined(msgspec.Struct, frozen=True):
    """What came of one seed.

    Attributes:
        seed: The seed.
        outcomes: One a backend and precision; a crash or a hang ends them.
        steps: Operators of the network.
    """

    seed: int
    outcomes: tuple[Outcome, ...]
    steps: int = 0


class _Message(msgspec.Struct, frozen=True):
    seed: int
    outcome: Outcome | None = None
    steps: int = 0
    done: bool = False


_decoder = msgspec.json.Decoder(_Message)


def examine_isolated(bench: Bench, seeds: Iterable[int]) -> Iterator[Examined]:
    """Yields what comes of the networks of ``seeds``.

    The worker is forked, so that it starts with everything imported: call this before the process
    has started threads. After a crash another one goes on with the next seed.

    Args:
        bench: What examines.
        seeds: Seeds.
    """
    waiting = list(seeds)
    while waiting:
        worker = _Worker(bench, waiting)
        outcomes: list[Outcome] = []
        for message in worker.messages():
            if message.outcome is not None:
                outcomes.append(message.outcome)
            if message.done:
                yield Examined(waiting.pop(0), tuple(outcomes), message.steps)
                outcomes = []
        if worker.end is not None:
            yield Examined(waiting.pop(0), (*outcomes, worker.end))


class _Worker:
    """A process that examines until it is through, or dies.

    Attributes:
        end: How it died; None where it did not.
    """

    def __init__(self, bench: Bench, seeds: list[int]) -> None:
        self.end: Outcome | None = None
        self._reading, writing = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(self._reading)
            _work(bench, seeds, writing)
        os.close(writing)

    def messages(self) -> Iterator[_Message]:
        """Yields what the worker says, until it ends."""
        hung = ended = False
        try:
            for message in _messages(self._reading):
                if message is None:
                    hung = True
                    break
                yield message
            ended = not hung
        finally:
            os.close(self._reading)
            if not ended:
                os.kill(self._process, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])
        if hung:
            self.end = Outcome("hang", "process", "", f"nothing for {PATIENCE_S:.0f} s")
        elif code:
            what = signal.Signals(-code).name if code < 0 else f"status {code}"
            self.end = Outcome("crash", "process", "", what)


def _messages(reading: int) -> Iterator[_Message | None]:
    rest = b""
    while True:
        if not select.select([reading], [], [], PATIENCE_S)[0]:
            yield None
            return
        chunk = os.read(reading, 1 << 16)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        yield from map(_decoder.decode, lines)


def _work(bench: Bench, seeds: list[int], writing: int) -> None:
    """The worker: says what it has; never returns."""
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # runtimes write to it
        os.dup2(2, 1)
        for seed in seeds:
            network = generate(seed)
            for outcome in bench.examine(network, seed):
                _say(writing, _Message(seed, outcome))
            _say(writing, _Message(seed, steps=len(network.steps), done=True))
        code = 0
    finally:
        os._exit(code)


def _say(writing: int, message: _Message) -> None:
    os.write(writing, msgspec.json.encode(message) + b"\n")
