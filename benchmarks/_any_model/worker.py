"""One process a model: it may crash, never come back, or take all memory."""

from __future__ import annotations

import gc
import os
import re
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import torch

from _any_model.examine import Place, Row, examine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from _any_model.entry import Entry

__all__ = ["Limits", "examine_isolated", "import_all"]

GLANCE_S = 0.2
"""How often memory is looked at."""


class Limits(msgspec.Struct, frozen=True):
    """What one place of one model may take: seconds, and memory in megabytes."""

    seconds: float = 300.0
    memory_mb: int = 7000


class _Message(msgspec.Struct, frozen=True):
    """What the process says: that it begins something, or what came of it."""

    starts: Place | None = None
    row: Row | None = None
    done: bool = False


_decoder = msgspec.json.Decoder(_Message)


def import_all() -> None:
    """Imports what every process would import again: what capture and models of transformers need."""
    import transformers.modeling_utils  # noqa: PLC0415 (slow)

    import edgeopt  # noqa: PLC0415 (slow)

    edgeopt.capture(torch.nn.Linear(1, 1).eval(), torch.zeros(1, 1))
    assert transformers.modeling_utils.PreTrainedModel


def examine_isolated(entry: Entry, wanted: Sequence[Place], limits: Limits) -> Iterator[Row]:
    """Yields a row for each place of ``wanted`` that can be reached.

    What dies, or goes over its limits, is a row too; another process goes on behind it. The process is
    forked, so that it starts with everything imported.
    """
    left = list(wanted)
    while left:
        process = _Process(entry, left)
        yield from process.rows(limits)
        if process.died_at is None:
            return
        yield Row(
            entry.name,
            process.died_at,
            "killed",
            what=process.end,
            seconds=round(process.seconds, 1),
            peak_mb=process.memory_mb,
        )
        if process.died_at not in left:  # what all the others follow from
            return
        left = left[left.index(process.died_at) + 1 :]
        if process.died_at.stage in ("built", "captured"):
            return
        if process.died_at.stage == "quantized":
            left = [one for one in left if one.precision != process.died_at.precision]


class _Process:
    """Examines until it is through, or dies.

    Attributes:
        died_at: What it was at when it died; None where it did not.
        end: How it died.
        seconds: How long it was at it.
        memory_mb: What it held when it was last looked at.
    """

    def __init__(self, entry: Entry, wanted: Sequence[Place]) -> None:
        self.died_at: Place | None = None
        self.end, self.seconds, self.memory_mb = "", 0.0, 0
        self._reading, writing = os.pipe()
        gc.freeze()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._reading)
            _work(entry, wanted, writing)
        os.close(writing)

    def rows(self, limits: Limits) -> Iterator[Row]:
        """Yields what it says, until it ends or goes over its limits."""
        at, since, rest, excess, done = Place("built"), time.monotonic(), b"", "", False
        try:
            while not excess:
                if not select.select([self._reading], [], [], GLANCE_S)[0]:
                    excess = self._excess(limits, time.monotonic() - since)
                    continue
                chunk = os.read(self._reading, 1 << 16)
                if not chunk:
                    break
                *lines, rest = (rest + chunk).split(b"\n")
                for message in map(_decoder.decode, lines):
                    done = message.done
                    if message.starts is not None:
                        at, since = message.starts, time.monotonic()
                    if message.row is not None:
                        yield message.row
        finally:
            os.close(self._reading)
            if not done:
                os.kill(self._pid, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        if not done:
            ended = signal.Signals(-code).name if code < 0 else f"status {code}"
            self.died_at, self.end = at, excess or ended
            self.seconds = time.monotonic() - since

    def _excess(self, limits: Limits, seconds: float) -> str:
        self.memory_mb = _resident_mb(self._pid)
        if seconds > limits.seconds:
            return f"more than {limits.seconds:.0f} s"
        if self.memory_mb > limits.memory_mb:
            return f"more than {limits.memory_mb} MB"
        return ""


def _work(entry: Entry, wanted: Sequence[Place], writing: int) -> None:
    """The process: says what it has; never returns."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # runtimes write to it
        os.dup2(2, 1)
        for row in examine(entry, wanted, lambda place: _say(writing, _Message(starts=place))):
            _say(writing, _Message(row=row))
        _say(writing, _Message(done=True))
        code = 0
    finally:
        os._exit(code)


def _say(writing: int, message: _Message) -> None:
    os.write(writing, msgspec.json.encode(message) + b"\n")


def _resident_mb(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) // 1024 if found else 0
