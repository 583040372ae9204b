"""Builds the distributions and looks into them: nothing is missing, nothing is there by accident."""

from __future__ import annotations

import email.parser
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

__all__ = ["build", "changelog_version", "problems", "project"]

ROOT = Path(__file__).resolve().parents[1]
_RELATIVE_LINK = re.compile(r"\]\((?!https?://|#|mailto:)[^)]*\)")


def project() -> dict[str, object]:
    """Returns the whole of ``pyproject.toml``."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def build(folder: Path, *, isolated: bool = True) -> tuple[Path, Path]:
    """Returns an sdist and the wheel that was built from that sdist.

    Args:
        folder: Where they are put; what lies there goes.
        isolated: Whether what builds is installed anew, as for a user, or is this environment's.
    """
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    _run(command if isolated else [*command, "--no-isolation"])
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


def problems(sdist: Path, wheel: Path) -> Iterator[str]:
    """Yields what is wrong with the two, one sentence each."""
    yield from _of_twine(sdist, wheel)
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(name.partition("/")[0] for name in names if ".dist-info/" in name)
        metadata = _message(archive.read(f"{info}/METADATA"))
        licences = {name for name in names if name.startswith(f"{info}/licenses/")}
    yield from _of_files({name for name in names if not name.startswith(info)}, wheel.name)
    yield from _of_licences(licences, info)
    yield from _of_metadata(metadata)
    yield from _of_sdist(sdist)


def changelog_version(text: str) -> str:
    """Returns the newest release that a changelog names; empty where it names none."""
    found = re.search(r"^## (\S+) \(", text, flags=re.MULTILINE)
    return found[1] if found else ""


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def _of_twine(*files: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        yield f"twine: {(done.stdout + done.stderr).strip()[-1000:]}"


def _packages() -> dict[str, str]:
    """Returns each package's folder in the repository, and its name."""
    hatch = project()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]  # type: ignore[index]
    return {folder: PurePosixPath(folder).name for folder in hatch}


def _tracked() -> set[str]:
    """Returns the files that git knows, of all packages, as they are called in a wheel."""
    found = set()
    for folder, name in _packages().items():
        listed = _run(["git", "-C", str(ROOT), "ls-files", "-z", "--", folder]).split("\0")
        found |= {f"{name}/{PurePosixPath(one).relative_to(folder)}" for one in listed if one}
    return found


def _of_files(names: set[str], what: str) -> Iterator[str]:
    tracked = _tracked()
    yield from (f"{what} lacks {name}" for name in sorted(tracked - names))
    yield from (f"{what} has {name}, which git does not know" for name in sorted(names - tracked))
    for name in _packages().values():
        if f"{name}/py.typed" not in names:
            yield f"{name} has no py.typed"


def _of_licences(licences: set[str], info: str) -> Iterator[str]:
    """Yields licences that do not go along: the project's own, and of what is kept whole from others."""
    folders = tuple(_packages())
    listed = _run(["git", "-C", str(ROOT), "ls-files", "-z"]).split("\0")
    vendored = {
        one
        for one in listed
        if one.startswith(folders) and PurePosixPath(one).name.upper().startswith("LICENSE")
    }
    for name in sorted({"LICENSE", *vendored}):
        if f"{info}/licenses/{name}" not in licences:
            yield f"the licence {name} is not in the wheel"


def _of_metadata(metadata: Message) -> Iterator[str]:
    declared = project()["project"]
    assert isinstance(declared, dict)
    if metadata["Version"] != declared["version"]:
        yield f"the wheel's version is {metadata['Version']}, the project's {declared['version']}"
    lacking = set(declared["optional-dependencies"]) - set(metadata.get_all("Provides-Extra", []))
    yield from (f"the wheel has no extra {extra}" for extra in sorted(lacking))
    yield from (
        f"the long description has a link that an index cannot follow: {link}"
        for link in _RELATIVE_LINK.findall(_prose(str(metadata.get_payload())))
    )


def _prose(text: str) -> str:
    """Returns Markdown without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def _of_sdist(sdist: Path) -> Iterator[str]:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = {
        f"{folder}/{name.partition('/')[2]}"
        for folder, package in _packages().items()
        for name in _tracked()
        if name.startswith(f"{package}/")
    }
    for name in sorted({*tracked, "pyproject.toml", "README.md", "LICENSE", "PKG-INFO"} - names):
        yield f"{sdist.name} lacks {name}"


def _message(content: bytes) -> Message:
    return email.parser.Parser().parsestr(content.decode())
