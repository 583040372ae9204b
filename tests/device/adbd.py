"""What an Android device answers to ``adb``, as far as its shell goes: commands run on this machine.

It stands for a device, which no machine that runs these tests has: the real ``adb`` connects to it
over TCP and talks its real protocol (version 2 of the shell service), and that is all that is real.
https://android.googlesource.com/platform/packages/modules/adb/+/refs/heads/main/protocol.txt
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import threading
from contextlib import suppress

CNXN, OPEN, OKAY, CLSE, WRTE = (
    int.from_bytes(name, "little") for name in (b"CNXN", b"OPEN", b"OKAY", b"CLSE", b"WRTE")
)
VERSION, MOST = 0x01000001, 1 << 18
BANNER = (
    b"device::ro.product.name=toy;ro.product.model=Toy;ro.product.device=toy;features=shell_v2,cmd"
)
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)


class Adbd:
    """Listens on the loopback; one thread for each connection and pipe."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.links: list[_Connection] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Breaks the connections, as a cable that is pulled out does."""
        for link in self.links:
            link.break_off()
        self.links.clear()

    def close(self) -> None:
        self.listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.links.append(_Connection(connection, self.path))


class _Connection:
    def __init__(self, connection: socket.socket, path: str) -> None:
        self.socket, self.path = connection, path
        self.sending = threading.Lock()
        self.streams: dict[int, _Shell] = {}
        threading.Thread(target=self._serve, daemon=True).start()

    def send(self, command: int, first: int, second: int, data: bytes = b"") -> None:
        head = struct.pack("<6I", command, first, second, len(data), 0, command ^ 0xFFFFFFFF)
        with self.sending, suppress(OSError):
            self.socket.sendall(head + data)

    def break_off(self) -> None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _serve(self) -> None:
        with suppress(OSError, EOFError, struct.error):
            while True:
                command, first, second, length, _, _ = struct.unpack("<6I", self._read(24))
                self._answer(command, first, second, self._read(length))
        for stream in list(self.streams.values()):
            stream.hang_up()

    def _answer(self, command: int, theirs: int, ours: int, data: bytes) -> None:
        if command == CNXN:
            self.send(CNXN, VERSION, MOST, BANNER)
        elif command == OPEN:
            service = data.rstrip(b"\0").decode()
            name, _, line = service.partition(":")
            number = len(self.streams) + 1
            if not name.startswith("shell,v2") or "raw" not in name.split(","):
                self.send(CLSE, 0, theirs)
                return
            self.send(OKAY, number, theirs)
            self.streams[number] = _Shell(self, number, theirs, line)
        elif command == OKAY:
            self.streams[ours].taken.release()
        elif command == WRTE:
            self.send(OKAY, ours, theirs)
            self.streams[ours].feed(data)
        elif command == CLSE and ours in self.streams:
            self.streams[ours].hang_up()

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data


class _Shell:
    """One command: its streams travel as packets of a kind, a length and that much data."""

    def __init__(self, link: _Connection, ours: int, theirs: int, line: str) -> None:
        self.link, self.ours, self.theirs = link, ours, theirs
        self.taken = threading.Semaphore(1)  # one message may be under way
        self.writing = threading.Lock()
        self.pending = b""
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", line],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={"PATH": link.path, "HOME": "/"},
            cwd="/",
        )
        threading.Thread(target=self._run, daemon=True).start()

    def feed(self, data: bytes) -> None:
        self.pending += data
        while len(self.pending) >= 5:
            kind, length = struct.unpack("<BI", self.pending[:5])
            if len(self.pending) < 5 + length:
                return
            content, self.pending = self.pending[5 : 5 + length], self.pending[5 + length :]
            with suppress(OSError, ValueError):
                if kind == STDIN:
                    os.write(self.process.stdin.fileno(), content)
                elif kind == CLOSE_STDIN:
                    self.process.stdin.close()

    def hang_up(self) -> None:
        """The host is gone: a device closes the input and sends SIGHUP."""
        with suppress(OSError, ValueError):
            self.process.stdin.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGHUP)
        self.taken.release()

    def _run(self) -> None:
        pipes = ((STDOUT, self.process.stdout), (STDERR, self.process.stderr))
        pumps = [threading.Thread(target=self._pump, args=pair, daemon=True) for pair in pipes]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
        status = self.process.wait()  # a daemon thread's
        self._packet(EXIT, bytes([status if status >= 0 else 128 - status]))
        self.taken.acquire(timeout=5)
        self.link.send(CLSE, self.ours, self.theirs)

    def _pump(self, kind: int, pipe) -> None:
        while data := os.read(pipe.fileno(), 60_000):
            self._packet(kind, data)
        pipe.close()

    def _packet(self, kind: int, data: bytes) -> None:
        with self.writing:
            if self.taken.acquire(timeout=20):
                packet = struct.pack("<BI", kind, len(data)) + data
                self.link.send(WRTE, self.ours, self.theirs, packet)
