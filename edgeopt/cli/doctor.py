"""`edgeopt doctor`: what is installed, what is missing, what to type."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

import typer

from edgeopt.cli import options as opt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgeopt.cli.checks import Check

__all__ = ["doctor"]

_INDENT = 31


def doctor(*, json: opt.Json = False) -> None:
    """Say what is installed, what is missing, what for, and what to type.

    The exit status is 3 where no backend can be used.
    """
    import msgspec  # noqa: PLC0415 (only here)

    from edgeopt.cli.checks import checks  # noqa: PLC0415
    from edgeopt.cli.show import print_json, printable  # noqa: PLC0415

    entries = checks()
    if json:
        print_json(msgspec.to_builtins(entries))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
        sys.stdout.write(printable("\n".join(_lines(entries, width)) + "\n"))
    if not _usable(entries):
        raise typer.Exit(3)


def _usable(entries: Sequence[Check]) -> bool:
    """Returns whether a backend can be used."""
    return any(one.kind == "backend" and one.status == "ok" for one in entries)


def _lines(entries: Sequence[Check], width: int) -> Iterator[str]:
    from edgeopt.cli.checks import GROUPS  # noqa: PLC0415 (only here)

    for kind, title in GROUPS.items():
        group = [one for one in entries if one.kind == kind]
        yield title
        for one in group:
            yield from _entry(one, width)
    missing = sum(one.status == "missing" for one in entries)
    yield ""
    if not _usable(entries):
        yield "No backend can be used: install the toolchain of one, as said above."
    elif missing:
        yield f"{missing} missing; each is needed only for what is said beside it."
    else:
        yield "Nothing is missing."


def _entry(one: Check, width: int) -> Iterator[str]:
    said = "; ".join(part for part in (one.version, one.purpose, one.detail) if part)
    head = f"  {one.name:20} {one.status:7} "
    room = max(width - _INDENT, 20)
    rows = textwrap.wrap(said, room, break_long_words=False, break_on_hyphens=False) or [""]
    yield (head + rows[0]).rstrip()
    yield from (" " * _INDENT + row for row in rows[1:])
    if one.fix:
        yield f"      -> {one.fix}"  # in one line, so that it can be copied
