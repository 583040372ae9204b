"""Runs scripts on a device through a program of this machine: ``ssh`` or ``adb``."""

from __future__ import annotations

import logging
import math
import os
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Protocol, Self

import msgspec

from edgeopt.devices.process import end_group
from edgeopt.devices.shell import Frame, for_any_shell
from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgeopt.devices.shell import Answer

__all__ = ["ExchangeCap", "Link", "ScriptResult", "call", "hold", "patience_s"]

_LOG = logging.getLogger(__name__)

QUICK_S = 120.0
"""Seconds that a script which moves no data may take."""
MOST_BYTES = 64 << 20
"""So much a script may say that moves no data."""
_SLOWEST = 128 << 10  # bytes a second that a device takes or gives, at least
_LATER_S = 10  # seconds after this machine has given up, the device does as well, if it still runs
_HEAD = 1 << 16
_POLL_S = 0.02
_LETTING_GO_S = 10.0
_MAX_STDERR = (16 << 20) + (1 << 16)


class Link(Protocol):
    """How a line gets to a device's shell."""

    name: str

    def argv(self, line: str) -> list[str]:
        """Returns the command of this machine that hands ``line`` to the device's shell.

        Raises:
            DeviceError: The device cannot be reached.
        """
        ...

    def lost(self, said: str) -> DeviceError:
        """Returns what to raise after the transport failed with the words ``said``."""
        ...

    def environment(self) -> dict[str, str]:
        """Returns the environment of that command."""
        ...


class ExchangeCap(msgspec.Struct, frozen=True):
    """How far an exchange may go.

    Attributes:
        timeout_s: Seconds after which the device counts as lost; infinity waits for the transport.
        most_bytes: What the device may say, output and error output each.
    """

    timeout_s: float
    most_bytes: int

    @property
    def later_s(self) -> int | None:
        """Seconds after which the device itself ends the script."""
        return None if math.isinf(self.timeout_s) else math.ceil(self.timeout_s) + _LATER_S


class ScriptResult(msgspec.Struct, frozen=True):
    """What a script answered.

    Attributes:
        word: What it said of its end.
        number: And the number with it.
        stdout: Its output.
        stderr: Its error output.
        wall_s: Seconds that it took.
    """

    word: str
    number: int
    stdout: bytes
    stderr: bytes
    wall_s: float

    @property
    def reason(self) -> str:
        """The last of its error output, for a message."""
        lines = self.stderr.decode("utf-8", "replace").strip().splitlines()
        return "; ".join(lines[-3:])[-500:] or f"{self.word} {self.number}"


def call(
    link: Link,
    body: str,
    *,
    feed: Callable[[IO[bytes]], None] | None = None,
    limits: ExchangeCap | None = None,
    into: IO[bytes] | None = None,
    watches: bool = False,
) -> ScriptResult:
    """Returns the answer of the script ``body``.

    The script's input stays open for as long as this machine waits for it, and ends when the
    connection or this process does. The device ends the script then, and when its time is over.

    Args:
        link: The way to the device.
        body: A script that ends with ``end WORD NUMBER``.
        feed: Writes the script's input.
        limits: How far it may go; `QUICK_S` and `MOST_BYTES` where None.
        into: A file that takes the output in place of the answer; it ends at its beginning.
        watches: Whether the script itself watches its input and the time.

    Raises:
        DeviceError: The device cannot be reached, was lost meanwhile, or said too much.
    """
    frame = Frame()
    limits = limits or ExchangeCap(QUICK_S, MOST_BYTES)
    script = frame.around(body, limit_s=limits.later_s, watch=feed is None and not watches)
    argv = link.argv(for_any_shell(script))
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        target = into or out
        broken = _talk(link, argv, (target, err), feed, limits)
        answer = frame.read(_start(target, _HEAD), _start(err, _MAX_STDERR))
        if broken or not answer.word:
            raise _lost(link, answer, broken)
        target.seek(answer.stdout_at)
        stdout = b"" if into is not None else target.read()
    wall_s = time.perf_counter() - begun
    _LOG.debug("%s: %s %d in %.3f s", link.name, answer.word, answer.number, wall_s)
    return ScriptResult(answer.word, answer.number, stdout, answer.stderr, wall_s)


def patience_s(size: int) -> float:
    """Returns how many seconds ``size`` bytes may be on their way."""
    return QUICK_S + size / _SLOWEST


@contextmanager
def hold(link: Link, body: str) -> Iterator[ScriptResult | None]:
    """Yields None while the script ``body`` holds something; it lets go when the block ends.

    The script says ``held`` when it does, and waits for the end of its input. One that ends before
    holds nothing; what it answered is yielded then.

    Raises:
        DeviceError: The device cannot be reached, or did not answer in time.
    """
    frame = Frame()
    argv = link.argv(for_any_shell(frame.around(body, watch=True)))  # also where it hangs
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        limits = ExchangeCap(math.inf, MOST_BYTES)
        with _started(link, argv, (out, err)) as process, _Watch(process, (out, err), limits):
            deadline = time.monotonic() + QUICK_S
            while process.poll() is None and not _start(out, _HEAD).endswith(b"\nheld\n"):
                if time.monotonic() > deadline:
                    raise _lost(link, frame.read(b"", b""), _silent(QUICK_S))
                time.sleep(_POLL_S)
            if process.poll() is None:
                yield None
                if process.stdin is not None:
                    process.stdin.close()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_LETTING_GO_S)
                return
        head = _start(out, _HEAD)
        answer = frame.read(head, _start(err, _MAX_STDERR))
        if not answer.word:
            raise _lost(link, answer, "")
        yield ScriptResult(answer.word, answer.number, head[answer.stdout_at :], answer.stderr, 0.0)


def _silent(waited_s: float) -> str:
    return f"the device did not answer for {waited_s:g} s"


def _lost(link: Link, answer: Answer, broken: str) -> DeviceError:
    if broken:
        hint = "is it still on, and in the network? What it ran there it ends as well"
        return DeviceError(broken, where=link.name, hint=hint)
    return link.lost(answer.stderr.decode("utf-8", "replace"))


class _Watch:
    """Ends a process that breaks the limits, on a thread: whatever else waits for it, goes on then."""

    def __init__(
        self, process: subprocess.Popen[bytes], streams: tuple[IO[bytes], ...], limits: ExchangeCap
    ) -> None:
        self.broken = ""
        self._process, self._streams, self._limits = process, streams, limits
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="edgeopt-exchange")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        deadline = time.monotonic() + self._limits.timeout_s
        while not self._done.wait(_POLL_S):
            if any(os.fstat(s.fileno()).st_size > self._limits.most_bytes for s in self._streams):
                self.broken = f"it sent more than {self._limits.most_bytes >> 20} MiB"
            elif time.monotonic() > deadline:
                self.broken = _silent(self._limits.timeout_s)
            if self.broken:
                end_group(self._process)
                return


def _talk(
    link: Link,
    argv: list[str],
    streams: tuple[IO[bytes], IO[bytes]],
    feed: Callable[[IO[bytes]], None] | None,
    limits: ExchangeCap,
) -> str:
    """Runs ``argv`` to its end; returns which limit it broke, if any."""
    with _started(link, argv, streams) as process, _Watch(process, streams, limits) as watch:
        if feed is not None and process.stdin is not None:
            with suppress(BrokenPipeError, ConnectionError):  # the frame says what happened
                feed(process.stdin)
                process.stdin.close()
        process.wait()
    return watch.broken


@contextmanager
def _started(
    link: Link, argv: list[str], streams: tuple[IO[bytes], IO[bytes]]
) -> Iterator[subprocess.Popen[bytes]]:
    """Yields the running command; it is over afterwards."""
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=streams[0],
            stderr=streams[1],
            start_new_session=True,
            env=link.environment(),
        )
    except OSError as error:
        what = f"{argv[0]} does not run: {error.strerror}"
        raise DeviceError(what, where=link.name) from error
    try:
        yield process
    finally:
        end_group(process)
        if process.stdin is not None:
            with suppress(OSError):  # what was not sent cannot be sent any more
                process.stdin.close()
        process.wait()


def _start(stream: IO[bytes], most: int) -> bytes:
    """Returns the beginning of a file, or where it is longer, that and its end."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    return stream.read(min(size, most))
