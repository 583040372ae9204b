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


def document(text: str, results: Iterable[Result]) -> str:
    """Returns ``text`` with the tables of ``results`` between its marks.

    Raises:
        ValueError: It has no marks.
    """
    return marked(text, tables(results), MARKS)


def marked(text: str, content: str, marks: tuple[str, str]) -> str:
    """Returns ``text`` with ``content`` between ``marks``."""
    before, first, rest = text.partition(marks[0])
    _, last, after = rest.partition(marks[1])
    if not first or not last:
        raise ValueError(f"there is no place between {marks[0]} and {marks[1]}")
    return f"{before}{first}\n{content}{last}{after}"


def tables(results: Iterable[Result]) -> str:
    """Returns one table of totals, and one with a row for each operator."""
    counts: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for result in results:
        counts[result.operator, result.backend, result.precision][result.outcome] += 1
    return f"{_totals(counts)}\n{_by_operator(counts)}"


def _totals(counts: Counts) -> str:
    rows = ["| stage | precision | right | refused | wrong | error |", "|---|---|---|---|---|---|"]
    for place in (SAMPLES, CAPTURE, *BACKENDS):
        for precision in (*PRECISIONS, ""):
            total = Counter[str]()
            for (_, one, kind), count in counts.items():
                if (one, kind) == (place, precision):
                    total += count
            if total:
                figures = " | ".join(str(total[o]) for o in ("right", "refused", "wrong", "error"))
                rows.append(f"| {place} | {precision} | {figures} |")
    return "\n".join(rows) + "\n"


def _by_operator(counts: Counts) -> str:
    """Each cell: right/refused/wrong, the last with errors, of all precisions."""
    rows = [f"| operator | {' | '.join(BACKENDS)} |", "|---" * (len(BACKENDS) + 1) + "|"]
    uncaptured = []
    for operator in sorted({name for name, _, _ in counts}):
        cells = [_cell(counts, operator, backend) for backend in BACKENDS]
        if any(cells):
            rows.append(f"| `{operator}` | {' | '.join(cells)} |")
        else:
            uncaptured.append(f"`{operator}`")
    tail = f"\nNot captured, with the reason said: {', '.join(uncaptured)}.\n" if uncaptured else ""
    return "\n".join(rows) + "\n" + tail


def _cell(counts: Counts, operator: str, backend: str) -> str:
    total = Counter[str]()
    for precision in PRECISIONS:
        total += counts.get((operator, backend, precision), Counter())
    if not total:
        return ""
    return f"{total['right']}/{total['refused']}/{total['wrong'] + total['error']}"
