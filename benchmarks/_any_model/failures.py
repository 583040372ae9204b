"""What did not go through, for those who mend it."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _any_model.examine import Row

__all__ = ["failures", "reason"]

SHOWN = 6
"""Operators of a report that are named."""


def reason(row: Row) -> str:
    """Returns why, without what differs from model to model: names, numbers, shapes, lines."""
    if row.operators:
        kinds = [re.sub(r" at .*?: ", ": ", one, count=1) for one in row.operators]
        text = "; ".join(sorted({_general(one) for one in kinds}))
    else:
        text = _general(row.what)
    return f"{row.error}: {text}" if row.error else text


def failures(rows: Iterable[Row]) -> str:
    """Returns Markdown: each place and reason with its models, those with most of them first."""
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row.kind != "right":
            groups[str(row.place), row.kind, reason(row)].append(row)
    lines = []
    for (place, kind, why), members in sorted(groups.items(), key=lambda one: -len(one[1])):
        lines.append(f"## {place}: {kind} ({len(members)}): {why[:300]}\n")
        lines += [_entry(row) for row in members]
        lines.append("")
    return "\n".join(lines)


def _entry(row: Row) -> str:
    told = [f"- **{row.model}** {row.error}: {row.what}"]
    parts = {"where": row.where, "hint": row.hint, "cause": row.cause}
    told += [f"  - {name}: {text}" for name, text in parts.items() if text]
    told += [f"  - {one}" for one in row.operators[:SHOWN]]
    if len(row.operators) > SHOWN:
        told.append(f"  - and {len(row.operators) - SHOWN} more")
    ratios = {"beside torch": row.snr_db, "parity": row.parity_db}
    told += [f"  - {name}: {ratio} dB" for name, ratio in ratios.items() if ratio is not None]
    return "\n".join(told)


def _general(text: str) -> str:
    """Returns ``text`` with names of values, numbers and shapes taken out."""
    text = re.sub(r"\(([^()]*:\d+)\)", "", text)
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", text)
    text = re.sub(r"[\[(][\d, x]+[\])]", "[…]", text)
    text = re.sub(r"-?\d+(\.\d+)?(e[+-]?\d+)?", "N", text)
    return re.sub(r"\b\w+_N\b|\bu N\b", "…", text)
