"""Two or more reports beside each other: the figures, and the layers in which they differ."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from edgeopt.reporting.markup import WORDS, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.reporting.content import Layer, Report

__all__ = ["changed_layers", "comparison_html"]

SHOWN = 200
LEAST_DB = 1.0
"""A ratio that moved by less is as before."""
LEAST_MS = 0.05
"""So is a time that moved by a smaller share."""


def comparison_html(reports: Sequence[Report]) -> str:
    """Returns the figures of all reports beside each other, then what differs layer by layer."""
    titles = [f"{chr(ord('A') + place)}: {one.title}" for place, one in enumerate(reports)]
    names = list(dict.fromkeys(one.title for report in reports for one in report.figures))
    rows = [["Verdict", *(escape(one.verdict) for one in reports)]]
    rows += [[escape(name), *(_cell(report, name) for report in reports)] for name in names]
    changes = changed_layers(reports[0], reports[1])
    return (
        '<section id="comparison" aria-labelledby="comparison-title"><h2 id="comparison-title">Comparison</h2>\n'
        f"{table('comparison', 'Figures beside each other', ('What', *titles), rows)}"
        f"{_changes(changes)}</section>\n"
    )


def changed_layers(before: Report, after: Report) -> list[tuple[Layer | None, Layer | None]]:
    """Returns the layers of two reports that differ in kind, error, range or time; the largest loss first.

    A layer is the same one where its value has the same name; one that is in one report only stands beside None.
    """
    olds = {one.value: one for one in before.layers}
    news = {one.value: one for one in after.layers}
    pairs = [(olds.get(name), news.get(name)) for name in dict.fromkeys([*olds, *news])]
    return sorted((pair for pair in pairs if _differs(*pair)), key=lambda pair: _gain(*pair))


def _differs(old: Layer | None, new: Layer | None) -> bool:
    if old is None or new is None:
        return True
    return (
        old.kind != new.kind
        or old.storage != new.storage
        or abs(_gain(old, new)) >= LEAST_DB
        or _slower(old, new) >= LEAST_MS
    )


def _gain(old: Layer | None, new: Layer | None) -> float:
    """Returns by how many dB the second keeps more; 0 where that is not known."""
    if old is None or new is None or old.snr_db is None or new.snr_db is None:
        return 0.0
    return new.snr_db - old.snr_db


def _slower(old: Layer, new: Layer) -> float:
    if not old.time_ms or new.time_ms is None:
        return 0.0
    return abs(new.time_ms / old.time_ms - 1)


def _changes(changes: Sequence[tuple[Layer | None, Layer | None]]) -> str:
    if not changes:
        return "<p>No layer of A and B differs in kind, error or time.</p>\n"
    rows = [_change(*pair) for pair in changes[:SHOWN]]
    head = (
        "Value",
        "Where",
        "Kind in A",
        "Kind in B",
        "SNR in A",
        "SNR in B",
        "Time in A",
        "Time in B",
    )
    more = len(changes) - len(rows)
    note = f"<p>and {more} more.</p>\n" if more else ""
    return table("changes", f"{len(changes)} layers that differ between A and B", head, rows) + note


def _change(old: Layer | None, new: Layer | None) -> list[str]:
    one = old or new
    if one is None:
        return []
    where = " ".join(part for part in (one.module, one.source) if part)
    cells = [one.value, where]
    cells += ["none" if layer is None else _kind(layer) for layer in (old, new)]
    cells += [
        "" if not layer or layer.snr_db is None else f"{layer.snr_db:.1f} dB"
        for layer in (old, new)
    ]
    cells += [
        "" if not layer or layer.time_ms is None else f"{layer.time_ms:.3g} ms"
        for layer in (old, new)
    ]
    return [escape(cell) for cell in cells]


def _kind(layer: Layer) -> str:
    return f"{layer.kind} {layer.storage}".strip()


def _cell(report: Report, name: str) -> str:
    figure = next((one for one in report.figures if one.title == name), None)
    if figure is None:
        return ""
    interval = f"<br><small>{escape(figure.interval)}</small>" if figure.interval else ""
    return f'<span class="state {figure.state}">{WORDS[figure.state]}</span> {escape(figure.value)}{interval}'
