"""Who works on a trial, and whether they still do."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["GRACE_S", "alive", "beating", "myself"]

BEAT_S = 20.0
GRACE_S = 300.0
"""A worker on another machine that has said nothing for so long is given up. Clocks of machines that
share a study may differ by less."""


def myself() -> dict[str, Any]:
    """Returns what tells this process from all others, and the time."""
    pid = os.getpid()
    return {"host": _host(), "pid": pid, "started": _started(pid), "beat": time.time()}


def alive(worker: Mapping[str, Any]) -> bool:
    """Returns whether the process that `myself` described still works, as far as can be seen.

    Of a process on this machine the system says so at once; another has to give a sign of life.
    """
    if worker.get("host") == _host() and sys.platform != "win32":
        pid = int(worker.get("pid", 0))
        return _runs(pid) and worker.get("started") == _started(pid)
    return time.time() - float(worker.get("beat", 0.0)) < GRACE_S


@contextmanager
def beating(tell: Callable[[dict[str, Any]], None], *, every_s: float = BEAT_S) -> Iterator[None]:
    """Tells ``tell`` of `myself` again and again, on a thread, until the block ends."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(every_s):
            with suppress(Exception):  # a lost sign of life is no reason to end the work
                tell(myself())

    thread = threading.Thread(target=beat, daemon=True, name="edgeopt-search-beat")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _host() -> str:
    """Returns this machine, booted once, and its set of process numbers: containers have others."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 (no path: a name)
    return "/".join(parts)


def _started(pid: int) -> str:
    """Returns when a process started, in the system's own count; empty where that is not known."""
    with suppress(OSError, IndexError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return text.rpartition(")")[2].split()[19]
    return ""


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True
