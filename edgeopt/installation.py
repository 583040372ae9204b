"""What to type to install more: every ``pip install`` that is printed is made here, so that it works where it is printed.

Who has a checkout installs from there, who has a wheel from that file, who has edgeopt from an index from the index.
What pip noted says which it was (``direct_url.json``, PEP 610); where that place is gone, the packages themselves are
named. torch stays as it is: nothing here installs it again.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from edgeopt.boundary import decode_json
from edgeopt.errors import EdgeoptError

__all__ = [
    "application_command",
    "install_command",
    "packages_command",
    "reinstall_command",
    "requirements",
    "system_command",
    "uninstall_command",
]

_PRODUCT = "edgeopt"
_MOST = 1 << 16


class _DirectUrl(msgspec.Struct):
    """What pip notes of a package that came from no index (PEP 610)."""

    url: str
    dir_info: dict[str, Any] = {}
    vcs_info: dict[str, Any] = {}
    subdirectory: str = ""


@dataclass(frozen=True)
class _Source:
    """Where a distribution came from: a path or an address, or neither for an index and for what is gone."""

    path: Path | None = None
    address: str = ""
    editable: bool = False
    is_gone: bool = False


def install_command(extra: str, *, distribution: str = _PRODUCT) -> str:
    """Returns what to type for what an extra brings.

    Args:
        extra: Its name.
        distribution: The package that has the extra.
    """
    source = _source(distribution)
    names = requirements(extra, distribution=distribution)
    if source.is_gone and names:
        return packages_command(*names)
    return f"{_pip('install')} {_words(source, distribution, f'[{extra}]')}"


def reinstall_command(extra: str = "", *, distribution: str = _PRODUCT) -> str:
    """Returns what to type where something is installed and does not work; what it stands on is left alone.

    Args:
        extra: What brings it; empty for the distribution itself.
        distribution: The package that has the extra.
    """
    how = f"{_pip('install')} --force-reinstall --no-deps"
    names = requirements(extra, distribution=distribution) if extra else ()
    if names:
        return f"{how} {_quoted(names)}"
    if extra:
        return install_command(extra, distribution=distribution)
    return f"{how} {_words(_source(distribution), distribution, '')}"


def requirements(extra: str, *, distribution: str = _PRODUCT) -> tuple[str, ...]:
    """Returns the packages that an extra brings, with their versions."""
    try:
        every = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return ()
    marker = re.compile(rf"(.+?)\s*;\s*extra == ['\"]{re.escape(extra)}['\"]\s*")
    return tuple(match[1] for line in every if (match := marker.fullmatch(line)))


def packages_command(*names: str) -> str:
    """Returns what to type for packages that an index has."""
    return f"{_pip('install')} {_quoted(names)}"


def application_command(name: str, *beside: str) -> str:
    """Returns what to type for a program in Python that gets an environment of its own.

    Args:
        name: Its package.
        beside: Further packages that it needs in there.
    """
    words, pipx = [], "pipx"
    if shutil.which("pipx") is None:  # where it is put now need not be on the path
        words, pipx = [packages_command("pipx")], f"{_shown(Path(sys.executable))} -m pipx"
    words.append(f"{pipx} install {_quoted((name,))}")
    words += [f"{pipx} inject {_quoted((name, *beside))}"] if beside else []
    return " && ".join(words)


def system_command(package: str) -> str:
    """Returns what to type for a package of the system, by its name in Debian."""
    if shutil.which("apt-get") is None:
        return f"install {package} (as Debian calls it) with this system's package manager"
    return f"{'' if os.geteuid() == 0 else 'sudo '}apt-get install {package}"


def uninstall_command(*names: str) -> str:
    """Returns what to type to remove packages."""
    return f"{_pip('uninstall')} {_quoted(names)}"


def _pip(verb: str) -> str:
    """Returns how pip is called for this interpreter: ``pip`` only where that is the one beside it."""
    python = _shown(Path(sys.executable))
    if not _has_pip() and shutil.which("uv"):
        return f"uv pip {verb} --python {python}"
    command = shutil.which("pip")
    beside = Path(sys.executable).parent
    if command is not None and Path(command).parent.resolve() == beside.resolve():
        return f"pip {verb}"
    return f"{python} -m pip {verb}"


def _has_pip() -> bool:
    """Returns whether pip is installed: looking for its module would change how setuptools finds distutils."""
    try:
        metadata.distribution("pip")
    except metadata.PackageNotFoundError:
        return False
    return True


def _source(distribution: str) -> _Source:
    root = Path(__file__).parents[1]
    if distribution == _PRODUCT and (root / "pyproject.toml").is_file():
        return _Source(root, editable=True)
    try:
        text = metadata.distribution(distribution).read_text("direct_url.json")
        if text is None:
            return _Source()
        noted = decode_json(text, _DirectUrl, where="direct_url.json", most=_MOST)
    except (EdgeoptError, metadata.PackageNotFoundError, OSError):
        return _Source()
    return _noted(noted)


def _noted(noted: _DirectUrl) -> _Source:
    place = urlsplit(noted.url)
    if place.scheme == "file":
        path = Path(unquote(place.path)) / noted.subdirectory
        if not path.exists():
            return _Source(is_gone=True)
        return _Source(path, editable=bool(noted.dir_info.get("editable")))
    address = noted.url
    if noted.vcs_info:
        address = f"{noted.vcs_info.get('vcs', 'git')}+{address}"
        address += f"@{noted.vcs_info['commit_id']}" if noted.vcs_info.get("commit_id") else ""
    address += f"#subdirectory={noted.subdirectory}" if noted.subdirectory else ""
    return _Source(address=address)


def _words(source: _Source, distribution: str, extra: str) -> str:
    """Returns what follows ``pip install``."""
    if source.path is not None:
        words = shlex.quote(f"{_relative(source.path)}{extra}")
        return f"-e {words}" if source.editable else words
    if source.address:
        return shlex.quote(f"{distribution}{extra} @ {source.address}")
    return shlex.quote(f"{distribution}{extra}")


def _relative(path: Path) -> str:
    """Returns a path as pip takes it, short where it lies in the current folder."""
    try:
        inner = path.relative_to(Path.cwd())
    except (ValueError, OSError):
        return os.fspath(path)
    return "." if inner == Path() else f"./{inner.as_posix()}"


def _shown(path: Path) -> str:
    """Returns a program's path, short where it lies in the current folder."""
    shown = _relative(path)
    return shlex.quote(shown.removeprefix("./") if "/" in shown[2:] else shown)


def _quoted(names: tuple[str, ...]) -> str:
    return " ".join(shlex.quote(name) for name in names)
