"""Examines networks in a process of their own: a toolchain may crash, or never come back."""

from __future__ import annotations

import os
import select
import signal
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from edgeopt.testing.networks.examine import Outcome
from edgeopt.testing.networks.generate import generate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgeopt.testing.networks.examine import Bench

__all__ = ["Examined", "examine_isolated"]

PATIENCE_S = 300.0
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


def examine_isolated(bench: Bench, seeds: Iterable[int], together: int = 1) -> Iterator[Examined]:
    """Yields what comes of the networks of ``seeds``.

    The worker is forked, so that it starts with everything imported: call this before the process
    has started threads. After a crash another one goes on: first with each network of those that
    were side by side alone, then with the next.

    Args:
        bench: What examines.
        seeds: Seeds.
        together: How many networks are put into one program.
    """
    every = list(seeds)
    groups = [every[at : at + together] for at in range(0, len(every), together)]
    ends: dict[int, Outcome] = {}
    while groups:
        worker = _Worker(bench, groups)
        outcomes: dict[int, list[Outcome]] = defaultdict(list)
        for message in worker.messages():
            if message.outcome is not None:
                outcomes[message.seed].append(message.outcome)
            if message.done:
                ended = [ends.pop(message.seed)] if message.seed in ends else []
                yield Examined(message.seed, (*outcomes[message.seed], *ended), message.steps)
                groups[0].remove(message.seed)
                groups = groups if groups[0] else groups[1:]
        if worker.end is None:
            continue
        first = groups.pop(0)
        if len(first) == 1:
            ends.clear()  # this is the one
            yield Examined(first[0], (*outcomes[first[0]], worker.end))
        else:
            groups = [[seed] for seed in first] + groups
            beside = (
                f"{worker.end.what} of seeds {first[0]} to {first[-1]} side by side, of none alone"
            )
            ends[first[-1]] = msgspec.structs.replace(worker.end, what=beside)


class _Worker:
    """A process that examines until it is through, or dies.

    Attributes:
        end: How it died; None where it did not.
    """

    def __init__(self, bench: Bench, groups: list[list[int]]) -> None:
        self.end: Outcome | None = None
        self._reading, writing = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(self._reading)
            _work(bench, groups, writing)
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


def _work(bench: Bench, groups: list[list[int]], writing: int) -> None:
    """The worker: says what it has; never returns."""
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # runtimes write to it
        os.dup2(2, 1)
        for seeds in groups:
            networks = {seed: generate(seed) for seed in seeds}
            for seed, outcome in bench.examine_together(networks):
                _say(writing, _Message(seed, outcome))
            for seed, network in networks.items():
                _say(writing, _Message(seed, steps=len(network.steps), done=True))
        code = 0
    finally:
        os._exit(code)


def _say(writing: int, message: _Message) -> None:
    os.write(writing, msgspec.json.encode(message) + b"\n")
