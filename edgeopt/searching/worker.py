"""Which process works on a trial, so that one that was killed here is known to be gone at once.

Optuna's heartbeat tells it of any machine, but only after its grace. A process is known by more than
its number: numbers are given again, after a restart and within one, and each container has its own.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

__all__ = ["Worker", "this_worker"]

_STARTED = 19
"""Which of the words behind the command in ``/proc/PID/stat`` is the start, in ticks since the boot."""


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A process that works on a trial.

    Attributes:
        trial: Number of that trial; a repetition takes over the notes of the first, and this one with
            them.
        machine: Boot of the machine, and the namespace that the number is of.
        process: Its number.
        started: When it started, in ticks since the boot.
    """

    trial: int
    machine: str
    process: int
    started: int

    def is_gone(self, trial: int) -> bool:
        """Returns whether it worked on ``trial``, on this machine, and has ended; False where unsure."""
        if self.trial != trial or not self.machine or self.machine != _machine():
            return False
        return _started(self.process) != self.started


def this_worker(trial: int) -> Worker | None:
    """Returns this process; None where the system does not tell such things (it is not Linux)."""
    machine, process = _machine(), os.getpid()
    started = _started(process)
    if not machine or started < 0:
        return None
    return Worker(trial=trial, machine=machine, process=process, started=started)


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 (it names no path)
    except (OSError, ValueError):
        return ""
    return f"{boot} {namespace}" if boot and namespace else ""


def _started(process: int) -> int:
    """Returns when ``process`` started; -1 where there is none, or one that only waits to be reaped."""
    try:
        line = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return -1
    words = line.rpartition(b")")[2].split()  # the command may hold blanks and brackets
    return -1 if words[0] in (b"Z", b"X") else int(words[_STARTED])
