"""The process that builds and measures: started, asked, and ended when it crashes or hangs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any, Self

from edgeopt.errors import CompileError

if TYPE_CHECKING:
    from edgeopt.options import TuneOptions
    from edgeopt_tvm.machine import Machine
    from edgeopt_tvm.tuning.remote import Place
    from edgeopt_tvm.tuning.tasks import Task
    from edgeopt_tvm.tuning.templates import Templates

__all__ = ["MeasurementWorker"]

START_S = 120.0
"""Seconds that importing the toolchain may take on a busy machine."""

_LAST_WORDS = 400
_LAST_S = 5.0


class MeasurementWorker:
    """One process that measures kernels of one machine. A context manager that ends it.

    A request never raises for what a candidate does: a process that dies or takes too long is one
    answer, ``crashed`` or ``hung``, and the next request gets a new process.

    Args:
        machine: What code is made for.
        templates: What candidates are made from.
        options: Limits.
        place: The device that kernels run on; this machine where None.
    """

    def __init__(
        self,
        machine: Machine,
        templates: Templates,
        options: TuneOptions,
        place: Place | None = None,
    ) -> None:
        self._place = place
        self._machine = machine
        self._templates = templates
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._pending = b""
        self._open: set[str] = set()
        self.restarts = -1

    def open(self, task: Task) -> dict[str, Any]:
        """Returns what is known of the kernel of ``task``: its candidates and the default's time."""
        request = {"do": "open", "task": task.key.workload, "function": task.text}
        answer = self._ask({**request, "outputs": task.outputs})
        if answer["status"] == "ok":
            self._open.add(task.key.workload)
        return answer

    def attempt(self, task: Task, config: dict[str, Any], best: str) -> dict[str, Any]:
        """Returns what came of one candidate: ``status``, and ``seconds``, ``gain``, ``detail``."""
        return self._ask_of(task, {"do": "try", "config": config, "best": best})

    def confirm(self, task: Task, configs: list[dict[str, Any]]) -> dict[str, Any]:
        """Returns ``found``: ``status``, ``gain`` and ``seconds`` of each, measured again."""
        return self._ask_of(task, {"do": "confirm", "configs": configs})

    def _ask_of(self, task: Task, request: dict[str, Any]) -> dict[str, Any]:
        name = task.key.workload
        for _ in range(2):
            if name not in self._open or self._process is None:
                opened = self.open(task)
                if opened["status"] != "ok":
                    return opened
            answer = self._ask({**request, "task": name})
            if answer["status"] != "closed":  # else it made room for others
                break
            self._open.discard(name)
        return answer

    def close(self) -> None:
        """Ends the process. A second call does nothing."""
        process, self._process = self._process, None
        self._open.clear()
        self._pending = b""
        if process is not None:
            _end(process)
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._process is None:
            self._start()
        process = self._process
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            line = self._line(self._options.limit_s)
        except BrokenPipeError:
            line = b""
        if line is None:
            self.close()
            limit = f"{self._options.limit_s:g} s"
            return {"status": "hung", "detail": f"it took longer than {limit} and was ended"}
        if not line:
            detail = self._last_words()
            self.close()
            return {"status": "crashed", "detail": detail}
        return dict(json.loads(line))

    def _start(self) -> None:
        setup = {
            "machine": asdict(self._machine),
            "templates": self._templates.module,
            "paths": list(self._templates.paths),
            "memory_mb": self._options.memory_mb,
            "limit_s": self._options.limit_s,
            "place": None if self._place is None else asdict(self._place),
            "parent": os.getpid(),
        }
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edgeopt_tvm.tuning.worker", json.dumps(setup)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # an interrupt is for us
            env={**os.environ, "TVM_NUM_THREADS": str(self._machine.cores)},
        )
        self.restarts += 1
        if not self._line(START_S):
            words = self._last_words()
            self.close()
            raise CompileError(f"the measuring process did not start: {words}", where="tuning")

    def _line(self, limit_s: float) -> bytes | None:
        """Returns the next line; empty where the process has ended, None where time is up."""
        pipe = self._process.stdout.fileno()  # type: ignore[union-attr]
        end = time.monotonic() + limit_s
        while b"\n" not in self._pending:
            seconds = end - time.monotonic()
            if seconds <= 0 or not select.select([pipe], [], [], seconds)[0]:
                return None
            piece = os.read(pipe, 1 << 16)
            if not piece:
                return b""
            self._pending += piece
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _last_words(self) -> str:
        _await(self._process, _LAST_S)  # type: ignore[arg-type]
        code = _end(self._process)  # type: ignore[arg-type]
        how = f"signal {-code}" if code < 0 else f"status {code}"
        self._errors.seek(0)  # type: ignore[union-attr]
        message = self._errors.read()[-_LAST_WORDS:].decode("utf-8", "replace").strip()  # type: ignore[union-attr]
        return f"the process ended with {how}{': ' + message if message else ''}"


def _await(process: subprocess.Popen[bytes], limit_s: float) -> None:
    """Waits until ``process`` has ended, and does not reap it: its number stays its own."""
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: not Linux
        handle = os.pidfd_open(process.pid)
        try:
            select.select([handle], [], [], limit_s)
        finally:
            os.close(handle)


def _end(process: subprocess.Popen[bytes]) -> int:
    """Ends a process and its group, where it was not yet; returns its status."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()
