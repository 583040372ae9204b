"""The rates as a document: for each operator and backend how many samples are right, refused, wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from edgeopt.testing.operator_database.bench import BACKENDS, PRECISIONS
from edgeopt.testing.operator_database.results import CAPTURE, SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edgeopt.testing.operator_database.results import Result

    Counts = Mapping[tuple[str, str, str], Counter[str]]

__all__ = ["document", "marked"]

MARKS = (
    "<!-- results: written by scripts/operator_database.py -->",
    "<!-- end of results -->",
)
_UNCAPTURED = "Not captured, with the reason said:"
_TOTALS = 6
"""Columns of the table of totals."""


def document(text: str, results: Iterable[Result]) -> str:
    """Returns ``text`` with the tables of ``results`` between its marks.

    What the tables there say of stages, operators and backends that ``results`` say nothing of stays.

    Raises:
        ValueError: It has no marks.
    """
    before = text.partition(MARKS[0])[2].partition(MARKS[1])[0]
    return marked(text, tables(results, before), MARKS)


def marked(text: str, content: str, marks: tuple[str, str]) -> str:
    """Returns ``text`` with ``content`` between ``marks``."""
    before, first, rest = text.partition(marks[0])
    _, last, after = rest.partition(marks[1])
    if not first or not last:
        raise ValueError(f"there is no place between {marks[0]} and {marks[1]}")
    return f"{before}{first}\n{content}{last}{after}"


def tables(results: Iterable[Result], before: str = "") -> str:
    """Returns one table of totals, and one with a row for each operator.

    Args:
        results: What goes into them.
        before: Tables that were made of other results.
    """
    counts: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for result in results:
        counts[result.operator, result.backend, result.precision][result.outcome] += 1
    return f"{_totals(counts, before)}\n{_by_operator(counts, before)}"


def _totals(counts: Counts, before: str) -> str:
    known = {(cells[0], cells[1]): cells[2:] for cells in _rows(before) if len(cells) == _TOTALS}
    rows = ["| stage | precision | right | refused | wrong | error |", "|---|---|---|---|---|---|"]
    for place in (SAMPLES, CAPTURE, *BACKENDS):
        for precision in (*PRECISIONS, ""):
            total = Counter[str]()
            for (_, one, kind), count in counts.items():
                if (one, kind) == (place, precision):
                    total += count
            figures = known.get((place, precision), [])
            if total:
                figures = [str(total[o]) for o in ("right", "refused", "wrong", "error")]
            if figures:
                rows.append(f"| {place} | {precision} | {' | '.join(figures)} |")
    return "\n".join(rows) + "\n"


def _by_operator(counts: Counts, before: str) -> str:
    """Each cell: right/refused/wrong, the last with errors, of all precisions."""
    known = {
        cells[0].strip("`"): cells[1:]
        for cells in _rows(before)
        if len(cells) == 1 + len(BACKENDS) and cells[0].startswith("`")
    }
    listed = before.partition(_UNCAPTURED)[2].strip().rstrip(".").split(", ")
    left_out = {name.strip("`") for name in listed if name}
    rows = [f"| operator | {' | '.join(BACKENDS)} |", "|---" * (len(BACKENDS) + 1) + "|"]
    uncaptured = []
    for operator in sorted({name for name, _, _ in counts} | set(known) | left_out):
        old = known.get(operator, [""] * len(BACKENDS))
        cells = [_cell(counts, operator, b) or o for b, o in zip(BACKENDS, old, strict=True)]
        if any(cells):
            rows.append(f"| `{operator}` | {' | '.join(cells)} |")
        else:
            uncaptured.append(f"`{operator}`")
    tail = f"\n{_UNCAPTURED} {', '.join(uncaptured)}.\n" if uncaptured else ""
    return "\n".join(rows) + "\n" + tail


def _rows(text: str) -> list[list[str]]:
    """Returns the cells of each row of the tables in ``text``."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line[1:].rstrip("|").split("|")] for line in lines]


def _cell(counts: Counts, operator: str, backend: str) -> str:
    total = Counter[str]()
    for precision in PRECISIONS:
        total += counts.get((operator, backend, precision), Counter())
    if not total:
        return ""
    return f"{total['right']}/{total['refused']}/{total['wrong'] + total['error']}"
