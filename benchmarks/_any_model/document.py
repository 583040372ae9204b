"""docs/any_model.md: what came of all models, and why some were refused."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from _any_model.failures import reason
from edgeopt.contracts.storage import Precision

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from _any_model.examine import Place, Row

__all__ = ["document"]

KINDS = ("right", "short", "unlike", "refused", "wrong", "fault", "killed")
PARITY = ("right", "short")
"""Kinds that compute what the reference computes."""
REASONS = 40
HEAD = """# Any model

Made by `make any-model` (`benchmarks/any_model.py`). {models} of {every} models: of timm, torchvision, ultralytics and transformers,
and code in the style of people's repositories (`benchmarks/_any_model/own/`), with seeded weights and settled batch
norms. Each is built as its user would, and passed as it is, before it has ever run. What the figures say: whether the
model goes through, whether what comes out computes the same, and how the arithmetic behaves; nothing of accuracy.
A run goes on where the last one stopped: a row is as old as its model's line in `out/any_model.jsonl`.

- **captured**: `edgeopt.capture` and the core passes; beside torch on other inputs, at least 60 dB.
- **kept**: what was captured still computes what it did; people go on with it.
- **float32**: compiled and run on an x86-64 machine beside torch, at least 45 dB, and parity with the reference.
- **int8**: quantized once on 12 inputs for all backends; judged by parity and fidelity as `edgeopt.deploy` does, without its
  fallbacks. The figure is int8 on that backend beside torch in float, in dB.

**right**: through, and the same. **short**: it runs as the reference does, and the gate says that too little is left of an
output, or of a channel of it; **unlike**: the gate finds no parity with the reference. (Neither is a refusal of the model:
`deploy` would go on to its fallbacks.) **refused**: an error of edgeopt, with what to write. **wrong**, **fault**,
**killed**: it computes something else and nobody was told; an exception that is not ours; more than {seconds} s or {memory} MB.
"""


def document(rows: Sequence[Row], every: int, seconds: float, memory_mb: int) -> str:
    """Returns the page.

    Args:
        rows: All that is known.
        every: How many models the zoo has.
        seconds: Limit of one step of a model.
        memory_mb: Limit of a model.
    """
    models = list(dict.fromkeys(row.model for row in rows))
    parts = [
        HEAD.format(models=len(models), every=every, seconds=f"{seconds:.0f}", memory=memory_mb),
        "## How many\n",
        _shares(rows),
        _counts(rows),
        "## Why not\n",
        _reasons(rows),
        "## Each model\n",
        _table(rows, models),
    ]
    return "\n".join(parts)


def _shares(rows: Sequence[Row]) -> str:
    """Returns, of those that were tried, how many are captured, run in float32, and have parity in int8."""
    kinds: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        kinds[str(row.place)][row.model] = row.kind
    built, captured = kinds["captured"], [m for m, k in kinds["captured"].items() if k == "right"]
    lines = ["| | of | share |", "|---|--:|--:|", _share("captured", captured, built)]
    for backend in ("tflite", "openvino", "tvm"):
        tried = kinds[f"deployed {backend} float32"]
        runs = [model for model, kind in tried.items() if kind == "right"]
        lines.append(_share(f"{backend}: float32 as torch", runs, tried))
        judged = {m: k for m, k in kinds[f"deployed {backend} int8"].items() if m in runs}
        alike = [model for model, kind in judged.items() if kind in PARITY]
        lines.append(_share(f"{backend}: int8 with parity", alike, judged))
    return "\n".join(filter(None, lines)) + "\n"


def _share(name: str, chosen: Collection[str], every: Collection[str]) -> str:
    return f"| {name} | {len(every)} | {len(chosen) / len(every):.1%} |" if every else ""


def _counts(rows: Sequence[Row]) -> str:
    counts: dict[tuple[Place, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[row.place, row.model.partition("/")[0]][row.kind] += 1
        counts[row.place, ""][row.kind] += 1
    lines = ["| | family | " + " | ".join(KINDS) + " |", "|---|---|" + "--:|" * len(KINDS)]
    for place, family in sorted(counts, key=_order):
        numbers = " | ".join(str(counts[place, family][kind] or "") for kind in KINDS)
        name = f"**{place}**" if not family else ""
        lines.append(f"| {name} | {family or 'all'} | {numbers} |")
    return "\n".join(lines) + "\n"


def _order(key: tuple[Place, str]) -> tuple[int, str, str, str]:
    place, family = key
    stages = ("built", "captured", "kept", "quantized", "deployed")
    at = stages.index(place.stage) + len(stages) * (place.precision not in ("", Precision.FLOAT32))
    return at, place.precision, place.backend, family


def _reasons(rows: Sequence[Row]) -> str:
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        if row.kind not in PARITY:
            groups[str(row.place), f"{row.kind}: {reason(row)}"].append(row.model)
    lines = ["| | models | why |", "|---|--:|---|"]
    for (place, why), members in sorted(groups.items(), key=lambda one: -len(one[1]))[:REASONS]:
        named = ", ".join(sorted(members)[:3]) + ("…" if len(members) > 3 else "")  # noqa: PLR2004
        text = why.replace("|", "\\|")
        lines.append(f"| {place} | {len(members)} | {text[:240]} ({named}) |")
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Row], models: Sequence[str]) -> str:
    cells = {(row.model, row.place): row for row in rows}
    places = sorted(
        {row.place for row in rows if row.place.stage != "built"}, key=lambda p: _order((p, ""))
    )
    lines = [
        "| model | " + " | ".join(str(p).removeprefix("deployed ") for p in places) + " |",
        "|---|" + "---|" * len(places),
    ]
    for model in sorted(models):
        row = " | ".join(_cell(cells.get((model, place))) for place in places)
        lines.append(f"| {model} | {row} |")
    return "\n".join(lines) + "\n"


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    ratio = "" if row.snr_db is None else f"{row.snr_db:.0f}"
    return ratio if row.kind == "right" else f"{row.kind} {ratio}".strip()
