"""A device that does what it likes, and what edgeopt does with it: shared by the tests and the command.

A behaviour is a program of the device that was replaced, or what its ``tar`` sends, and the exchange
that meets it. Each exchange must fail in our words and in time, and leave nothing running: of what this
device has started, not of what else runs on the machine.
"""

from __future__ import annotations

import io
import os
import signal
import tarfile
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from unittest.mock import patch

from edgeopt.devices import link, remote
from edgeopt.devices.ssh import SshDevice
from edgeopt.errors import DeviceError

LIMIT_S = 4.0
"""Seconds that a device has here."""
PATIENCE_S = 25.0
"""Within which each exchange is over: the limit, what is added to it, and a slow machine."""
MOST_BYTES = 200 << 20
"""So much an exchange may leave on the disk of this machine."""
MANY_S = 90_000

FLOOD = "exec cat /dev/zero"
MUTE = f"exec sleep {MANY_S}"
STUBBORN = f"trap '' HUP PIPE TERM INT; while :; do sleep {MANY_S}; done"
CHATTER = "while :; do head -c 100000 /dev/zero >&2; done"
FAILING = "echo no >&2; exit 3"
SILENT = "exit 0"
NOISE = "head -c 3000000 /dev/urandom"
WORDS = {
    FLOOD: "floods", MUTE: "is mute", STUBBORN: "cannot be ended", CHATTER: "floods its errors",
    FAILING: "fails", SILENT: "does nothing", NOISE: "sends noise",
}  # fmt: skip
LIMITS: list[tuple[Any, dict[str, float]]] = [
    (link, {"QUICK_S": LIMIT_S, "_LATER_S": 1, "MOST_BYTES": 8 << 20, "_SLOWEST": 1 << 30}),
    (remote, {"MOST_BYTES": 8 << 20, "LISTING_S": LIMIT_S, "_GRACE_S": LIMIT_S}),
    (remote, {"MAX_OUTPUT": 4 << 20}),
]


@dataclass
class Hostile:
    """A device over SSH whose programs can be replaced.

    Attributes:
        folder: All of it lies there.
        temp: Temporary files of this machine's side.
        device: The device; it answers as long as it is honest.
    """

    folder: Path
    temp: Path
    device: SshDevice

    @property
    def bad(self):
        """A folder of programs that the device finds before its own."""
        return self.folder / "bad"

    def replace(self, name, body):
        (self.bad / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.bad / name).chmod(0o755)

    def sends(self, content):
        """Makes the device's tar send ``content``."""
        (self.bad / "content").write_bytes(content)
        self.replace("tar", f"exec cat {self.bad}/content")

    def restore(self):
        """Makes it honest again, and empty."""
        for path in self.bad.iterdir():
            path.unlink()

    def there(self):
        """Returns a folder on the device, with a file in it."""
        there = Path(self.device.workdir()) / "there"
        there.mkdir(exist_ok=True)
        (there / "file").write_text("content")
        return there

    def end(self):
        """Ends what is left: the next exchange shall not be blamed for it."""
        for pid in self.running():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def running(self):
        """Returns process to command of what the device has started and is left of it."""
        mark, found = os.fsencode(self.bad), {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                line, surroundings = (
                    (path / "cmdline").read_bytes(),
                    (path / "environ").read_bytes(),
                )
            except OSError:
                continue
            hostile = any(
                word in line for word in (str(MANY_S).encode(), b"/dev/zero", mark + b"/")
            )
            if hostile and (mark in line or mark in surroundings):
                found[int(path.name)] = line.replace(b"\0", b" ").decode("utf-8", "replace")
        return found

    def ends(self, exchange):
        """Checks that ``exchange`` fails in our words and in time, and that nothing is left.

        Returns:
            The error, and the seconds that it took.
        """
        begun = time.monotonic()
        try:
            exchange()
        except DeviceError as error:
            caught = error
        else:
            raise AssertionError("it was taken")
        seconds = time.monotonic() - begun
        assert seconds < PATIENCE_S, f"{seconds:.0f} s"
        deadline = time.monotonic() + PATIENCE_S
        while left := self.running():
            assert time.monotonic() < deadline, left
            time.sleep(0.1)
        size = sum(p.stat().st_size for p in self.temp.rglob("*") if p.is_file())
        assert size < MOST_BYTES, f"{size} bytes are left"
        return caught, seconds


@contextmanager
def hostile_device(server_class, folder):
    """Yields a `Hostile` whose limits are short; SERVER_CLASS is `sshd.Sshd`."""
    (folder / "server").mkdir()
    (folder / "bad").mkdir()
    home = folder / "server" / "home"
    login = (
        f"#!/bin/sh\ncd {home} && HOME={home} PATH={folder}/bad:/usr/bin:/bin\n"
        'export HOME PATH; exec sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    server = server_class(folder / "server", login=login)
    with ExitStack() as stack:
        temp = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="eo-")))
        stack.enter_context(patch.dict(os.environ, EDGEOPT_SSH=f"ssh -F {server.config}"))
        stack.enter_context(patch.object(tempfile, "tempdir", str(temp)))
        for module, limits in LIMITS:
            stack.enter_context(patch.multiple(module, **limits))
        server.start()
        stack.callback(server.stop)
        device = stack.enter_context(SshDevice(server.spec))
        assert device.about.work
        yield Hostile(folder, temp, device)


# ---- what a device does, and what meets it


def pull(tool, body):
    def meet(hostile):
        hostile.there()
        hostile.replace(tool, body)
        new = hostile.temp / "new"
        error, seconds = hostile.ends(lambda: hostile.device.pull(PurePosixPath("there"), new))
        assert error.where
        assert not new.exists()
        assert not list(hostile.temp.glob(".new.*"))
        return seconds

    return meet


def push(tool, body):
    def meet(hostile):
        for name in ("local", "before"):
            (hostile.folder / name).mkdir(exist_ok=True)
            (hostile.folder / name / "file").write_bytes(os.urandom(3 << 20))
        place, there = hostile.folder, PurePosixPath("there")
        hostile.device.push(place / "before", there)
        hostile.replace(tool, body)
        _, seconds = hostile.ends(lambda: hostile.device.push(place / "local", there))
        (hostile.bad / tool).unlink()
        hostile.device.push(place / "local", there)
        work = Path(hostile.device.workdir())
        assert (work / "there" / "file").stat().st_size == 3 << 20
        assert [path.name for path in work.iterdir() if ".draft" in path.name] == []
        return seconds

    return meet


def run(tool, body):
    def meet(hostile):
        hostile.replace(tool, body)
        return hostile.ends(lambda: hostile.device.run(["echo", "hello"], timeout_s=1))[1]

    return meet


def about(tool, body):
    def meet(hostile):
        hostile.replace(tool, body)
        with SshDevice(hostile.device._ssh.name) as again:
            return hostile.ends(lambda: again.about)[1]

    return meet


def lock(tool, body):
    def meet(hostile):
        hostile.replace(tool, body)
        return hostile.ends(lambda: hostile.device.hold(0).__enter__())[1]

    return meet


def sends(content):
    def meet(hostile):
        hostile.there()
        hostile.sends(content)
        before = sorted(hostile.folder.iterdir())
        new = hostile.temp / "new"
        _, seconds = hostile.ends(lambda: hostile.device.pull(PurePosixPath("there"), new))
        assert sorted(hostile.folder.iterdir()) == before
        assert not new.exists()
        assert not Path(tempfile.gettempdir(), "a path above").exists()
        return seconds

    return meet


def archive(*members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)) if member.isreg() else None)
    return stream.getvalue()


def member(name, kind=tarfile.REGTYPE, link="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def huge():
    """A header that says so much follows; nothing does."""
    return member("a", size=1 << 40).tobuf(tarfile.GNU_FORMAT)


def sparse():
    """A file of a terabyte, all of it a hole: 1 KB of archive."""
    header = bytearray(member("a", kind=tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    header[386:398] = b"00000000000\0"
    header[483:495] = b"\x80" + (1 << 40).to_bytes(11, "big")
    header[148:156] = b"        "
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + bytes(1024)


ARCHIVES = {
    "a path above": archive(member("../above")),
    "an absolute path": archive(member("/tmp/absolute")),  # noqa: S108
    "a link": archive(member("a", tarfile.SYMTYPE, "/etc"), member("a/b")),
    "a hard link": archive(member("a", tarfile.LNKTYPE, "/etc/passwd")),
    "a pipe": archive(member("a", tarfile.FIFOTYPE)),
    "a huge size": huge(),
    "a terabyte of hole": sparse(),
    "a file twice": archive(member("a"), member("a/b")),
    "a long name": archive(member("x" * 5000)),
    "a chain of long names": archive(member("y" * 200))[:1024] * 2000 + bytes(1024),
    "noise": os.urandom(5000),
}


TOOLS = {
    pull: [
        ("tar", FLOOD), ("tar", MUTE), ("tar", STUBBORN), ("tar", CHATTER), ("tar", FAILING),
        ("tar", NOISE), ("find", MUTE), ("find", CHATTER), ("du", FLOOD), ("du", MUTE),
        ("du", "echo 99999999999999"), ("head", STUBBORN),
    ],
    push: [
        ("tar", FLOOD), ("tar", MUTE), ("tar", STUBBORN), ("tar", CHATTER), ("tar", FAILING),
        ("tar", SILENT), ("mkdir", STUBBORN), ("find", FLOOD), ("sha256sum", MUTE),
        ("mv", FAILING), ("mv", SILENT),
    ],
    run: [("head", FLOOD), ("head", STUBBORN), ("wc", STUBBORN), ("rm", CHATTER)],
    about: [("uname", body) for body in (FLOOD, MUTE, STUBBORN, CHATTER)],
    lock: [("flock", MUTE), ("flock", STUBBORN)],
}  # fmt: skip
BEHAVIOURS = {
    f"{meet.__name__}: {tool} {WORDS.get(body, 'lies')}": meet(tool, body)
    for meet, rows in TOOLS.items()
    for tool, body in rows
} | {f"pull: an archive with {kind}": sends(content) for kind, content in ARCHIVES.items()}
"""Name to a function that meets it: takes a `Hostile`, returns seconds, raises AssertionError."""
