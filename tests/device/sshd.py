"""A real sshd on the loopback, with keys of its own; whoever starts it ends it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

PLACES = ("/usr/sbin/sshd", "/usr/local/sbin/sshd")


def need_sshd() -> str:
    """Returns where sshd is; skips, and says so, where it is not."""
    found = shutil.which("sshd") or next((p for p in PLACES if Path(p).is_file()), None)
    missing = [n for n in ("ssh", "ssh-keygen") if shutil.which(n) is None]
    if found is None or missing:
        pytest.skip("NOT TESTED OVER SSH: sshd or ssh is missing (apt-get install openssh-server)")
    return found


class Sshd:
    """An sshd for one test or module.

    Attributes:
        port: Where it listens.
        config: The client's configuration, for ``ssh -F``.
        home: The home folder of whoever comes in.
        spec: The device's address.
    """

    def __init__(self, folder: Path, *, login: str = "") -> None:
        self.folder = folder
        self.program = need_sshd()
        self.home = folder / "home"
        self.home.mkdir()
        self.config = folder / "client"
        self.login = folder / "login"
        for name in ("host", "user"):
            self.make_key(name)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        keys = folder / "authorized_keys"
        keys.write_bytes((folder / "user.pub").read_bytes())
        keys.chmod(0o600)
        self.login.write_text(login or self._login())
        self.login.chmod(0o755)
        (folder / "sshd").write_text(self._server())
        self.trust()
        self.process: subprocess.Popen | None = None

    @property
    def spec(self) -> str:
        return f"ssh://{_user()}@127.0.0.1:{self.port}"

    def make_key(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)

    def trust(self) -> None:
        """Lets the client know the server's key."""
        kind, key, *_ = (self.folder / "host.pub").read_text().split()
        (self.folder / "known").write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")
        self.config.write_text(
            f"IdentityFile {self.folder}/user\nIdentitiesOnly yes\n"
            f"UserKnownHostsFile {self.folder}/known\nGlobalKnownHostsFile none\n"
            "StrictHostKeyChecking no\n"  # edgeopt must not follow it
        )

    def start(self) -> None:
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [self.program, "-D", "-e", "-f", str(self.folder / "sshd")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"sshd does not start: {(self.folder / 'log').read_text()}")

    def stop(self) -> None:
        """Ends it and the connections that it serves."""
        if self.process is None:
            return
        self.cut()
        self.process.terminate()
        self.process.wait(10)
        self.process = None

    def cut(self) -> int:
        """Ends the processes that serve connections, at once; returns how many there were."""
        sessions = [pid for pid in children(self.process.pid) if _name(pid) == "sshd"]
        served = [pid for one in sessions for pid in children(one) if _name(pid) == "sshd"]
        for pid in (*sessions, *served):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(sessions)

    def _server(self) -> str:
        root = "UsePAM no\n" if os.geteuid() == 0 else ""
        return (
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nStrictModes no\n{root}"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            "PermitRootLogin prohibit-password\nPrintMotd no\n"
            f"PidFile none\nForceCommand {self.folder}/login\nLogLevel ERROR\nMaxStartups 100\n"
        )

    def _login(self) -> str:
        home = shlex.quote(str(self.home))
        tools = self.folder / "tools"
        tools.mkdir()
        (tools / "python3").symlink_to(Path(sys.executable).resolve())
        return (
            "#!/bin/sh\necho noise of a profile; echo more noise >&2\n"
            f"cd {home} && HOME={home} PATH={shlex.quote(str(tools))}:/usr/bin:/bin\n"
            'export HOME PATH; exec sh -c "$SSH_ORIGINAL_COMMAND"\n'
        )


def children(pid: int) -> list[int]:
    """Returns the processes whose parent is ``pid``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                after = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(after[1]) == pid:
                    found.append(int(entry.name))
    return found


def descendants(pid: int) -> list[int]:
    """Returns all processes below ``pid``."""
    return [one for child in children(pid) for one in (child, *descendants(child))]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _user() -> str:
    import getpass

    return getpass.getuser()
