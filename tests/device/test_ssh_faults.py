"""What goes wrong with a device behind SSH, each made to happen."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path, PurePosixPath

import msgspec
import pytest

from edgeopt.bundles import write_bundle
from edgeopt.devices.lock import measuring
from edgeopt.devices.remote import RemoteDevice
from edgeopt.devices.ssh import SshDevice
from edgeopt.errors import DeviceError
from edgeopt.measure import PlacedBundle, profile_bundle
from edgeopt.registry import find_target
from edgeopt.testing.toy import TOY_RUNTIME, toy_artifact, toy_golden, toy_runtime, toy_target

pytestmark = pytest.mark.slow

BIG = 400 << 20
TICKING = """
import os, time
name = "child" if os.fork() == 0 else "parent"
while True:
    with open(name, "a") as stream:
        stream.write(".")
    time.sleep(0.02)
"""


@pytest.fixture
def device(sshd):
    with SshDevice(sshd.spec) as device:
        yield device


@pytest.fixture
def big(tmp_path):
    """Returns a folder with a file that takes a while to travel, and a small one."""
    folder = tmp_path / "big"
    folder.mkdir()
    with (folder / "a.bin").open("wb") as stream:
        stream.truncate(BIG)
    (folder / "b").write_text("small")
    return folder


@pytest.fixture
def bundle(tmp_path):
    return toy_bundle(tmp_path / "toy")


def toy_bundle(path, target=None, **parts):
    artifact = toy_artifact(target=(target or toy_target()).name)
    golden = toy_golden(artifact)
    runtime = parts.pop("runtime", None) or toy_runtime()
    return write_bundle(artifact, runtime, target or toy_target(), path=path, golden=golden)


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.01)


def ended(thread):
    """Waits for a thread, and not for ever."""
    thread.join(120)
    assert not thread.is_alive()


def in_thread(function):
    """Starts ``function``; returns what waits for its DeviceError."""
    caught = []

    def guarded():
        try:
            function()
        except DeviceError as error:
            caught.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()

    def wait():
        thread.join(60)
        assert not thread.is_alive()
        assert caught, "no error"
        return caught[0]

    return wait


def everything(folder):
    """Returns what is in ``folder``; a folder that goes while it is looked at is looked at again."""
    for _ in range(100):
        with contextlib.suppress(FileNotFoundError):
            return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))
    raise AssertionError(f"{folder} never comes to rest")


# --- a connection that is lost -------------------------------------------------------------------


def test_lost_during_push_leaves_nothing_and_the_next_one_works(device, sshd, big):
    place = Path(device.workdir()) / "lost-push"
    wait = in_thread(lambda: device.push(big, PurePosixPath("lost-push/big")))
    until(lambda: place.is_dir() and any(p.stat().st_size for p in place.rglob("a.bin")))
    assert sshd.cut() > 0
    assert "connection was lost" in str(wait())
    until(lambda: everything(place) == [])
    device.push(big, PurePosixPath("lost-push/big"))
    assert everything(place) == ["big", "big/a.bin", "big/b"]


def test_lost_during_push_keeps_what_was_there(device, sshd, big, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "only").write_text("old")
    device.push(tmp_path / "old", PurePosixPath("lost-again/x"))
    place = Path(device.workdir()) / "lost-again"
    wait = in_thread(lambda: device.push(big, PurePosixPath("lost-again/x")))
    until(lambda: any(p.stat().st_size for p in place.rglob("a.bin")))
    sshd.cut()
    wait()
    until(lambda: everything(place) == ["x", "x/only"])


def test_lost_during_run_ends_the_program_there(device, sshd):
    place = Path(device.workdir()) / "ticking"
    place.mkdir()
    wait = in_thread(lambda: device.run(["python3", "-c", TICKING], cwd=PurePosixPath("ticking")))
    until(lambda: (place / "child").exists() and (place / "parent").exists())
    sshd.cut()
    assert "connection was lost" in str(wait())

    def still():
        sizes = [(place / name).stat().st_size for name in ("parent", "child")]
        time.sleep(0.3)
        return sizes == [(place / name).stat().st_size for name in ("parent", "child")]

    until(still)
    until(lambda: list((Path(device.workdir()) / "jobs").iterdir()) == [])
    assert device.run(["python3", "-c", "print(1)"]).stdout == "1\n"


def test_lost_during_pull_leaves_nothing(device, sshd, big, tmp_path, monkeypatch):
    device.push(big, PurePosixPath("to-pull"))
    sizes = []
    monkeypatch.setattr(device, "_room_for", lambda _: 1 << 30)  # asks for nothing on the way
    monkeypatch.setattr("edgeopt.devices.link._started", _watched(sizes, sshd))
    with pytest.raises(DeviceError, match="connection was lost"):
        device.pull(PurePosixPath("to-pull"), tmp_path / "back" / "here")
    assert sizes
    assert not (tmp_path / "back").exists() or everything(tmp_path / "back") == []
    monkeypatch.undo()


def _watched(sizes, sshd):
    """Returns `link._started`, but the connection is cut once some of the output is there."""
    from contextlib import contextmanager

    from edgeopt.devices import link

    real = link._started

    @contextmanager
    def started(way, argv, streams):
        with real(way, argv, streams) as process:

            def cut():
                until(lambda: os.fstat(streams[0].fileno()).st_size > 1 << 20)
                sizes.append(sshd.cut())

            thread = threading.Thread(target=cut, daemon=True)
            thread.start()
            yield process
            ended(thread)

    return started


def test_a_host_process_that_is_killed_takes_its_program_with_it(device, sshd):
    place = Path(device.workdir()) / "orphans"
    place.mkdir()
    code = (
        "import sys; from pathlib import PurePosixPath\n"
        "from edgeopt.devices.ssh import SshDevice\n"
        "SshDevice(sys.argv[1]).run(['python3', '-c', sys.argv[2]], cwd=PurePosixPath('orphans'))"
    )
    with subprocess.Popen([sys.executable, "-c", code, sshd.spec, TICKING]) as process:
        until((place / "child").exists)
        process.kill()
    sizes = [-1]

    def is_still():
        time.sleep(0.5)
        sizes.append((place / "child").stat().st_size)
        return sizes[-1] == sizes[-2]

    until(is_still, 60)


def test_a_server_that_went_away_and_came_back(device, sshd):
    assert device.run(["python3", "-c", "print(1)"]).stdout == "1\n"
    sshd.stop()
    with pytest.raises(DeviceError, match="refuses the connection"):
        device.run(["python3", "-c", "print(1)"])
    sshd.start()
    assert device.run(["python3", "-c", "print(1)"]).stdout == "1\n"


# --- keys ----------------------------------------------------------------------------------------


def test_a_changed_host_key_is_refused(sshd):
    sshd.stop()
    sshd.make_key("host")
    sshd.start()
    before = (sshd.folder / "known").read_text()
    with SshDevice(sshd.spec) as device, pytest.raises(DeviceError, match="has changed") as caught:
        device.workdir()
    assert f"ssh-keygen -f '{sshd.folder}/known' -R '[127.0.0.1]:{sshd.port}'" in caught.value.hint
    assert (sshd.folder / "known").read_text() == before
    sshd.trust()


def test_an_unknown_host_key_is_not_accepted(sshd):
    (sshd.folder / "known").write_text("")
    with SshDevice(sshd.spec) as device, pytest.raises(DeviceError, match="not known") as caught:
        device.workdir()
    assert f"ssh -p {sshd.port} " in caught.value.hint
    assert (sshd.folder / "known").read_text() == ""
    sshd.trust()


def test_a_user_who_is_not_let_in(sshd, monkeypatch, tmp_path):
    text = sshd.config.read_text().replace(f"{sshd.folder}/user", f"{tmp_path}/none")
    (tmp_path / "config").write_text(text)
    monkeypatch.setenv("EDGEOPT_SSH", f"ssh -F {tmp_path}/config")
    with (
        SshDevice(sshd.spec) as device,
        pytest.raises(DeviceError, match="not let this user in") as c,
    ):
        device.workdir()
    assert "ssh-copy-id" in c.value.hint


def test_nobody_at_home(monkeypatch):
    monkeypatch.setenv("EDGEOPT_SSH", "ssh -F none")
    for spec, says in (
        ("ssh://127.0.0.1:1", "refuses"),
        ("ssh://no-such-host.invalid", "name is not known"),
    ):
        with SshDevice(spec) as device, pytest.raises(DeviceError, match=says) as caught:
            device.workdir()
        assert caught.value.where == spec


def test_no_ssh_says_what_to_type(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEOPT_SSH", str(tmp_path / "nothing"))
    with SshDevice("ssh://host") as device, pytest.raises(DeviceError, match="openssh-client"):
        device.workdir()


# --- what does not fit ---------------------------------------------------------------------------


def test_another_processor_is_named_before_anything_is_copied(device, tmp_path):
    bundle = toy_bundle(tmp_path / "arm", find_target("generic-armv7"))
    before = everything(Path(device.workdir()))
    with pytest.raises(DeviceError, match="generic-armv7, which is armv7") as caught:
        profile_bundle(bundle, device)
    assert f"an {device.arch} machine" in str(caught.value)
    assert everything(Path(device.workdir())) == before


@pytest.fixture
def small_disk(tmp_path):
    """Yields a folder with room for 2 MiB; skips where none can be made."""
    place = tmp_path / "small disk"
    place.mkdir()
    command = ["/usr/bin/mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    done = subprocess.run(command, check=False, capture_output=True, timeout=30)
    if done.returncode != 0:
        pytest.skip("NOT TESTED: a full disk (this needs the right to mount one)")
    yield place
    subprocess.run(["/usr/bin/umount", str(place)], check=True, timeout=30)


@pytest.mark.parametrize("asked", [True, False])
def test_a_full_disk(device, small_disk, tmp_path, monkeypatch, asked):
    if not asked:  # it fills up after it was asked
        monkeypatch.setattr(RemoteDevice, "_check_room", lambda *_: None)
    (tmp_path / "file").write_bytes(os.urandom(4 << 20))
    with pytest.raises(DeviceError) as caught:
        device.push(tmp_path / "file", PurePosixPath(small_disk) / "file")
    assert ("not enough room" if asked else "no room is left") in str(caught.value)
    assert caught.value.hint
    assert everything(small_disk) == []


FALLS = "\n        print('about to fall', file=sys.stderr, flush=True); ctypes.string_at(0)\n"
CRASHING = TOY_RUNTIME.replace("import json", "import ctypes, json, sys", 1).replace(
    "*others):\n", f"*others):{FALLS}", 1
)


def test_a_runtime_that_crashes(device, tmp_path):
    bundle = toy_bundle(
        tmp_path / "bad", runtime=msgspec.structs.replace(toy_runtime(), runner=CRASHING)
    )
    with pytest.raises(DeviceError, match=r"signal 11 \(SIGSEGV\): .*about to fall"):
        PlacedBundle.push(bundle, device).profile(runs=3)


def test_a_run_that_hangs_is_ended_there(device):
    with pytest.raises(DeviceError, match="ran longer than 1 s") as caught:
        device.run(["sh", "-c", "echo last words >&2; sleep 1000"], timeout_s=1)
    assert "last words" in caught.value.hint
    assert list((Path(device.workdir()) / "jobs").iterdir()) == []


def test_a_clock_that_jumps(device, bundle, monkeypatch):
    now = [1e9]

    def jumping():
        now[0] -= 1000
        return now[0]

    monkeypatch.setattr(time, "time", jumping)
    done = device.run(["sleep", "0.2"], timeout_s=20)
    assert 0.2 <= done.wall_s < 15
    assert profile_bundle(bundle, device, runs=3).latency_ms > 0


# --- names, users, and what is already there -----------------------------------------------------


def test_a_folder_with_spaces_and_shell_characters(sshd, bundle, tmp_path):
    name = "two  words; $(touch owned) `touch owned` 'x\" *?[a] & ü"
    with SshDevice(f"{sshd.spec}{tmp_path}/{name}") as device:
        profile = profile_bundle(bundle, device, runs=3)
        assert profile.digest == bundle.digest
        assert profile.device == device.name
    assert not [p for p in everything(tmp_path) if p.endswith("owned")]
    assert (tmp_path / name / "bundles").is_dir()
    assert not list(sshd.home.glob("owned"))


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh", "csh", "fish"])
def test_any_login_shell(ssh_server, tmp_path_factory, monkeypatch, shell):
    if shutil.which(shell.split()[0]) is None:
        pytest.skip(f"NOT TESTED: {shell} is not installed")
    folder = tmp_path_factory.mktemp("shell")
    home = folder / "home"
    login = (
        f'#!/bin/sh\ncd {home}; HOME={home}; export HOME\nexec {shell} -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    server = ssh_server(folder, login=login)
    monkeypatch.setenv("EDGEOPT_SSH", f"ssh -F {server.config}")
    server.start()
    try:
        with SshDevice(server.spec) as device:
            words = ["it's", "$(x)", "a\\b", "!!", "\n", "*", "ü"]
            assert device.run(["printf", "%s|", *words]).stdout == "|".join(words) + "|"
    finally:
        server.stop()


def test_only_what_changed_travels(device, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("one", "two", "three $x"):
        (folder / name).write_bytes(os.urandom(1000))
    place = Path(device.workdir()) / "changes"
    device.push(folder, PurePosixPath("changes"))
    before = {p.name: p.stat() for p in place.iterdir()}
    device.push(folder, PurePosixPath("changes"))
    assert {p.name: p.stat().st_ctime_ns for p in place.iterdir()} == {
        name: state.st_ctime_ns for name, state in before.items()
    }
    (folder / "two").write_bytes(b"new")
    (folder / "one").chmod(0o755)
    device.push(folder, PurePosixPath("changes"))
    after = {p.name: p.stat() for p in place.iterdir()}
    assert after["three $x"].st_ino == before["three $x"].st_ino
    assert after["two"].st_size == 3
    assert after["one"].st_mode & 0o111


def test_what_was_damaged_there_is_mended(device, bundle):
    placed = PlacedBundle.push(bundle, device)
    (file,) = (Path(device.workdir()) / "bundles" / bundle.digest[:16]).glob("runtime.py")
    file.write_bytes(file.read_bytes()[:-1] + b"#")
    assert not placed.verify().ok
    assert PlacedBundle.push(bundle, device).verify().ok


def test_two_users_push_the_same_at_once(sshd, bundle, tmp_path):
    failures = []

    def push():
        try:
            with SshDevice(sshd.spec) as device:
                for n in range(4):
                    device.push(tmp_path / f"v{n % 2}", PurePosixPath("both"))
        except DeviceError as error:
            failures.append(error)

    for n in range(2):
        (tmp_path / f"v{n}").mkdir()
        (tmp_path / f"v{n}" / "file").write_text(str(n))
    threads = [threading.Thread(target=push, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        ended(thread)
    place = sshd.home / ".cache/edgeopt-device/both"
    assert failures == []
    assert everything(place) == ["file"]
    assert not list(place.parent.glob(".both.*"))


def test_two_users_measure_in_turn(sshd, monkeypatch):
    with SshDevice(sshd.spec) as one, SshDevice(sshd.spec) as two:
        with measuring(one), pytest.raises(DeviceError, match=f"process {os.getpid()}"):
            two.hold(0).__enter__()
        with measuring(two):
            pass
        holding = one.hold(0)
        holding.__enter__()
        assert sshd.cut() > 0  # whoever loses the connection loses the device
        with measuring(two, wait_s=20):
            pass
        holding.__exit__(None, None, None)


def test_what_a_killed_push_left_is_removed(device, tmp_path):
    (tmp_path / "file").write_text("x")
    place = Path(device.workdir()) / "left"
    with subprocess.Popen(["/usr/bin/true"]) as gone:
        pass
    draft = place / f".file.0000.{gone.pid}.draft"
    draft.mkdir(parents=True)
    mine = place / f".file.0000.{os.getpid()}.draft"  # one that is still at work
    mine.mkdir()
    device.push(tmp_path / "file", PurePosixPath("left/file"))
    assert everything(place) == [mine.name, "file"]


def test_what_a_killed_process_left_of_its_connection_is_removed(sshd):
    with subprocess.Popen(["/usr/bin/true"]) as gone:
        pass
    left = Path(f"/tmp/eo-{gone.pid}-left")  # noqa: S108 (where they are)
    mine = Path(f"/tmp/eo-{os.getpid()}-left")  # noqa: S108
    left.mkdir()
    mine.mkdir()
    with SshDevice(sshd.spec) as device:
        device.workdir()
    assert not left.exists()
    assert mine.exists()
    mine.rmdir()


def test_nothing_is_left_running(device, sshd):
    device.run(["sh", "-c", "sleep 7771 & sleep 7772 & exit 3"], timeout_s=100)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = [line for line in _commands() if "sleep 777" in line]
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(left)


def _commands():
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                )
            except OSError:
                continue
