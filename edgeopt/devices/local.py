"""This machine as a device."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgeopt.devices.lock import hold_machine
from edgeopt.devices.on_host import OnHost
from edgeopt.devices.probe import facts_of, probe
from edgeopt.devices.wheels import install_wheels
from edgeopt.registry.limits import memory_mb, usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path, PurePosixPath

__all__ = ["LocalDevice"]


class LocalDevice(OnHost):
    """This machine. Its Python is the one that runs edgeopt; its variables are this process's.

    Args:
        workdir: The folder it may use, kept afterwards; a temporary one where None.
    """

    def __init__(self, workdir: Path | None = None) -> None:
        super().__init__("local", workdir)

    def install(self, requirements: Sequence[str], into: PurePosixPath) -> None:
        """Installs ``requirements`` and what they need into folder ``into``, from wheels.

        Raises:
            DeviceError: A requirement has no wheel for this machine; it is named.
        """
        install_wheels(requirements, self.path(into), where=self.name)

    def facts(self) -> dict[str, Any]:
        """Returns what is known of this machine now; None for each that is not."""
        machine_facts = facts_of(self, probe(self))
        return {**machine_facts, "cores": usable_cores(), "memory_mb": memory_mb() or None}

    @contextmanager
    def hold(self, wait_s: float) -> Iterator[None]:
        """Keeps other measurements off this machine until the block ends.

        Raises:
            DeviceError: Another one runs for longer than ``wait_s``.
        """
        with hold_machine(self.name, wait_s):
            yield

    def _argv(self, command: Sequence[str], folder: Path) -> list[str]:  # noqa: ARG002
        program, *rest = command
        return [sys.executable if program == "python3" else program, *rest]

    def _environment(self) -> Mapping[str, str]:
        return os.environ
