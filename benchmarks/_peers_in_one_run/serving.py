"""A worker's process that has loaded its artefact and waits for what it is asked."""

from __future__ import annotations

import json
import select
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Server", "WorkerError", "finished"]


class WorkerError(Exception):
    """A worker ended with an error or took too long; says what it said last."""


def finished(
    command: list[str], variables: dict[str, str], log: Path, seconds: float
) -> dict[str, Any]:
    """Returns the answer, JSON, of a worker that runs to its end.

    Raises:
        WorkerError: There is none.
    """
    with log.open("w") as errors:
        try:
            done = subprocess.run(
                command,
                check=False,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=variables,
                timeout=seconds,
                text=True,
            )
        except subprocess.TimeoutExpired:
            raise WorkerError(f"not done after {seconds:.0f} s") from None
    if done.returncode:
        raise WorkerError(_last_words(log, done.returncode))
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


class Server:
    """Keeps a worker alive until `close`.

    Args:
        command: What is run.
        variables: Its environment.
        log: Where its standard error goes.
        seconds: What one answer may take.

    Raises:
        WorkerError: It does not get ready.
    """

    def __init__(
        self, command: list[str], variables: dict[str, str], log: Path, seconds: float
    ) -> None:
        self._log, self._seconds = log, seconds
        with log.open("w") as errors:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": errors}
            self._process = subprocess.Popen(command, env=variables, text=True, **pipes)
        try:
            self._answer()
        except WorkerError:
            self.close()
            raise

    def ask(self, **question: Any) -> dict[str, Any]:
        """Returns the worker's answer.

        Raises:
            WorkerError: It ended, or took too long.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(_last_words(self._log, self._process.wait())) from None
        return self._answer()

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], self._seconds)
        if not ready:
            raise WorkerError(f"no answer after {self._seconds:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(_last_words(self._log, self._process.wait()))
        answer: dict[str, Any] = json.loads(line)
        return answer


def _last_words(log: Path, code: int) -> str:
    """Returns the error that a worker ended with: the line of the exception, or the signal."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    if code < 0:
        return f"killed by signal {-code}"
    told = [line for line in lines if _is_exception(line)]
    return (told or lines or [f"exit status {code}"])[-1][:300]


def _is_exception(line: str) -> bool:
    name = line.partition(":")[0]
    return name.replace(".", "").isidentifier() and name.endswith(
        ("Error", "Exception", "Unsupported")
    )
