"""Keeps two measurements off one device.

The lock is the system's own (``flock``) on a file that all users of a machine share, so what a process
held is free when it ends, however it ends: no lock is ever stale. Of a device behind a shell, a script
there holds it for as long as the connection lives. The file says who holds it.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.boundary import decode_json
from edgeopt.devices.link import hold
from edgeopt.devices.shell import quote
from edgeopt.errors import DeviceError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgeopt.devices.link import Link

__all__ = ["hold_machine", "hold_remote", "measuring"]

PLACES = ("/run/lock", "/tmp", "/data/local/tmp")  # noqa: S108 (the file must be shared)
NAME = "edgeopt-measuring.lock"
WAIT_S = 900.0
_PAUSE_S = 0.5
_mine = threading.local()  # what this thread holds


@contextmanager
def measuring(device: Any, *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Holds back other measurements on ``device`` until the block ends.

    A device without a method ``hold`` is not locked: nobody measures times on an emulated one.

    Args:
        device: The device.
        wait_s: How long to wait for another measurement there.

    Raises:
        DeviceError: Another one took longer; says whose it is.
    """
    held = getattr(device, "hold", None)
    mine = _mine.__dict__.setdefault("devices", [])
    if held is None or device in mine:  # a measurement of several parts holds it once
        yield
        return
    with held(wait_s):
        mine.append(device)
        try:
            yield
        finally:
            mine.remove(device)


@contextmanager
def hold_machine(name: str, wait_s: float, folder: Path | None = None) -> Iterator[None]:
    """Holds this machine.

    Args:
        name: What to call it in an error.
        wait_s: How long to wait for it.
        folder: Where the file is.

    Raises:
        DeviceError: Another process holds it for longer.
    """
    import fcntl  # noqa: PLC0415 (not on Windows)

    handle = _open(folder or _place(), name)
    try:

        def attempt() -> str | None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return os.pread(handle, 1000, 0).decode("utf-8", "replace") or "?"
            return None

        _until(attempt, name, wait_s)
        with suppress(OSError):  # another user's file cannot be written, and is held all the same
            os.ftruncate(handle, 0)
            os.pwrite(handle, owner().encode(), 0)
        yield
    finally:
        os.close(handle)


@contextmanager
def hold_remote(link: Link, wait_s: float) -> Iterator[None]:
    """Holds the device behind ``link``.

    Raises:
        DeviceError: Another measurement holds it for longer, or the device was lost.
    """
    script = _script()
    deadline = time.monotonic() + wait_s
    while True:
        with hold(link, script) as said:
            if said is None:
                yield
                return
        if said.word != "busy":
            raise DeviceError(f"cannot be locked: {said.reason}", where=link.name)
        if time.monotonic() > deadline:
            raise _busy(link.name, said.stdout.decode("utf-8", "replace"), wait_s)
        time.sleep(_PAUSE_S)


def owner() -> str:
    """Returns who this process is, as one line."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "?"
    facts = {"user": user, "host": socket.gethostname(), "pid": os.getpid()}
    return json.dumps({**facts, "since": time.strftime("%Y-%m-%d %H:%M:%S %z")}) + "\n"


def _until(attempt: Callable[[], str | None], name: str, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while (holder := attempt()) is not None:
        if time.monotonic() > deadline:
            raise _busy(name, holder, wait_s)
        time.sleep(_PAUSE_S)


def _busy(name: str, holder: str, wait_s: float) -> DeviceError:
    try:
        facts = decode_json(holder, dict[str, Any], where=name)
        who = f"{facts['user']}@{facts['host']}, process {facts['pid']}, since {facts['since']}"
    except (InputError, KeyError):
        who = "somebody"
    what = f"another measurement runs there: {who} (waited {wait_s:g} s)"
    return DeviceError(what, where=name, hint="try again when it is over, or end it")


def _place() -> Path:
    found = (Path(one) for one in PLACES if os.access(one, os.W_OK))
    return next(found, Path.home())


def _open(folder: Path, name: str) -> int:
    """Returns the open file; one of another user, who made it first, will do."""
    path = folder / NAME
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    for way in (os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with suppress(OSError):
            handle = os.open(path, flags | way, 0o666)
            with suppress(OSError):  # only its owner may
                os.fchmod(handle, 0o666)
            return handle
    raise DeviceError("the lock's file cannot be made", where=f"{name}: {path}")


def _script() -> str:
    """Returns the script that holds the device until its input ends.

    It says ``held`` when it does, or ends with ``busy`` and says who holds it. Without ``flock`` a
    folder is the lock; one whose process or boot is gone is stale, and is taken over.
    """
    return f"""
me={quote(owner().strip())}
for d in {" ".join(PLACES)}; do [ -w "$d" ] && break; done
f="$d/{NAME}"
[ -h "$f" ] && end failed 1
umask 0
[ -e "$f" ] || : >>"$f" || end failed 1
trap '' HUP PIPE
if command -v flock >/dev/null; then
  exec 9<"$f" || end failed 1
  flock -n 9 || {{ cat "$f"; end busy 0; }}
else
  boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
  if ! mkdir "$f.d" 2>/dev/null; then
    read -r pid was <"$f.d/pid"
    [ "$was" = "$boot" ] && kill -0 "$pid" 2>/dev/null && {{ cat "$f"; end busy 0; }}
    rm -rf "$f.d"; mkdir "$f.d" || end failed 1
  fi
  echo "$$ $boot" >"$f.d/pid"
fi
{{ echo "$me" >"$f"; }} 2>/dev/null
echo held
cat >/dev/null
rm -rf "$f.d"
end free 0
"""
