"""What a notebook shows: verdict, figures and warnings, a few kilobytes; the whole page is a file of its own."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from edgeopt.reporting.markup import WORDS

if TYPE_CHECKING:
    from edgeopt.reporting.content import Report

__all__ = ["report_summary"]

SHOWN = 5


def report_summary(report: Report) -> str:
    """Returns HTML without scripts and styles of its own that a notebook may have in a cell."""
    rows = "".join(
        f"<tr><th>{escape(one.title)}</th><td>{WORDS[one.state]}</td><td>{escape(one.value)}</td>"
        f"<td>{escape(one.interval)}</td><td>{escape(one.source)}</td></tr>"
        for one in report.figures
    )
    notes = [
        *report.warnings[:SHOWN],
        *(f"{one.title}: {one.sentence}" for one in report.findings[:SHOWN]),
    ]
    lines = "".join(f"<li>{escape(note)}</li>" for note in dict.fromkeys(notes))
    return (
        f"<div><p><strong>{escape(report.title)}</strong> ({escape(report.subtitle)})</p>"
        f"<p>{escape(report.verdict)}</p><table><tbody>{rows}</tbody></table><ul>{lines}</ul></div>"
    )
