"""Puts every operator of PyTorch's operator database through every backend, beside torch.

    python scripts/operator_database.py [--operators REGEX] [--samples 1] [--backends tflite,tvm] [--again] [--write]

Each result becomes a line of JSON in the file ``--results``; what is known according to it is not run
again, so that a run which was stopped goes on, and another one adds backends, precisions or samples.
``--again`` forgets what is known of operators with a fault. ``--write`` puts the rates into
docs/operator_database.md.
"""

from __future__ import annotations

import argparse
import gc
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import torch

from edgeopt.files import write_file
from edgeopt.testing.operator_database import (
    BACKENDS,
    PRECISIONS,
    Bench,
    Done,
    Result,
    document,
    examine_isolated,
    operators,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "operator_database.md"
_lines = msgspec.json.Decoder(Result | Done)


def main() -> int:
    """Runs what is left to run, and writes the document where that is asked for."""
    chosen = _arguments()
    chosen.results.parent.mkdir(parents=True, exist_ok=True)
    if chosen.again:
        _forget_faults(chosen.results, chosen.operators)
    before = _read(chosen.results)
    torch.set_num_threads(1)
    bench = Bench(chosen.backends.split(","), chosen.precisions.split(","))
    plan = bench.plan(chosen.samples)
    through = {row.operator for row in before if isinstance(row, Done) and plan.within(row.plan)}
    todo = [
        operator
        for name, operator in operators().items()
        if name not in through and re.search(chosen.operators, name)
    ]
    bench.warm_up()
    gc.collect()
    gc.freeze()  # forked workers share what is loaded
    known = [row for row in before if isinstance(row, Result)]
    with chosen.results.open("ab") as out:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for row in examine_isolated(bench, todo, chosen.samples, known):
            out.write(_line(row))
            out.flush()
            if isinstance(row, Result):
                counts[row.operator][row.outcome] += 1
            else:
                print(f"{row.operator}: {dict(counts[row.operator])}", flush=True)
    if chosen.write:
        _write(_read(chosen.results))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--operators", default="", help="only those whose name holds this")
    parser.add_argument("--samples", type=int, default=1, help="samples of each dtype")
    parser.add_argument("--backends", default=",".join(BACKENDS))
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--results", type=Path, default=ROOT / "out" / "operator_database.jsonl")
    parser.add_argument("--again", action="store_true", help="those with a fault, anew")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def _read(path: Path) -> list[Result | Done]:
    if not path.exists():
        return []
    return [_lines.decode(line) for line in path.read_bytes().splitlines()]


def _forget_faults(path: Path, pattern: str) -> None:
    """Takes all rows of operators with a fault, whose name holds ``pattern``, out of the file."""
    rows = _read(path)
    faulty = {
        row.operator
        for row in rows
        if isinstance(row, Result)
        and row.outcome in ("wrong", "error")
        and re.search(pattern, row.operator)
    }
    write_file(path, b"".join(_line(row) for row in rows if row.operator not in faulty))


def _line(row: Result | Done) -> bytes:
    return msgspec.json.encode(row) + b"\n"


def _write(rows: Iterable[Result | Done]) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    results = [row for row in rows if isinstance(row, Result)]
    DOCUMENT.write_text(document(text, results), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
