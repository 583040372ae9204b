"""Bytes to and from a board: a serial port, or the pipes of an emulator."""

from __future__ import annotations

import errno
import os
import select
import time
from typing import Any

from .errors import BoardError

__all__ = ["Link", "SerialLink"]

_PIECE = 1 << 16
_GONE = (errno.EIO, errno.ENXIO, errno.ENODEV, errno.EPIPE, errno.EBADF)


class Link:
    """Two file descriptors, read and written without waiting longer than is said.

    Args:
        source: Where bytes come from.
        sink: Where bytes go to; may be the same.
        name: How a person calls it.
        timeout_s: How long a board may take to reply to what is done at once.
    """

    def __init__(self, source: int, sink: int, name: str, timeout_s: float = 1.0) -> None:
        self.name, self.timeout_s = name, timeout_s
        self._source, self._sink = source, sink
        for descriptor in {source, sink}:
            os.set_blocking(descriptor, False)

    def read(self, timeout_s: float) -> bytes:
        """Returns what has come in; nothing after ``timeout_s`` without a byte.

        Raises:
            BoardError: Nobody is at the other end any more.
        """
        if not select.select([self._source], [], [], max(0.0, timeout_s))[0]:
            return b""
        try:
            content = os.read(self._source, _PIECE)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._lost(error) from error
        if not content:
            raise self._lost(None)
        return content

    def write(self, content: bytes, timeout_s: float) -> None:
        """Sends all of ``content``.

        Raises:
            BoardError: It is not taken within ``timeout_s``, or nobody is there any more.
        """
        ends = time.monotonic() + timeout_s
        view = memoryview(content)
        while view:
            left = ends - time.monotonic()
            if left <= 0 or not select.select([], [self._sink], [], left)[1]:
                raise BoardError(f"{self.name} takes no bytes", "unplug the board and plug it in")
            try:
                view = view[os.write(self._sink, view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._lost(error) from error

    def close(self) -> None:
        """Closes it. A second call does nothing."""

    def _lost(self, error: OSError | None) -> BoardError:
        if error is not None and error.errno not in _GONE:
            return BoardError(f"{self.name}: {error.strerror}")
        return BoardError(f"{self.name}: the connection was lost", "is the board still plugged in?")


class SerialLink(Link):
    """A serial port, 8 data bits, no parity, one stop bit, no flow control.

    Args:
        port: For example ``/dev/ttyACM0``.
        baud: Bits a second; a board on USB does not care.
        timeout_s: How long the board may take to reply to what is done at once.
    """

    def __init__(self, port: str, baud: int = 115200, timeout_s: float = 1.0) -> None:
        self._descriptor = _opened(port, baud)
        super().__init__(self._descriptor, self._descriptor, port, timeout_s)

    def close(self) -> None:
        """Closes it. A second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _opened(port: str, baud: int) -> int:
    try:
        import fcntl
        import termios
    except ImportError as error:
        raise BoardError("serial ports need Linux or macOS") from error
    try:
        descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        raise BoardError(f"{port} cannot be opened: {error.strerror}", _advice(error)) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _set_raw(termios, descriptor, baud)
    except BlockingIOError as error:
        os.close(descriptor)
        raise BoardError(f"{port} is in use by another program", "wait, or end it") from error
    except (termios.error, OSError) as error:
        os.close(descriptor)
        raise BoardError(f"{port} is no serial port: {error}") from error
    except BoardError:
        os.close(descriptor)
        raise
    return descriptor


def _set_raw(termios: Any, descriptor: int, baud: int) -> None:
    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise BoardError(f"no serial port of this system runs at {baud} baud", "try baud=115200")
    _, _, control, _, _, _, characters = termios.tcgetattr(descriptor)
    control &= ~(termios.CSIZE | termios.PARENB | termios.CSTOPB | getattr(termios, "CRTSCTS", 0))
    control |= termios.CS8 | termios.CREAD | termios.CLOCAL
    characters = list(characters)
    # One byte at least: else a port without any reads as one that is gone.
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    attributes = [0, 0, control, 0, speed, speed, characters]
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
    termios.tcflush(descriptor, termios.TCIFLUSH)


def _advice(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return "sudo usermod -aG dialout $USER, and log in again"
    return "plug the board in; `ls /dev/ttyACM* /dev/ttyUSB*` (macOS: /dev/cu.*) lists ports"
