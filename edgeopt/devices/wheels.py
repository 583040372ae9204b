"""Installs Python requirements into a folder, for this Python or for a device's.

pip chooses the wheels; only wheels, since a device need not have a compiler and a source
distribution runs its author's program. What is installed appears in the folder once all of it is
there.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgeopt.devices.merge import merge_installed
from edgeopt.devices.process import run_process
from edgeopt.errors import DeviceError
from edgeopt.files import drafting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.contracts import Completed

__all__ = ["Interpreter", "download_wheels", "install_wheels"]

INSTALL_TIMEOUT_S = 1200.0
_QUIET = (*("--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar=off"),)
_INSTALL = ("--no-warn-script-location", "--root-user-action=ignore", "--no-user")
# pip reads a wheel's conditions ("; platform_machine == ...") as true or false for the machine that
# it runs on, even when told another platform (https://github.com/pypa/pip/issues/11664).
_ELSEWHERE = """
import json, runpy, sys
from pip._vendor.packaging import markers
there = json.loads(sys.argv.pop(1))
if not callable(getattr(markers, "default_environment", None)):
    sys.exit("ERROR: this version of pip cannot install for another machine")
markers.default_environment = lambda: dict(there)
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
_NONE_FITS = re.compile(r"No matching distribution found for (.+?)(?: \(from .*)?$", re.MULTILINE)
_VERSIONS = re.compile(r"\(from versions: (.+?)\)")
_ERROR = re.compile(r"^ERROR: (.+)$", re.MULTILINE)


class Interpreter(msgspec.Struct, frozen=True):
    """The Python of another machine, as far as choosing wheels needs it.

    Attributes:
        version: For example ``3.11``.
        platforms: Platform tags of wheels that run there, the preferred first.
        markers: The environment that conditions of requirements are evaluated in (PEP 508).
    """

    version: str
    platforms: tuple[str, ...]
    markers: dict[str, str]


def install_wheels(
    requirements: Sequence[str], into: Path, *, where: str, python: Interpreter | None = None
) -> None:
    """Installs ``requirements`` and what they need into folder ``into``.

    Args:
        requirements: As in a requirements file (``numpy==2.4.6``), or paths of wheels.
        into: The folder; what it holds already stays, but for other versions of the same.
        where: What to call the device in an error.
        python: The Python to choose wheels for; this one where None.

    Raises:
        DeviceError: A requirement has no wheel there (it is named), or pip failed.
    """
    specifiers = [_checked(requirement, where) for requirement in requirements]
    if not specifiers:
        return
    try:
        with drafting(into) as draft:
            _run_pip(specifiers, draft / "new", where, python)
            merge_installed(draft / "new", into)
    except OSError as error:
        raise DeviceError(f"cannot be written: {error}", where=str(into)) from error


def download_wheels(
    requirements: Sequence[str], into: Path, *, where: str, python: Interpreter
) -> list[Path]:
    """Returns the wheels of ``requirements`` and of what they need, downloaded to folder ``into``.

    Args:
        requirements: As for `install_wheels`.
        into: The folder.
        where: What to call the device in an error.
        python: The Python to choose wheels for.

    Raises:
        DeviceError: A requirement has no wheel there (it is named), or pip failed.
    """
    specifiers = [_checked(requirement, where) for requirement in requirements]
    into.mkdir(parents=True, exist_ok=True)
    if specifiers:
        _call_pip(["download", f"--dest={into}"], specifiers, into, where, python)
    return sorted(into.glob("*.whl"))


def _checked(requirement: str, where: str) -> str:
    if requirement.endswith(".whl") and Path(requirement).is_file():
        return str(Path(requirement).absolute())
    if not re.match(r"[A-Za-z0-9]", requirement) or not requirement.isprintable():
        hint = "write it as in a requirements file: numpy==2.4.6"
        raise DeviceError(f"{requirement!r} is no requirement", where=where, hint=hint)
    return requirement


def _run_pip(wanted: list[str], into: Path, where: str, python: Interpreter | None) -> None:
    target = ["--no-compile"] if python is not None else []
    _call_pip(
        ["install", *_INSTALL, *target, f"--target={into}"], wanted, into.parent, where, python
    )


def _call_pip(
    what: list[str], wanted: list[str], cwd: Path, where: str, python: Interpreter | None
) -> None:
    command = [sys.executable, "-I"]
    elsewhere: list[str] = []
    if python is None:
        command += ["-m", "pip"]
    else:
        command += ["-c", _ELSEWHERE, json.dumps(python.markers)]
        elsewhere = ["--implementation=cp", f"--python-version={python.version}"]
        elsewhere += [f"--platform={tag}" for tag in python.platforms]
    command += [*what, *_QUIET, "--only-binary=:all:", *elsewhere]
    process = run_process(
        [*command, "--", *wanted],
        cwd=cwd,
        env=os.environ,
        timeout_s=INSTALL_TIMEOUT_S,
        where=where,
    )
    if process.returncode != 0:
        raise _failure(process, wanted, where)


def _failure(done: Completed, wanted: list[str], where: str) -> DeviceError:
    if "No module named pip" in done.stderr:
        hint = "python -m ensurepip"
        return DeviceError("this Python has no pip to install with", where=where, hint=hint)
    missing = _NONE_FITS.search(done.stderr)
    if missing:
        versions = _VERSIONS.search(done.stderr)
        offered = versions.group(1) if versions else "none"
        other = None if offered == "none" else f"versions with one: {offered}"
        what = f"there is no wheel of {missing.group(1)!r} for this device"
        return DeviceError(what, where=where, hint=other)
    complaint = _ERROR.search(done.stderr)
    reason = (
        complaint.group(1)
        if complaint
        else done.stderr.strip()[-500:] or f"status {done.returncode}"
    )
    return DeviceError(f"pip could not install {', '.join(wanted)}: {reason}", where=where)
