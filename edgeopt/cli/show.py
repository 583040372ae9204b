"""Prints: tables for people, plain columns for pipes, JSON for programs. Progress goes to stderr."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgeopt.progress import progress_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from edgeopt.contracts import TuningEvent, Watch

__all__ = [
    "print_columns",
    "print_json",
    "print_rows",
    "printable",
    "progress_bars",
    "tuning_bars",
    "write_picture",
]


def print_json(value: Any) -> None:
    """Prints ``value`` as JSON on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, default=str) + "\n")


def write_picture(path: Path, svg: str) -> None:
    """Writes a picture to a file.

    Raises:
        InputError: It cannot be written.
    """
    from edgeopt.errors import InputError  # noqa: PLC0415 (rarely needed)
    from edgeopt.files import write_file  # noqa: PLC0415

    try:
        write_file(path, svg.encode())
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error


def printable(text: str) -> str:
    """Returns ``text`` as a terminal may have it: what is no letter, line or tab, as its escape.

    Names and messages come from files and devices, and could steer the terminal.
    """
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def print_rows(rows: Sequence[tuple[str, str]], *, title: str = "") -> None:
    """Prints (what, value) rows: as a table in a terminal, as aligned text in a pipe."""
    if not sys.stdout.isatty():
        width = max((len(what) for what, _ in rows), default=0)
        before = None
        for what, value in rows:
            shown = "" if what == before else what
            sys.stdout.write(printable(f"{shown:{width}}  {value}".rstrip()) + "\n")
            before = what
        return
    table = _table(title)
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column()
    before = None
    for what, value in rows:
        table.add_row(_plain("" if what == before else what), _coloured(what, value))
        before = what
    _print(table)


def print_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table with a header: boxed in a terminal, as aligned text in a pipe."""
    if not sys.stdout.isatty():
        widths = [max(len(r[i]) for r in (header, *rows)) for i in range(len(header))]
        for row in (header, *rows):
            line = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
            sys.stdout.write(printable(line.rstrip()) + "\n")
        return
    table = _table("")
    table.show_header = True
    for place, name in enumerate(header):
        table.add_column(name, style="bold cyan" if place == 0 else "", no_wrap=place == 0)
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    _print(table)


@contextmanager
def progress_bars(*, quiet: bool = False) -> Iterator[Callable[[str, str], None] | None]:
    """Shows how far the work within the block is: bars on a terminal's standard error, else nothing.

    Yields what puts a text beside the bar of a stage; None where there are none.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 (only in a terminal)
    from rich.progress import Progress as Bars  # noqa: PLC0415

    with Bars(console=Console(stderr=True), transient=True) as bars:
        listener = _Bars(bars)
        with progress_to(listener):
            yield listener.describe


class _Bars:
    """One bar a stage; a stage may be described by more than its name."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def __call__(self, stage: str, done: float, total: float) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total)
        self._bars.update(self._tasks[stage], completed=done, total=total)

    def describe(self, stage: str, text: str) -> None:
        """Says ``text`` beside the bar of ``stage``."""
        if stage in self._tasks:
            self._bars.update(self._tasks[stage], description=text)


def _table(title: str) -> Any:
    from rich import box  # noqa: PLC0415 (only in a terminal)
    from rich.table import Table  # noqa: PLC0415

    return Table(title=title or None, box=box.ROUNDED, show_header=False, title_justify="left")


def _coloured(what: str, value: str) -> Any:
    from rich.text import Text  # noqa: PLC0415 (only in a terminal)

    value = printable(value)
    if what == "warning":
        return Text(value, style="yellow")
    bad = "FAILED" in value or "outside max_drop" in value or "too little is left" in value
    return Text(value, style="red" if bad else "")


def _plain(text: str) -> Any:
    from rich.text import Text  # noqa: PLC0415 (only in a terminal)

    return Text(printable(text))


def _print(table: Any) -> None:
    from rich.console import Console  # noqa: PLC0415 (only in a terminal)

    Console().print(table)


@contextmanager
def tuning_bars(*, quiet: bool = False) -> Iterator[Watch | None]:
    """Shows bars, and yields what puts trials, the best so far and the time left beside tuning's."""
    with progress_bars(quiet=quiet) as describe:
        yield None if describe is None else lambda event: describe("tune", _said(event))


def _said(event: TuningEvent) -> str:
    of = f" of {event.trials}" if event.trials else ""
    times = event.default_ms / event.best_ms if event.best_ms else 1.0
    minutes, seconds = divmod(round(event.left_s), 60)
    dropped = event.failed + event.wrong
    bad = f", {dropped} dropped" if dropped else ""
    return (
        f"tune: trial {event.trial}{of}, best {event.best_ms:.3f} ms ({times:.2f} times as fast), "
        f"{minutes}:{seconds:02d} left{bad}"
    )
