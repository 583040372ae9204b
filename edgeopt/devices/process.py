"""Runs one program on this machine, with a time limit that holds for all that it started."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Self

from edgeopt.contracts import Completed
from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["end_group", "ended", "run_process", "words"]

MAX_OUTPUT = 16 << 20
"""Of each stream, so many bytes are returned; a note says how many were left out."""
_PATIENCE_MS = 50  # between two looks at how much it has written
_LOG = logging.getLogger(__name__)
_SHOWN = 200  # characters of a command or of its error output in a message


def run_process(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: float, where: str
) -> Completed:
    """Returns the result of ``argv``, whatever its exit status.

    Output goes through files, so neither a full pipe nor a background process that keeps one open
    can hold it up; what is beyond `MAX_OUTPUT` is dropped on the way. What it leaves running in its
    process group is ended with it.

    Args:
        argv: The program and its arguments.
        cwd: The folder it runs in.
        env: Its whole environment.
        timeout_s: Seconds after which the process group is killed.
        where: What to call the place in an error.

    Raises:
        DeviceError: It could not be started, or ran past ``timeout_s``.
    """
    if not cwd.is_dir():
        raise DeviceError(f"there is no folder {cwd} to run in", where=where)
    with _Stream() as out, _Stream() as err:
        begun = time.perf_counter()
        process = _start(argv, cwd, env, (out.file, err.file), where)
        try:
            in_time = _wait(process, timeout_s, (out, err))
        finally:
            end_group(process)
            process.wait()
        wall_s = time.perf_counter() - begun
        result = Completed(process.returncode, out.text(), err.text(), wall_s)
    _LOG.debug("%s: %s in %.3f s", words(argv), ended(process.returncode), wall_s)
    if not in_time:
        message = result.stderr.strip()[-_SHOWN:]
        hint = f"its last words: {message}" if message else "raise timeout_s if it needs longer"
        what = f"`{words(argv)}` ran longer than {timeout_s:g} s and was ended"
        raise DeviceError(what, where=where, hint=hint)
    return result


def ended(status: int) -> str:
    """Returns how a program ended, for a sentence: ``was ended by signal 11 (SIGSEGV)``."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by signal {-status} ({signal.Signals(-status).name})"
    except ValueError:
        return f"was ended by signal {-status}"


def words(argv: Sequence[str]) -> str:
    """Returns a command as a person reads it, cut to a line."""
    line = " ".join(argv).replace("\n", " ")
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def _start(
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    streams: tuple[IO[bytes], IO[bytes]],
    where: str,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=streams[0],
            stderr=streams[1],
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
        reason = getattr(error, "strerror", None) or str(error)
        raise DeviceError(f"`{words(argv)}` could not be started: {reason}", where=where) from error


def _wait(
    process: subprocess.Popen[bytes], timeout_s: float, streams: tuple[_Stream, _Stream]
) -> bool:
    """Returns whether ``process`` ended in time. Where the system can, it is not reaped yet.

    As long as it is not, no other process can get its number, and ending its group is safe.
    """
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not Linux, or an old one
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout_s)
            return True
        return False
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        deadline = time.monotonic() + max(0.0, timeout_s)
        while not poll.poll(_PATIENCE_MS):
            for stream in streams:
                stream.cut()
            if time.monotonic() > deadline:
                return False
        return True
    finally:
        os.close(handle)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that leads its group, and whoever is in it."""
    if not hasattr(os, "killpg"):  # Windows
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):  # nobody is left in it
        os.killpg(process.pid, signal.SIGKILL)


class _Stream:
    """A file for a program's output, which is appended to, so that its end can be cut meanwhile."""

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile("a+b")  # noqa: SIM115 (`__exit__` closes it)
        self._dropped = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.file.close()

    def cut(self) -> None:
        """Drops what is beyond `MAX_OUTPUT`, where that is much: a program may write for ever."""
        size = os.fstat(self.file.fileno()).st_size
        if size > 2 * MAX_OUTPUT:
            os.ftruncate(self.file.fileno(), MAX_OUTPUT)
            self._dropped += size - MAX_OUTPUT

    def text(self) -> str:
        """Returns the beginning of what was written, and how much is left out."""
        beyond = self.file.seek(0, os.SEEK_END) - MAX_OUTPUT + self._dropped
        self.file.seek(0)
        text = self.file.read(MAX_OUTPUT).decode("utf-8", errors="replace")
        return text if beyond <= 0 else f"{text}\n[{beyond} bytes left out]\n"
