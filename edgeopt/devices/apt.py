"""Downloads Debian packages of another architecture, without root and without touching the system.

apt does the work: it resolves what the packages need, takes the machine's own package sources and
network settings, and checks every file against the signed index. All that it writes is in a folder
of its own.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgeopt.devices.process import run_process
from edgeopt.devices.tree import file_digest
from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.contracts import Completed

__all__ = ["SOURCES", "Package", "chosen_sources", "download", "unpack"]

SOURCES = "EDGEOPT_APT_SOURCES"
"""The variable that names a file of package sources to use in place of the machine's own."""
_TIMEOUT_S = 900.0
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
_RELEASES = ("bullseye", "bookworm", "trixie", "forky", "oldstable", "stable", "testing")
_LATER = {"riscv64": ("trixie", "forky")}
"""Architectures that came late: releases to look in, on the machine's own mirrors."""
_HINT = "the emulated device is made of Debian packages; elsewhere give it a root: sysroot=FOLDER"
# Stands in for packages that only an installation needs; nothing is configured here.
_STATUS = """\
Package: dpkg
Status: install ok installed
Architecture: {arch}
Maintainer: nobody
Version: 1:99
Provides: awk
Description: stands in for what installs packages

"""
_CONFIG = """\
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Dir::State "{root}/state";
Dir::State::status "{root}/state/status";
Dir::Cache "{root}/cache";
Dir::Log "{root}/log";
Dir::Etc::main "{root}/none";
Dir::Etc::parts "{root}/empty";
Dir::Etc::preferences "{root}/none";
Dir::Etc::preferencesparts "{root}/empty";
{sources}{acquire}
Acquire::Languages "none";
"""


class Package(msgspec.Struct, frozen=True):
    """A package that was downloaded.

    Attributes:
        name: Its name.
        version: Its version.
        sha256: Digest of its file.
        file: Name of its file.
    """

    name: str
    version: str
    sha256: str
    file: str


def download(packages: Sequence[str], arch: str, folder: Path) -> tuple[Package, ...]:
    """Returns ``packages`` and all that they need, downloaded to ``folder/cache/archives``.

    Args:
        packages: Names.
        arch: Debian's name of the architecture, for example ``arm64``.
        folder: An empty folder to work in.

    Raises:
        DeviceError: apt is not here, cannot reach its sources, or they lack a package.
    """
    for tool in ("apt-get", "apt-config", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise DeviceError(f"{tool} is not installed", where=f"sysroot {arch}", hint=_HINT)
    own = _configure(arch, folder, _sources(folder))
    failure = _fetch(packages, arch, folder)
    for release in () if chosen_sources() else _LATER.get(arch, ()):
        sources = _later_sources(release, own)
        if failure is None or not sources:
            break
        _configure(arch, folder, _written(folder, "later.list", sources))
        if _fetch(packages, arch, folder) is None:
            failure = None  # else the first one is told: that of the machine's own sources
    if failure is not None:
        raise failure
    archives = sorted((folder / "cache" / "archives").glob("*.deb"))
    return tuple(_package(archive, folder) for archive in archives)


def chosen_sources() -> bytes:
    """Returns the content of the file of package sources that the user chose; empty where none.

    Raises:
        DeviceError: It cannot be read.
    """
    path = os.environ.get(SOURCES)
    if not path:
        return b""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DeviceError(f"cannot be read: {error.strerror}", where=f"{SOURCES}={path}") from error


def unpack(archive: Path, root: Path) -> None:
    """Unpacks a package's files below ``root``; none of its scripts run.

    Raises:
        DeviceError: It is damaged, or cannot be written.
    """
    command = ["dpkg-deb", "--extract", os.fspath(archive), os.fspath(root)]
    process = run_process(
        command, cwd=root, env=_environment(), timeout_s=_TIMEOUT_S, where=archive.name
    )
    if process.returncode != 0:
        raise DeviceError(f"cannot be unpacked: {process.stderr.strip()}", where=archive.name)


def _fetch(packages: Sequence[str], arch: str, folder: Path) -> DeviceError | None:
    """Downloads ``packages``; returns why that failed."""
    updated = _apt(["apt-get", "update"], folder)
    process = _apt(["apt-get", "install", "--download-only", "--yes", *packages], folder)
    return None if process.returncode == 0 else _failure(arch, updated, process)


def _configure(arch: str, folder: Path, sources: str) -> list[tuple[str, str]]:
    """Writes apt's configuration; returns the (mirror, release) pairs that it has without it."""
    for name in ("state/lists/partial", "cache/archives/partial", "log", "empty", "sources"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "state" / "status").write_text(_STATUS.format(arch=arch), encoding="utf-8")
    dumped = _asked(["apt-config", "dump"], folder)
    # Proxies, certificates and the like; not the hooks that run after an update.
    acquire = "\n".join(row for row in dumped if row.startswith("Acquire::"))
    config = _CONFIG.format(arch=arch, root=folder, sources=sources, acquire=acquire)
    (folder / "apt.conf").write_text(config, encoding="utf-8")
    form = "$(REPO_URI) $(RELEASE)"
    listed = _asked(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], folder)
    return sorted({(row.split()[0], row.split()[-1]) for row in listed if " " in row})


def _asked(command: list[str], folder: Path) -> list[str]:
    where = command[0]
    process = run_process(command, cwd=folder, env=_environment(), timeout_s=60, where=where)
    return process.stdout.splitlines()


def _sources(folder: Path) -> str:
    """Returns the lines of configuration for the sources that the user chose, if any."""
    content = chosen_sources()
    if not content:
        return ""
    suffix = ".sources" if os.environ[SOURCES].endswith(".sources") else ".list"
    return _written(folder, f"chosen{suffix}", content)


def _later_sources(release: str, own: list[tuple[str, str]]) -> bytes:
    """Returns sources for ``release`` on the mirrors of Debian among ``own``; empty without any."""
    mirrors = dict.fromkeys(mirror for mirror, suite in own if suite in _RELEASES)
    signed = f"[signed-by={_KEYS}] " if Path(_KEYS).exists() else ""
    return "".join(f"deb {signed}{mirror} {release} main\n" for mirror in mirrors).encode()


def _written(folder: Path, name: str, content: bytes) -> str:
    """Returns the lines of configuration for sources, which are written below ``folder``."""
    none, parts = folder / "none", folder / "sources"
    parts.mkdir(parents=True, exist_ok=True)
    (parts / name).write_bytes(content)
    return f'Dir::Etc::sourcelist "{none}";\nDir::Etc::sourceparts "{parts}";\n'


def _apt(command: list[str], folder: Path) -> Completed:
    env = {**_environment(), "APT_CONFIG": os.fspath(folder / "apt.conf")}
    return run_process(command, cwd=folder, env=env, timeout_s=_TIMEOUT_S, where=command[0])


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def _package(archive: Path, folder: Path) -> Package:
    shown = run_process(
        ["dpkg-deb", "--show", "--showformat=${Package}\n${Version}", os.fspath(archive)],
        cwd=folder,
        env=_environment(),
        timeout_s=60,
        where=archive.name,
    )
    if shown.returncode != 0:
        raise DeviceError(f"is no package: {shown.stderr.strip()}", where=archive.name)
    name, version = shown.stdout.split("\n")[:2]
    return Package(name, version, file_digest(archive), archive.name)


def _failure(arch: str, updated: Completed, done: Completed) -> DeviceError:
    """Returns what apt complained of; an unreachable source first, since the rest follows from it."""
    lines = [*updated.stderr.splitlines(), *done.stderr.splitlines()]
    unreached = [line[3:] for line in lines if "Failed to fetch" in line]
    complaints = (
        unreached or [line[3:] for line in lines if line.startswith("E: ")] or ["no reason given"]
    )
    what = f"the package sources of this machine give no {arch} Python: {complaints[0][:300]}"
    hint = (
        f"name a file of Debian sources that has {arch} in {SOURCES}, or give it a root: sysroot="
    )
    return DeviceError(what, where=f"sysroot {arch}", hint=hint)
