"""Reads requests, one JSON object a line, and answers each with one line; until input ends.

It is started by `edgeopt_tvm.tuning.measurement_worker`, which also ends it when it takes too long.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt_tvm.tuning.worker.bench import Bench
    from edgeopt_tvm.tuning.worker.executors import Place

_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_KEPT = 64


def main() -> None:
    """Serves requests."""
    setup = json.loads(sys.argv[1])
    answers = _claim_output()
    _die_with_parent(setup["parent"])
    _limit_memory(setup["memory_mb"])
    sys.path[:0] = setup["paths"]
    sys.modules["torch"] = None  # type: ignore[assignment]  # TVM would load it, for seconds
    serve = _Server(setup)
    answers.write(json.dumps({"status": "ready"}) + "\n")
    answers.flush()
    for line in sys.stdin:
        with _alarm(setup["limit_s"]):
            answer = serve.answer(json.loads(line))
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class _Server:
    def __init__(self, setup: dict[str, Any]) -> None:
        import tvm  # noqa: PLC0415 (after the process is set up)

        from edgeopt_tvm.machine import Machine  # noqa: PLC0415
        from edgeopt_tvm.tuning.templates import Templates  # noqa: PLC0415

        self._load = tvm.ir.load_json
        plain = setup["machine"]
        self._machine = Machine(**{**plain, "features": tuple(plain["features"])})
        self._templates = Templates(setup["templates"], tuple(setup["paths"]))
        self._benches: dict[str, Bench] = {}
        self._place = self._found(setup)

    def _found(self, setup: dict[str, Any]) -> Place:
        from edgeopt_tvm.tuning.worker.executors import LocalExecutor, RemoteExecutor  # noqa: PLC0415 (TVM)

        if setup["place"] is None:
            return LocalExecutor(self._machine)
        return RemoteExecutor(self._machine, setup["place"], setup["limit_s"])

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "open":
            return self._open(request)
        bench = self._benches.get(request["task"])
        if bench is None:
            return {"status": "closed"}
        if request["do"] == "confirm":
            return bench.confirm(request["configs"])
        return bench.attempt(request["config"], request["best"])

    def _open(self, request: dict[str, Any]) -> dict[str, Any]:
        from edgeopt_tvm.tuning.worker.bench import Bench  # noqa: PLC0415 (TVM)

        while len(self._benches) >= _KEPT:
            del self._benches[next(iter(self._benches))]
        function = self._load(request["function"])
        try:
            bench = Bench(function, self._machine, self._templates, self._place)
            answer = bench.open(request["outputs"])
        except Exception as error:  # noqa: BLE001 (told to who asked)
            return {"status": "invalid", "detail": f"{type(error).__name__}: {error}"[-500:]}
        self._benches[request["task"]] = bench
        return answer


def _claim_output() -> Any:
    """Returns where answers go; whatever else prints, prints to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _die_with_parent(parent: int) -> None:
    """Has the system end this process with the one that started it, even if that is killed."""
    with contextlib.suppress(OSError, AttributeError):  # not Linux: standard input ends instead
        ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before
        os._exit(1)


def _limit_memory(memory_mb: int) -> None:
    if not memory_mb:
        return
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + (memory_mb << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextlib.contextmanager
def _alarm(limit_s: float) -> Iterator[None]:
    """Ends this process where a request hangs: nobody may be left to do it."""
    signal.setitimer(signal.ITIMER_REAL, 2 * limit_s + 5)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
