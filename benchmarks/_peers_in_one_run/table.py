"""The tables of docs/peers.md, and what is written as results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _peers_in_one_run.rows import Row, Timing

__all__ = ["BEGIN", "END", "figures", "page", "tables"]

BEGIN, END = "<!-- peers.py writes from here -->", "<!-- peers.py wrote to here -->"
_HEAD = ("peer", "precision", "task %", "as float %", "dB", "MB", "s", "CPU s", "MiB")


def page(text: str, rows: Sequence[Row]) -> str:
    """Returns the page ``text`` with the tables between its marks.

    Raises:
        ValueError: It has no marks.
    """
    before, mark, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"the page needs the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{tables(rows)}\n{END}{after}"


def tables(rows: Sequence[Row]) -> str:
    """Returns one table for each model, in the order in which they come, failures with their reasons."""
    models = dict.fromkeys(row.model for row in rows)
    return "\n".join(_table(model, [r for r in rows if r.model == model]) for model in models)


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Returns "model, peer" to what is known of it."""
    return {f"{row.model}, {row.peer}": msgspec.to_builtins(row) for row in rows}


def _table(model: str, rows: list[Row]) -> str:
    threads = sorted({timing.threads for row in rows for timing in row.timings})
    beside = next((row.beside for row in rows if row.beside), "")
    heads = [*_HEAD, *(f"{count} thread{'s' * (count > 1)}: ms, ratio" for count in threads)]
    lines = [f"### {model}", ""]
    exact = next((r.figures["task_float"] for r in rows if "task_float" in r.figures), None)
    if exact is not None:
        lines += [f"The float model's task: {100 * exact:.1f} %.", ""]
    if beside:
        lines += [f"Ratios of times are to {beside}: below 1 is faster.", ""]
    lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += [_line(row, threads) for row in rows if not row.failure]
    failures = [
        f"- **{r.peer}** failed at `{r.stage}`: {_plain(r.failure)}" for r in rows if r.failure
    ]
    return "\n".join([*lines, *([""] if failures else []), *failures, ""])


def _line(row: Row, threads: list[int]) -> str:
    timed = {timing.threads: timing for timing in row.timings}
    shares = [row.figures.get(name) for name in ("task", "agreement")]
    cells = [row.peer, row.precision]
    cells += ["" if share is None else f"{100 * share:.1f}" for share in shares]
    cells += [_number(row.figures.get("snr_db"), ".1f"), _number(row.size_mb, ".2f")]
    cells += [_number(value, ".0f") for value in (row.deploy_s, row.processor_s, row.peak_mb)]
    cells += [_timing(timed.get(count)) for count in threads]
    return "| " + " | ".join(cells) + " |"


def _timing(timing: Timing | None) -> str:
    if timing is None:
        return ""
    return f"{timing.median_ms:.3g}, {timing.ratio:.2f} [{timing.low:.2f}, {timing.high:.2f}]"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _plain(text: str) -> str:
    """Returns a reason without what would be markup, or the path of a machine."""
    words = [word.rsplit("/", 1)[-1] if word.count("/") > 1 else word for word in text.split()]
    return " ".join(words).replace("|", "\\|").replace("<", "&lt;")
