"""A device behind a shell: files travel as tar streams, programs run as jobs of ``sh``.

It needs what every Linux has (``sh``, ``tar``, ``find``, ``sha256sum``), BusyBox and Toybox included.
"""

from __future__ import annotations

import math
import secrets
import shutil
import tempfile
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Self

from edgeopt.contracts import Completed
from edgeopt.devices.about import About, ask_about
from edgeopt.devices.link import MOST_BYTES, ExchangeCap, Link, ScriptResult, call, patience_s
from edgeopt.devices.lock import hold_remote
from edgeopt.devices.merge import merge_installed
from edgeopt.devices.payload import Content, remote_entries, scan, unpack, write_payload
from edgeopt.devices.probe import facts_of, probe
from edgeopt.devices.process import MAX_OUTPUT, words
from edgeopt.devices.scripts import listing_script, pull_script, push_script, run_script
from edgeopt.devices.shell import quote
from edgeopt.devices.shell_facts import shell_probe
from edgeopt.devices.transfer import whole
from edgeopt.devices.wheels import install_wheels
from edgeopt.errors import DeviceError
from edgeopt.files import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["RemoteDevice"]

_GRACE_S = 30.0
"""Seconds that a device may take to say that it ended a program which took too long."""
LISTING_S = 3600.0
"""Seconds that a device may take to digest what lies there."""
MOST_PULLED = 4 << 30
"""So many bytes may come from a device at once."""
_MARGIN_KB = 1024
_MAKE_ROOM = "what lies in {0}/bundles and {0}/site may be removed"
_SIGNALS = range(129, 193)  # what a shell makes of a program that a signal ended


class RemoteDevice:
    """A device that a `Link` leads to. Relative paths are within `workdir`.

    Args:
        link: The way to it.
        work: The folder it may use, as a word of a script; kept afterwards.
    """

    def __init__(self, link: Link, work: str) -> None:
        self.name = link.name
        self._link = link
        self._work = work
        self._about: About | None = None
        self._asking = threading.Lock()
        self._closed = False

    @property
    def emulated(self) -> bool:
        """Whether its Python runs under an emulator."""
        return bool(self.about.emulator)

    @property
    def arch(self) -> str:
        """Its architecture."""
        return self.about.arch

    @property
    def about(self) -> About:
        """What does not change on it; asked once.

        Raises:
            DeviceError: It cannot be reached.
        """
        self._check_open()
        with self._asking:
            if self._about is None:
                self._about = ask_about(self._link, self._work)
            return self._about

    def push(self, local: Path, remote: PurePosixPath) -> None:
        """Copies a file or a folder to ``remote``; only files that differ there travel.

        Raises:
            DeviceError: It cannot be copied; what lay at ``remote`` is still there.
        """
        path = self._path(remote)
        content = scan(Path(local))
        listed = call(self._link, listing_script(path), limits=ExchangeCap(LISTING_S, MOST_BYTES))
        there = remote_entries(listed.stdout)
        if listed.word in {"file", "folder"} and there == content:
            return
        same = [
            name for name, entry in content.items() if entry.digest and there.get(name) == entry
        ]
        self._check_room(Path(local), content, same, listed.number)
        feed = partial(write_payload, source=Path(local), content=content, kept=same)
        script = push_script(path, secrets.token_hex(4))
        size = sum(_size(Path(local), name) for name in content.keys() - set(same))
        answer = call(
            self._link, script, feed=feed, limits=ExchangeCap(patience_s(size), MOST_BYTES)
        )
        if answer.word != "done":
            full = answer.word == "full"
            reason = f"no room is left there ({answer.reason})" if full else answer.reason
            hint = _MAKE_ROOM.format(self.workdir()) if full else None
            where = f"{self.name}:{path}"
            raise DeviceError(f"{local} cannot be copied: {reason}", where=where, hint=hint)

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        """Copies a file or a folder from ``remote``.

        Raises:
            DeviceError: It is missing or cannot be copied.
        """
        path = self._path(remote)
        where = f"{self.name}:{path}"
        limit = self._room_for(path)
        with tempfile.TemporaryFile() as stream:
            limits = ExchangeCap(patience_s(limit), limit)
            answer = call(self._link, pull_script(path), limits=limits, into=stream)
            if answer.word == "missing":
                raise DeviceError("there is no such file or folder", where=where)
            if answer.word == "link":
                raise DeviceError(f"{answer.reason} is a link to a folder", where=where)
            if answer.word == "failed":
                raise DeviceError(f"cannot be copied: {answer.reason}", where=where)
            with whole(Path(local), where) as new:
                if answer.word == "folder":
                    unpack(stream, new, self.name, limit)
                else:
                    _write(stream, new, program=answer.word == "program")

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: PurePosixPath | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 300.0,
    ) -> Completed:
        """Runs ``command`` and returns its result, whatever its exit status.

        A status from 129 to 192 is taken for a signal, as shells do.

        Args:
            command: Program and arguments; the program ``python3`` is the device's Python.
            cwd: The folder it runs in; `workdir` where None.
            env: Variables beside those that every program on the device has.
            timeout_s: Seconds after which it, and what it started, is killed.

        Raises:
            DeviceError: It could not be started, ran past ``timeout_s``, or the device was lost;
                then it was ended there.
        """
        if isinstance(command, str) or not command:
            raise DeviceError("a command is a list: a program and its arguments", where=self.name)
        limit_s = None if math.isinf(timeout_s) else max(1, math.ceil(timeout_s))
        folder = self._path(cwd or PurePosixPath())
        body = run_script(
            self._argv(command),
            job=self.workdir() / "jobs" / secrets.token_hex(8),
            cwd=folder,
            env=env or {},
            limit_s=limit_s,
            most_bytes=MAX_OUTPUT,
        )
        patience = math.inf if limit_s is None else limit_s + _GRACE_S
        limits = ExchangeCap(patience, 2 * MAX_OUTPUT)  # the script cuts the output itself
        answer = call(self._link, body, limits=limits, watches=True)
        return self._completed(answer, command, folder, timeout_s)

    def install(self, requirements: Sequence[str], into: PurePosixPath) -> None:
        """Installs ``requirements`` and what they need into folder ``into``.

        This machine's pip fetches the wheels that fit the device, which needs no network.

        Raises:
            DeviceError: A requirement has no wheel for the device; it is named.
        """
        python = self.about.interpreter(self.name)
        if not requirements:
            return
        with temporary_folder() as folder:
            new, site = folder / "new", folder / "site"
            install_wheels(requirements, new, where=self.name, python=python)
            if self._is_folder(into):
                self.pull(into, site)
            merge_installed(new, site)
            self.push(site, into)

    def facts(self) -> dict[str, Any]:
        """Returns what is known of the device now; None for each that is not."""
        about = self.about
        answer = probe(self) if about.python else shell_probe(self._link, about)
        machine_facts = facts_of(self, answer)
        return {**machine_facts, "emulator": about.emulator or None}

    @contextmanager
    def hold(self, wait_s: float) -> Iterator[None]:
        """Keeps other measurements off the device until the block ends.

        Raises:
            DeviceError: Another one runs for longer than ``wait_s``.
        """
        self._check_open()
        with hold_remote(self._link, wait_s):
            yield

    def workdir(self) -> PurePosixPath:
        """Returns a folder on the device that edgeopt may use."""
        return PurePosixPath(self.about.work)

    def close(self) -> None:
        """Ends the connection. A second call does nothing."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceError("this device is closed", where=self.name)

    def _path(self, remote: PurePosixPath) -> PurePosixPath:
        self._check_open()
        path = self.workdir() / remote
        if path.name in {"", ".", ".."}:
            raise DeviceError("this names no file or folder", where=f"{self.name}:{path}")
        return path

    def _argv(self, command: Sequence[str]) -> list[str]:
        program, *rest = command
        if program != "python3":
            return [program, *rest]
        if not self.about.python:
            hint = "install Python 3.9 or later there; a bundle with model/run needs none"
            raise DeviceError("there is no Python on it", where=self.name, hint=hint)
        return [self.about.python, *rest]

    def _is_folder(self, remote: PurePosixPath) -> bool:
        body = f"[ -d {quote(self._path(remote))} ] && end yes 0\nend no 0"
        return call(self._link, body).word == "yes"

    def _room_for(self, path: PurePosixPath) -> int:
        """Returns how many bytes ``path`` may be when it comes: by what the device says, with room.

        Raises:
            DeviceError: It is too large, or this machine has no room for it.
        """
        script = (
            f"p={quote(path)}\n"
            '{ du -skL --apparent-size "$p" || du -skL "$p"; } 2>/dev/null\nend size 0'
        )
        listing = call(self._link, script).stdout
        digits = listing.split(b"\t")[0].strip()[:15]
        size = int(digits) * 1024 if digits.isdigit() else 0
        # What a compressing file system stores in a block may be larger than that.
        limit = min(8 * size + MOST_BYTES, MOST_PULLED)
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if size > min(limit, free // 2):
            what = f"{path} is too large to be copied: {size >> 20} MiB"
            raise DeviceError(what, where=self.name, hint=f"{free >> 20} MiB are free here")
        return min(limit, free // 2)

    def _check_room(self, local: Path, content: Content, same: list[str], free_kb: int) -> None:
        new = content.keys() - set(same)
        size = sum(_size(local, name) for name in new)
        needed_kb = size // 1024 + 4 * len(new) + _MARGIN_KB
        if 0 < free_kb < needed_kb:
            what = f"not enough room: {needed_kb // 1024} MiB needed, {free_kb // 1024} MiB free"
            raise DeviceError(what, where=self.name, hint=_MAKE_ROOM.format(self.workdir()))

    def _completed(
        self, said: ScriptResult, command: Sequence[str], folder: PurePosixPath, timeout_s: float
    ) -> Completed:
        if said.word == "folder":
            raise DeviceError(f"there is no folder {folder} to run in", where=self.name)
        if said.word in {"program", "failed"}:
            reason = "there is no such program" if said.word == "program" else said.reason
            what = f"`{words(command)}` could not be started: {reason}"
            raise DeviceError(what, where=self.name)
        status = 128 - said.number if said.number in _SIGNALS else said.number
        out, err = (part.decode("utf-8", "replace") for part in (said.stdout, said.stderr))
        if said.word == "late":
            last = err.strip()[-200:]
            hint = f"its last words: {last}" if last else "raise timeout_s if it needs longer"
            what = f"`{words(command)}` ran longer than {timeout_s:g} s and was ended"
            raise DeviceError(what, where=self.name, hint=hint)
        return Completed(status, out, err, said.wall_s)


def _size(local: Path, name: str) -> int:
    """Returns the bytes of a member of `scan`."""
    return (local / name if name else local).stat().st_size


def _write(stream: IO[bytes], path: Path, *, program: bool) -> None:
    with path.open("wb") as new:
        shutil.copyfileobj(stream, new)
    path.chmod(0o755 if program else 0o644)
