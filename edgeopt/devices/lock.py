"""Keeps two measurements off one device.

The lock is the system's own (filelock) on a file that all users of a machine share, so what a process
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
from edgeopt.files import Busy, locked

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    method = getattr(device, "hold", None)
    mine = _mine.__dict__.setdefault("devices", [])
    if method is None or device in mine:  # a measurement of several parts holds it once
        yield
        return
    with method(wait_s):
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
    path = (folder or _place()) / NAME
    try:
        with locked(path, wait_s=wait_s, mode=0o666):
            with suppress(
                OSError
            ):  # another user's file cannot be written; it is held all the same
                path.write_text(owner(), encoding="utf-8")
            yield
    except Busy as error:
        raise _busy(name, _holder(path), wait_s) from error
    except InputError as error:
        raise DeviceError(f"the lock's file {error.what}", where=f"{name}: {path}") from error


@contextmanager
def hold_remote(link: Link, wait_s: float) -> Iterator[None]:
    """Holds the device behind ``link``.

    Raises:
        DeviceError: Another measurement holds it for longer, or the device was lost.
    """
    script = _script()
    deadline = time.monotonic() + wait_s
    while True:
        with hold(link, script) as answer:
            if answer is None:
                yield
                return
        if answer.word != "busy":
            raise DeviceError(f"cannot be locked: {answer.reason}", where=link.name)
        if time.monotonic() > deadline:
            raise _busy(link.name, answer.stdout.decode("utf-8", "replace"), wait_s)
        time.sleep(_PAUSE_S)


def owner() -> str:
    """Returns who this process is, as one line."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "?"
    facts = {"user": user, "host": socket.gethostname(), "pid": os.getpid()}
    return json.dumps({**facts, "since": time.strftime("%Y-%m-%d %H:%M:%S %z")}) + "\n"


def _holder(path: Path) -> str:
    """Returns what the file says of who holds it."""
    try:
        with path.open("rb") as stream:
            return stream.read(1000).decode("utf-8", "replace")
    except OSError:
        return ""


def _busy(name: str, holder: str, wait_s: float) -> DeviceError:
    try:
        facts = decode_json(holder, dict[str, Any], where=name)
        who = f"{facts['user']}@{facts['host']}, process {facts['pid']}, since {facts['since']}"
    except (InputError, KeyError):
        who = "somebody"
    what = f"another measurement runs there: {who} (waited {wait_s:g} s)"
    return DeviceError(what, where=name, hint="try again when it is over, or end it")


def _place() -> Path:
    folders = (Path(one) for one in PLACES if os.access(one, os.W_OK))
    return next(folders, Path.home())


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
