"""Runs scripts on a device through a program of this machine: ``ssh`` or ``adb``."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Protocol

import msgspec

from edgeopt.devices.process import end_group
from edgeopt.devices.shell import Frame, for_any_shell
from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgeopt.devices.shell import Answer

__all__ = ["Link", "Said", "call", "hold"]

QUICK_S = 120.0
"""Seconds that a script which moves no data may take."""
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


class Said(msgspec.Struct, frozen=True):
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
    timeout_s: float | None = QUICK_S,
    into: IO[bytes] | None = None,
) -> Said:
    """Returns the answer of the script ``body``.

    The script's input stays open for as long as this machine waits for it, and ends when the
    connection or this process does: a script can watch it.

    Args:
        link: The way to the device.
        body: A script that ends with ``end WORD NUMBER``.
        feed: Writes the script's input.
        timeout_s: Seconds after which the device counts as lost; None waits for the transport.
        into: A file that takes the output in place of the answer; it ends at its beginning.

    Raises:
        DeviceError: The device cannot be reached, or was lost meanwhile.
    """
    frame = Frame()
    argv = link.argv(for_any_shell(frame.around(body)))
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        target = into or out
        in_time = _talk(link, argv, (target, err), feed, timeout_s)
        answer = frame.read(_start(target, _HEAD), _start(err, _MAX_STDERR))
        if not answer.word:
            raise _lost(link, answer, timeout_s if not in_time else None)
        target.seek(answer.stdout_at)
        stdout = b"" if into is not None else target.read()
    wall_s = time.perf_counter() - begun
    return Said(answer.word, answer.number, stdout, answer.stderr, wall_s)


@contextmanager
def hold(link: Link, body: str) -> Iterator[Said | None]:
    """Yields None while the script ``body`` holds something; it lets go when the block ends.

    The script says ``held`` when it does, and waits for the end of its input. One that ends before
    holds nothing; what it answered is yielded then.

    Raises:
        DeviceError: The device cannot be reached, or did not answer in time.
    """
    frame = Frame()
    argv = link.argv(for_any_shell(frame.around(body)))
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with _started(link, argv, (out, err)) as process:
            deadline = time.monotonic() + QUICK_S
            while process.poll() is None and not _start(out, _HEAD).endswith(b"\nheld\n"):
                if time.monotonic() > deadline:
                    raise _lost(link, frame.read(b"", b""), QUICK_S)
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
            raise _lost(link, answer, None)
        yield Said(answer.word, answer.number, head[answer.stdout_at :], answer.stderr, 0.0)


def _lost(link: Link, answer: Answer, waited_s: float | None) -> DeviceError:
    if waited_s is not None:
        what = f"the device did not answer for {waited_s:g} s"
        return DeviceError(what, where=link.name, hint="is it still on, and in the network?")
    return link.lost(answer.stderr.decode("utf-8", "replace"))


def _talk(
    link: Link,
    argv: list[str],
    streams: tuple[IO[bytes], IO[bytes]],
    feed: Callable[[IO[bytes]], None] | None,
    timeout_s: float | None,
) -> bool:
    """Runs ``argv`` to its end; returns whether that came in time."""
    with _started(link, argv, streams) as process:
        try:
            if feed is not None and process.stdin is not None:
                with suppress(BrokenPipeError, ConnectionError):  # the frame says what happened
                    feed(process.stdin)
                    process.stdin.close()
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True


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
