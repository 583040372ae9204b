"""What devices that share this machine's files have in common."""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Self

from edgeopt.devices.process import run_process
from edgeopt.devices.transfer import copy_whole
from edgeopt.errors import DeviceError
from edgeopt.files import make_temporary, remove_temporary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgeopt.contracts import Completed

__all__ = ["OnHost"]


class OnHost:
    """A device whose files are this machine's. Subclasses say how a program is started.

    Relative paths are within `workdir`. A device that is not closed cleans up at exit.

    Args:
        name: How a person calls it.
        workdir: The folder it may use, made where it is missing and kept; a temporary one, removed
            by `close`, where None.
    """

    emulated = False

    def __init__(self, name: str, workdir: Path | None) -> None:
        self.name = name
        self._own = workdir
        self._temporary: Path | None = None
        self._cleanup: weakref.finalize[..., OnHost] | None = None
        self._closed = False

    def push(self, local: Path, remote: PurePosixPath) -> None:
        """Copies a file or a folder to ``remote``; a folder there is replaced as a whole.

        Raises:
            DeviceError: It cannot be copied; what lay at ``remote`` is still there.
        """
        copy_whole(Path(local), self.path(remote))

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        """Copies a file or a folder from ``remote``.

        Raises:
            DeviceError: It is missing or cannot be copied.
        """
        copy_whole(self.path(remote), Path(local))

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: PurePosixPath | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 300.0,
    ) -> Completed:
        """Runs ``command`` and returns its result, whatever its exit status.

        Args:
            command: Program and arguments; the program ``python3`` is the device's Python.
            cwd: The folder it runs in; `workdir` where None.
            env: Variables beside those that every program on the device has.
            timeout_s: Seconds after which it, and what it started, is killed.

        Raises:
            DeviceError: It could not be started, or ran past ``timeout_s``.
        """
        if isinstance(command, str) or not command:
            raise DeviceError("a command is a list: a program and its arguments", where=self.name)
        folder = self.path(cwd or PurePosixPath())
        argv = self._argv(command, folder)
        surroundings = {**self._environment(), **(env or {}), **self._fixed_environment()}
        return run_process(argv, cwd=folder, env=surroundings, timeout_s=timeout_s, where=self.name)

    @contextmanager
    def forward(self, port: int) -> Iterator[tuple[str, int]]:
        """Yields where ``port`` of the device's loopback is reached: its network is this machine's."""
        yield "127.0.0.1", port

    def workdir(self) -> PurePosixPath:
        """Returns a folder that edgeopt may use."""
        return PurePosixPath(self.path(PurePosixPath()))

    def path(self, remote: PurePosixPath) -> Path:
        """Returns where ``remote`` is on this machine."""
        return self._folder("work") / remote if self._own is None else self._own_folder() / remote

    def close(self) -> None:
        """Removes the temporary folder. A second call does nothing."""
        self._closed = True
        if self._cleanup is not None:
            self._cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _argv(self, command: Sequence[str], folder: Path) -> list[str]:
        """Returns what to start for ``command`` in ``folder``."""
        raise NotImplementedError

    def _environment(self) -> Mapping[str, str]:
        """Returns the variables that a command has if it does not say otherwise."""
        raise NotImplementedError

    def _fixed_environment(self) -> Mapping[str, str]:
        """Returns the variables that a command cannot change."""
        return {}

    def _own_folder(self) -> Path:
        self._check_open()
        folder = Path(self._own or ".").absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            what = f"the work folder cannot be made: {error.strerror}"
            raise DeviceError(what, where=str(folder)) from error
        return folder

    def _folder(self, name: str) -> Path:
        """Returns a folder inside the temporary one."""
        self._check_open()
        if self._temporary is None:
            self._temporary = make_temporary()
            self._cleanup = weakref.finalize(self, remove_temporary, self._temporary)
        folder = self._temporary / name
        folder.mkdir(exist_ok=True)
        return folder

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceError("this device is closed", where=self.name)
