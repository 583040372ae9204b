"""`edgeopt report`."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeopt.cli import options as opt

if TYPE_CHECKING:
    from edgeopt.reporting import Document

__all__ = ["report"]


def report(
    *,
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Bundles, or what `deploy --json` printed; with them what `profile --save` wrote, and what "
            "`search --json` printed."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The .html file to write; else beside the first one."),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    json: opt.Json = False,
) -> None:
    """Write what is known of a deployment as one page; of several, compared."""
    from edgeopt.api import report as gathered  # noqa: PLC0415 (only here)
    from edgeopt.cli.show import print_json, print_rows  # noqa: PLC0415

    document = gathered(*sources)
    if json:
        print_json([one.to_dict() for one in document.reports])
        if output is None and not show:
            return
    path = document.save(output or _place(sources[0]))
    if show:
        webbrowser.open(path.absolute().as_uri())
    if not json:
        print_rows(_rows(document, path))


def _place(source: Path) -> Path:
    """Returns where the page of a source goes: beside it, since a bundle holds nothing but its own files."""
    absolute = source.absolute()
    stem = absolute.stem if absolute.suffix in (".json", ".zip") else absolute.name
    return absolute.with_name(f"{stem}.report.html")


def _rows(document: Document, path: Path) -> list[tuple[str, str]]:
    rows = [(one.title, one.verdict) for one in document.reports]
    return [*rows, ("report", f"{path} ({path.stat().st_size / 1000:.0f} kB)")]
