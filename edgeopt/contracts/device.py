"""A machine that bundles run on: this one, one behind SSH or ADB, or an emulated one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path, PurePosixPath

__all__ = ["Completed", "Device", "ForwardsPorts"]


class Completed(msgspec.Struct, frozen=True):
    """A command that ended on a device.

    Attributes:
        returncode: Exit status; negative for a signal.
        stdout: Its output, decoded as UTF-8 with replacement.
        stderr: Its error output, likewise.
        wall_s: Seconds it ran, as seen from the host.
    """

    returncode: int
    stdout: str
    stderr: str
    wall_s: float


@runtime_checkable
class Device(Protocol):
    """Moves files and runs commands. Commands are lists of arguments, never shell strings.

    A relative path is within `workdir`. A device is a context manager that closes itself.
    """

    @property
    def name(self) -> str:
        """How a person calls it; an attribute will do."""
        ...

    @property
    def emulated(self) -> bool:
        """Whether times say nothing about hardware; an attribute will do.

        Raises:
            DeviceError: It has to be asked, and cannot be reached.
        """
        ...

    def push(self, local: Path, remote: PurePosixPath) -> None:
        """Copies a file or a folder to ``remote``; what is there afterwards is whole.

        A folder that is there already is replaced, not added to. Folders above it are made.

        Raises:
            DeviceError: The transfer failed; nothing half-written is left under that name.
        """
        ...

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        """Copies a file or a folder from ``remote``.

        Raises:
            DeviceError: It is missing or the transfer failed.
        """
        ...

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: PurePosixPath | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 300.0,
    ) -> Completed:
        """Runs ``command`` and returns its result, whatever its exit status.

        The first word ``python3`` means the device's Python. It runs in `workdir` where ``cwd`` is
        None, with ``env`` beside the variables that the device gives every program.

        Raises:
            DeviceError: It could not be started, or ran past ``timeout_s`` (and was ended).
        """
        ...

    def install(self, requirements: Sequence[str], into: PurePosixPath) -> None:
        """Installs Python requirements for the device's CPU and Python into folder ``into``.

        A requirement may also be the path of a wheel on this machine. What ``into`` holds stays,
        but for other versions of the same distributions.

        Raises:
            DeviceError: A requirement has no wheel for the device; it is named.
        """
        ...

    def facts(self) -> dict[str, Any]:
        """Returns what is known of the device now, None for each that is not; JSON-able.

        At least ``cpu``, ``isa``, ``cores``, ``memory_mb``, ``os``, ``glibc``, ``python``,
        ``governor``, ``clock_mhz`` and ``temperature_c``.
        """
        ...

    def workdir(self) -> PurePosixPath:
        """Returns a folder on the device that edgeopt may use."""
        ...

    def close(self) -> None:
        """Ends the connection. A second call does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


@runtime_checkable
class ForwardsPorts(Protocol):
    """What a `Device` whose transport has a tunnel offers beside its other methods."""

    def forward(self, port: int) -> AbstractContextManager[tuple[str, int]]:
        """Returns a block in which the device's loopback ``port`` is reached at (host, port) here.

        Raises:
            DeviceError: The tunnel cannot be made.
        """
        ...
