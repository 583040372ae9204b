"""A device that does what it likes: each exchange ends, in time and in size, and so does what it ran."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import time
from pathlib import Path, PurePosixPath

import pytest

from edgeopt.devices import link, remote
from edgeopt.devices.ssh import SshDevice
from edgeopt.errors import DeviceError

pytestmark = pytest.mark.slow

LIMIT_S = 4.0
"""Seconds that a device has in these tests."""
PATIENCE_S = 25.0
"""Within which each exchange is over: the limit, what is added to it, and a slow machine."""
MANY_S = 90_000 + int(os.environ.get("PYTEST_XDIST_TESTRUNUID", "0")[:4], 16)  # this run's own
"""Seconds that a hostile tool sleeps; nobody else does."""

FLOOD = "exec cat /dev/zero"
MUTE = f"exec sleep {MANY_S}"
STUBBORN = f"trap '' HUP PIPE TERM INT; while :; do sleep {MANY_S}; done"
CHATTER = "while :; do head -c 100000 /dev/zero >&2; done"
FAILING = "echo no >&2; exit 3"
SILENT = "exit 0"
NOISE = "head -c 3000000 /dev/urandom"


@pytest.fixture
def tools(ssh_server, tmp_path, monkeypatch):
    """Returns a folder of programs that the device finds before its own, and the device's class."""
    folder = tmp_path / "server"
    folder.mkdir()
    bad = tmp_path / "bad"
    bad.mkdir()
    home = folder / "home"
    login = (
        f"#!/bin/sh\ncd {home} && HOME={home} PATH={bad}:/usr/bin:/bin\n"
        'export HOME PATH; exec sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    server = ssh_server(folder, login=login)
    server.start()
    monkeypatch.setenv("EDGEOPT_SSH", f"ssh -F {server.config}")
    monkeypatch.setattr(link, "QUICK_S", LIMIT_S)
    monkeypatch.setattr(link, "_LATER_S", 1)
    monkeypatch.setattr(link, "MOST_BYTES", 8 << 20)
    monkeypatch.setattr(remote, "MOST_BYTES", 8 << 20)
    monkeypatch.setattr(remote, "LISTING_S", LIMIT_S)
    monkeypatch.setattr(link, "_SLOWEST", 1 << 30)
    with SshDevice(server.spec) as device:
        assert device.about.work  # it answers as long as it is honest
        yield bad, device
    server.stop()


def replace(bad, name, body):
    (bad / name).write_text(f"#!/bin/sh\n{body}\n")
    (bad / name).chmod(0o755)


def running(*words):
    """Returns the command lines with one of these words in them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if any(word in line for word in words):
            found.append(line)
    return found


def ends(exchange, *, gone):
    """Checks that ``exchange`` fails in our words and in time, and that nothing is left running."""
    begun = time.monotonic()
    with pytest.raises(DeviceError) as caught:
        exchange()
    assert time.monotonic() - begun < PATIENCE_S
    deadline = time.monotonic() + PATIENCE_S
    while running(*gone):
        assert time.monotonic() < deadline, running(*gone)
        time.sleep(0.1)
    return caught.value


def space(path="/tmp"):  # noqa: S108 (where temporary files lie)
    return shutil.disk_usage(path).free


PULLS = [
    ("tar", FLOOD),
    ("tar", MUTE),
    ("tar", STUBBORN),
    ("tar", CHATTER),
    ("tar", FAILING),
    ("tar", NOISE),
    ("find", MUTE),
    ("find", CHATTER),
    ("du", FLOOD),
    ("du", MUTE),
    ("du", "echo 99999999999999"),
    ("head", STUBBORN),
]


@pytest.mark.parametrize(("tool", "body"), PULLS)
def test_pull_ends(tools, tmp_path, tool, body):
    bad, device = tools
    there = Path(device.workdir()) / "there"
    there.mkdir()
    (there / "file").write_text("content")
    replace(bad, tool, body)
    free = space()
    error = ends(
        lambda: device.pull(PurePosixPath("there"), tmp_path / "new"),
        gone=(str(MANY_S), "/dev/zero", f"{bad}/"),
    )
    assert error.where
    assert free - space() < 200 << 20
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".new.*"))


PUSHES = [
    ("tar", FLOOD),
    ("tar", MUTE),
    ("tar", STUBBORN),
    ("tar", CHATTER),
    ("tar", FAILING),
    ("tar", SILENT),
    ("mkdir", STUBBORN),
    ("find", FLOOD),
    ("sha256sum", MUTE),
    ("mv", FAILING),
    ("mv", SILENT),
]


@pytest.mark.parametrize(("tool", "body"), PUSHES)
def test_push_ends(tools, tmp_path, tool, body):
    bad, device = tools
    for name in ("local", "before"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(os.urandom(3 << 20))
    device.push(tmp_path / "before", PurePosixPath("there"))
    replace(bad, tool, body)
    ends(
        lambda: device.push(tmp_path / "local", PurePosixPath("there")),
        gone=(str(MANY_S), "/dev/zero", f"{bad}/"),
    )
    (bad / tool).unlink()
    device.push(tmp_path / "local", PurePosixPath("there"))
    assert (Path(device.workdir()) / "there" / "file").stat().st_size == 3 << 20
    left = [path.name for path in Path(device.workdir()).iterdir() if ".draft" in path.name]
    assert left == []


@pytest.mark.parametrize(
    ("tool", "body"), [("head", FLOOD), ("head", STUBBORN), ("wc", STUBBORN), ("rm", CHATTER)]
)
def test_run_ends(tools, monkeypatch, tool, body):
    bad, device = tools
    monkeypatch.setattr(remote, "_GRACE_S", LIMIT_S)
    monkeypatch.setattr(remote, "MAX_OUTPUT", 4 << 20)
    replace(bad, tool, body)
    ends(
        lambda: device.run(["echo", "hello"], timeout_s=1),
        gone=(str(MANY_S), "/dev/zero", f"{bad}/"),
    )


@pytest.mark.parametrize("body", [FLOOD, MUTE, STUBBORN, CHATTER])
def test_asking_what_it_is_ends(tools, body):
    bad, device = tools
    replace(bad, "uname", body)
    with SshDevice(device._ssh.name) as again:
        ends(lambda: again.about, gone=(str(MANY_S), "/dev/zero", f"{bad}/"))


@pytest.mark.parametrize("body", [MUTE, STUBBORN])
def test_a_lock_that_never_comes(tools, body):
    bad, device = tools
    replace(bad, "flock", body)
    ends(lambda: device.hold(0).__enter__(), gone=())


def sent(bad, content):
    """Makes the device's tar send ``content``."""
    (bad / "content").write_bytes(content)
    replace(bad, "tar", f"exec cat {bad}/content")


def archive(*members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as parcel:
        for member in members:
            parcel.addfile(member, io.BytesIO(bytes(member.size)) if member.isreg() else None)
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
    "above": archive(member("../above")),
    "absolute": archive(member("/tmp/absolute")),  # noqa: S108
    "link": archive(member("a", tarfile.SYMTYPE, "/etc"), member("a/b")),
    "hard link": archive(member("a", tarfile.LNKTYPE, "/etc/passwd")),
    "pipe": archive(member("a", tarfile.FIFOTYPE)),
    "huge": huge(),
    "sparse": sparse(),
    "twice": archive(member("a"), member("a/b")),
    "long name": archive(member("x" * 5000)),
    "a chain of long names": archive(member("y" * 200))[:1024] * 2000 + bytes(1024),
    "noise": os.urandom(5000),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_what_an_archive_may_not_hold(tools, tmp_path, kind):
    bad, device = tools
    (Path(device.workdir()) / "there").mkdir()
    sent(bad, ARCHIVES[kind])
    free = space()
    ends(lambda: device.pull(PurePosixPath("there"), tmp_path / "new"), gone=(f"{bad}/",))
    assert free - space() < 200 << 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "server"]


def test_options_of_the_user_do_not_turn_off_the_check_of_host_keys(tools, monkeypatch, tmp_path):
    _, device = tools
    config = os.environ["EDGEOPT_SSH"]
    (tmp_path / "nobody").write_text("")
    off = f"-o StrictHostKeyChecking=no -o UserKnownHostsFile={tmp_path}/nobody -o BatchMode=no"
    for words in (f"{config} {off}", f"{config} {off} -o StrictHostKeyChecking=accept-new"):
        monkeypatch.setenv("EDGEOPT_SSH", words)
        with SshDevice(device._ssh.name) as again, pytest.raises(DeviceError, match="host key"):
            again.about  # noqa: B018 (it connects)
    assert (tmp_path / "nobody").read_text() == ""


def test_a_command_that_is_none_is_said(tools, monkeypatch):
    _, device = tools
    monkeypatch.setenv("EDGEOPT_SSH", "ssh -F 'file")
    with SshDevice(device._ssh.name) as again, pytest.raises(DeviceError, match="no command"):
        again.about  # noqa: B018 (it connects)
