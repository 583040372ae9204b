"""A device that answers from a script, for tests of what runs on the host."""

from __future__ import annotations

import fnmatch
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Self

import msgspec

from edgeopt.contracts import Completed
from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Call", "ScriptedDevice"]


class Call(msgspec.Struct, frozen=True):
    """A command that was run.

    Attributes:
        command: Program and arguments.
        cwd: Where; None for the work folder.
        env: Further variables.
        timeout_s: Its time limit.
    """

    command: tuple[str, ...]
    cwd: PurePosixPath | None
    env: dict[str, str]
    timeout_s: float


class _Answer(msgspec.Struct, frozen=True):
    pattern: tuple[str, ...]
    completed: Completed
    files: dict[str, bytes]
    error: DeviceError | None

    def fits(self, command: Sequence[str]) -> bool:
        return len(command) >= len(self.pattern) and all(
            fnmatch.fnmatchcase(word, pattern)
            for word, pattern in zip(command, self.pattern, strict=False)
        )


class ScriptedDevice:
    """Holds files in memory and answers each command with the next line of its script.

    ::

        device = ScriptedDevice()
        device.expect("python3", "run.py", "--verify", stdout="ok")
        ...
        device.finish()

    Attributes:
        files: Path to content of each file on it.
        calls: The commands that were run.
        installed: The requirements and folder of each installation.
        closed: Whether `close` was called.
    """

    def __init__(
        self,
        name: str = "scripted",
        *,
        emulated: bool = False,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.emulated = emulated
        self.files: dict[PurePosixPath, bytes] = {}
        self.calls: list[Call] = []
        self.installed: list[tuple[tuple[str, ...], PurePosixPath]] = []
        self.closed = False
        self._facts = dict(facts or {})
        self._script: list[_Answer] = []

    def expect(
        self,
        *pattern: str,
        stdout: str = "",
        stderr: str = "",
        returncode: int = 0,
        wall_s: float = 0.01,
        files: Mapping[str, bytes] | None = None,
        error: DeviceError | None = None,
    ) -> Self:
        """Adds a line to the script.

        Args:
            *pattern: How the command begins, word by word; ``*`` and ``?`` stand for anything.
            stdout: What it prints.
            stderr: What it prints as errors.
            returncode: Its exit status.
            wall_s: How long it ran.
            files: What it writes: path, within the folder it runs in, to content.
            error: Raised in place of an answer.
        """
        completed = Completed(returncode, stdout, stderr, wall_s)
        self._script.append(_Answer(pattern, completed, dict(files or {}), error))
        return self

    def finish(self) -> None:
        """Raises unless every line of the script was used.

        Raises:
            AssertionError: One was not.
        """
        if self._script:
            raise AssertionError(f"never run: {' '.join(self._script[0].pattern)}")

    def push(self, local: Path, remote: PurePosixPath) -> None:
        """Takes a file or a folder into `files`.

        Raises:
            DeviceError: It is missing.
        """
        source, target = Path(local), self._absolute(remote)
        if not source.exists():
            raise DeviceError("there is no such file or folder", where=str(source))
        for path in [path for path in self.files if target in {path, *path.parents}]:
            del self.files[path]
        if source.is_file():
            self.files[target] = source.read_bytes()
            return
        for file in source.rglob("*"):
            if file.is_file():
                self.files[target / file.relative_to(source).as_posix()] = file.read_bytes()

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        """Writes a file or a folder of `files`.

        Raises:
            DeviceError: It is missing.
        """
        remote = self._absolute(remote)
        matches = {
            path: data for path, data in self.files.items() if remote in {path, *path.parents}
        }
        if not matches:
            raise DeviceError("there is no such file or folder", where=str(remote))
        for path, data in matches.items():
            target = Path(local) / path.relative_to(remote)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: PurePosixPath | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 300.0,
    ) -> Completed:
        """Returns the next answer of the script.

        Raises:
            DeviceError: The script says so.
            AssertionError: The script has another command next.
        """
        self.calls.append(Call(tuple(command), cwd, dict(env or {}), timeout_s))
        if not self._script or not self._script[0].fits(command):
            expected = " ".join(self._script[0].pattern) if self._script else "nothing more"
            raise AssertionError(f"ran {list(command)}, but the script expects: {expected}")
        answer = self._script.pop(0)
        if answer.error is not None:
            raise answer.error
        folder = self._absolute(cwd or PurePosixPath())
        self.files.update({folder / name: data for name, data in answer.files.items()})
        return answer.completed

    def install(self, requirements: Sequence[str], into: PurePosixPath) -> None:
        """Notes the requirements in `installed`."""
        self.installed.append((tuple(requirements), into))

    def facts(self) -> dict[str, Any]:
        """Returns the facts that it was made with, its name and whether it is emulated."""
        return {"name": self.name, "emulated": self.emulated, **self._facts}

    def workdir(self) -> PurePosixPath:
        """Returns ``/device``."""
        return PurePosixPath("/device")

    def close(self) -> None:
        """Notes that it was closed."""
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _absolute(self, path: PurePosixPath) -> PurePosixPath:
        return self.workdir() / path
