"""A device behind SSH, through the system's own OpenSSH.

The user's configuration, keys, agent and jump hosts apply. Host keys are always checked: an unknown
or changed one is an error that says what to do, whatever the configuration says. Nothing asks for
a password. One connection carries everything (OpenSSH's multiplexing).
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import weakref
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Self

import msgspec

from edgeopt.devices.remote import RemoteDevice
from edgeopt.devices.shell import chosen_program, quote
from edgeopt.devices.ssh_errors import explain
from edgeopt.errors import DeviceError

__all__ = ["SshAddress", "SshDevice"]

_SPEC = re.compile(
    r"ssh://(?:(?P<user>[^@/]*)@)?(?P<host>\[[^\]/]*\]|[^:/@\[\]]*)(?::(?P<port>[^/]*))?(?P<path>/.*)?",
    re.DOTALL,
)
_HOST = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9._:%+-]*")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+$-]*")
_WORK = '"${XDG_CACHE_HOME:-$HOME/.cache}/edgeopt-device"'
_SHORT = "/tmp"  # noqa: S108 (a socket's path may have about 100 characters; mkdtemp is private)
CONNECT_TIMEOUT_S = 15
_ALIVE_S, _ALIVE_COUNT = 10, 3
_IDLE_S = 600
_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "NoHostAuthenticationForLocalhost=no",
    f"ConnectTimeout={CONNECT_TIMEOUT_S}",
    f"ServerAliveInterval={_ALIVE_S}",
    f"ServerAliveCountMax={_ALIVE_COUNT}",
    "LogLevel=ERROR",
    "RequestTTY=no",
    "RemoteCommand=none",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
)
"""Given on the command line before the user's words, so that they come before any configuration."""


class SshAddress(msgspec.Struct, frozen=True):
    """Where a device is.

    Attributes:
        host: Its name, address, or name in the user's SSH configuration.
        user: Who to be there; empty leaves it to the configuration.
        port: 0 leaves it to the configuration.
        work: The folder to use there; empty for one in the user's cache.
    """

    host: str
    user: str = ""
    port: int = 0
    work: str = ""

    @classmethod
    def parse(cls, spec: str) -> Self:
        """Returns the address in ``ssh://user@host:port/folder``.

        Raises:
            DeviceError: It is none, or holds what no host or user is called.
        """
        match = _SPEC.fullmatch(spec.strip())
        hint = "write ssh://user@host, ssh://user@host:port or ssh://user@host:port/folder"
        if match is None:
            raise DeviceError(f"{spec!r} is no address", where="device", hint=hint)
        host, user, port = match["host"].strip("[]"), match["user"], match["port"]
        if not _HOST.fullmatch(host):
            raise DeviceError(f"{host!r} is no host", where=spec, hint=hint)
        if user is not None and not _USER.fullmatch(user):
            raise DeviceError(f"{user!r} is no user", where=spec, hint=hint)
        if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
            raise DeviceError(f"{port!r} is no port", where=spec, hint=hint)
        work = (match["path"] or "").rstrip("/")
        if not work.isprintable():
            raise DeviceError(f"{work!r} is no folder", where=spec, hint=hint)
        return cls(host, user or "", int(port or 0), work)

    @property
    def arguments(self) -> list[str]:
        """The words that name it on the command line of ``ssh``."""
        port = ["-p", str(self.port)] if self.port else []
        return [*port, *(["-l", self.user] if self.user else []), "--", self.host]

    def typed(self, program: str = "ssh") -> str:
        """Returns the command that a person types to get there."""
        port = f" -p {self.port}" if self.port else ""
        return f"{program}{port} {f'{self.user}@' if self.user else ''}{self.host}"


class SshLink:
    """The way to a device: one connection, made at first use and again after it was lost."""

    def __init__(self, address: SshAddress, name: str) -> None:
        self.name = name
        self._address = address
        self._folder: Path | None = None
        self._opening = threading.Lock()
        self._cleanup: weakref.finalize[..., SshLink] | None = None

    def argv(self, line: str) -> list[str]:
        """Returns the command that hands ``line`` to the device's shell.

        Raises:
            DeviceError: The device cannot be reached.
        """
        socket_path = self._connection()
        return [*_command(socket_path, "ControlMaster=no"), *self._address.arguments, line]

    def lost(self, said: str) -> DeviceError:
        """Returns what to raise after ``ssh`` failed with the words ``said``."""
        return explain(said, self._address, self.name)

    def environment(self) -> dict[str, str]:
        """Returns the environment of ``ssh``: nothing may pop up and ask."""
        return {**os.environ, "SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"}

    def close(self) -> None:
        """Ends the connection."""
        if self._cleanup is not None:
            self._cleanup()

    def _connection(self) -> Path:
        with self._opening:
            if self._folder is None:
                _sweep()
                self._folder = Path(tempfile.mkdtemp(prefix=f"eo-{os.getpid()}-", dir=_SHORT))
                self._cleanup = weakref.finalize(self, _end, self._folder, self._address)
            path = self._folder / "s"
            if not _listens(path):
                path.unlink(missing_ok=True)
                self._open(path)
            return path

    def _open(self, path: Path) -> None:
        command = _command(path, "ControlMaster=yes", f"ControlPersist={_IDLE_S}")
        with tempfile.TemporaryFile() as err:
            try:
                status = subprocess.run(
                    [*command, "-N", "-f", *self._address.arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=err,
                    start_new_session=True,
                    env=self.environment(),
                    timeout=8 * CONNECT_TIMEOUT_S,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                status = -1
            except OSError as error:
                hint = "sudo apt-get install openssh-client"
                what = f"ssh does not run: {error.strerror}"
                raise DeviceError(what, where=self.name, hint=hint) from error
            err.seek(0)
            message = err.read(1 << 16).decode("utf-8", "replace")
        if status != 0:
            raise explain(message, self._address, self.name, opening=True)


class SshDevice(RemoteDevice):
    """A device behind SSH.

    The environment variable ``EDGEOPT_SSH`` replaces ``ssh`` by another command, for example
    ``ssh -F FILE``. Its options come after ours: none of them turns off the check of host keys.

    Args:
        spec: ``ssh://user@host:port/folder``; the user's SSH configuration knows what is left out.
        name: How a person calls it; ``spec`` where empty.

    Raises:
        DeviceError: ``spec`` is no address.
    """

    def __init__(self, spec: str, *, name: str = "") -> None:
        address = SshAddress.parse(spec)
        self.address = address
        self._ssh = SshLink(address, name or spec.strip())
        work = quote(PurePosixPath(address.work)) if address.work else _WORK
        super().__init__(self._ssh, work)

    def close(self) -> None:
        """Ends the connection. A second call does nothing."""
        super().close()
        self._ssh.close()


def _command(socket_path: Path, *options: str) -> list[str]:
    words = chosen_program("EDGEOPT_SSH", "ssh")
    # The first that sets an option decides, so ours come before those of the user's command.
    names = [PurePosixPath(word).name for word in words]
    place = names.index("ssh") + 1 if "ssh" in names else 1
    arguments = [f"-o{option}" for option in (*_OPTIONS, *options, f"ControlPath={socket_path}")]
    return [*words[:place], "-T", *arguments, *words[place:]]


def _listens(path: Path) -> bool:
    """Returns whether a connection that is held open answers at ``path``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        try:
            one.connect(os.fspath(path))
        except OSError:
            return False
        return True


def _sweep() -> None:
    """Removes what processes that were killed have left of their connections."""
    for folder in Path(_SHORT).glob("eo-*-*"):
        pid = folder.name.split("-")[1]
        if not pid.isdigit() or _listens(folder / "s"):
            continue
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (PermissionError, OverflowError):
            continue


def _end(folder: Path, address: SshAddress) -> None:
    """Ends the connection whose socket lies in ``folder``."""
    if _listens(folder / "s"):
        with suppress(OSError, subprocess.TimeoutExpired, DeviceError):  # it ends when it is idle
            subprocess.run(
                [*_command(folder / "s"), "-O", "exit", *address.arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=CONNECT_TIMEOUT_S,
                check=False,
            )
    shutil.rmtree(folder, ignore_errors=True)
