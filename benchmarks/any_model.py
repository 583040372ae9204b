"""Does any model that people deploy go through, and where it does not, does the refusal say what to write?

    python benchmarks/any_model.py --stage capture          # captured, and equal to torch: minutes
    python benchmarks/any_model.py --backends tflite openvino --precisions float32
    python benchmarks/any_model.py --models 'yolo11' --again wrong fault
    python benchmarks/any_model.py --write                  # docs/any_model.md and the results, from what is known

Models of timm, torchvision, ultralytics, transformers and of code as people write it, with seeded weights. Each is
examined in a process of its own, within limits of time and memory. Each result becomes a line of JSON in the file
``--results``; what is known according to it is not run again, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from _any_model.document import document
from _any_model.examine import Row, places
from _any_model.failures import failures
from _any_model.worker import Limits, examine_isolated, import_all
from _any_model.zoo import FAMILIES, chosen
from _common import Report

from edgeopt.files import write_file

if TYPE_CHECKING:
    from _any_model.entry import Entry
    from _any_model.examine import Place

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs" / "any_model.md"
BACKENDS = ("tflite", "openvino", "tvm")
PRECISIONS = ("float32", "int8")
KINDS = ("wrong", "refused", "short", "unlike", "fault", "killed")


def main() -> int:
    """Examines what is not known yet, and writes the table where that is asked for."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no process is left behind
    options = _arguments()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    if options.failures:
        print(failures(_read(options.results)))
        return 0
    if options.again:
        _forget(options.results, options.again, options.models, options.families)
    wanted = places(options.backends, options.precisions)
    if options.stage == "capture":
        wanted = wanted[:3]
    import_all()
    end = time.monotonic() + 60.0 * options.minutes
    rows = _read(options.results)
    with options.results.open("ab") as file:
        for entry in chosen(options.families, options.models):
            if time.monotonic() > end:
                break
            for row in _examined(entry, wanted, rows, options):
                file.write(msgspec.json.encode(row) + b"\n")
                file.flush()
                _show(row)
    if options.write:
        _write(options)
    return 0


def _write(options: argparse.Namespace) -> None:
    rows = _read(options.results)
    TABLE.write_text(
        document(rows, len(chosen()), options.seconds, options.memory), encoding="utf-8"
    )
    report = Report("any_model")
    for model in dict.fromkeys(row.model for row in rows):
        results = {str(row.place): _figures(row) for row in rows if row.model == model}
        report.add(model, results, f"{model}: {Counter(r['kind'] for r in results.values())}")
    report.write()


def _figures(row: Row) -> dict[str, Any]:
    every = msgspec.to_builtins(row)
    return {key: value for key, value in every.items() if value and key not in ("model", "place")}


def _examined(
    entry: Entry, wanted: list[Place], rows: list[Row], options: argparse.Namespace
) -> list[Row]:
    """Returns what comes of ``entry`` in those of the places ``wanted`` that are not known."""
    known = {row.place: row for row in rows if row.model == entry.name}
    failed = [p for p, row in known.items() if row.kind in ("wrong", "refused", "fault", "killed")]
    left = [p for p in wanted if p not in known]
    if any(p.stage in ("built", "captured") for p in failed):
        left = []
    lost = {p.precision for p in failed if p.stage == "quantized"}
    left = [p for p in left if p.precision not in lost]
    limits = Limits(options.seconds, options.memory)
    return list(examine_isolated(entry, left, limits)) if left else []


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default="", help="only those whose name holds this (a regex)")
    parser.add_argument("--families", nargs="+", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("--backends", nargs="+", default=BACKENDS, choices=BACKENDS)
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--stage", choices=("capture", "deploy"), default="deploy")
    parser.add_argument("--minutes", type=float, default=1e9, help="begins no model after that")
    parser.add_argument("--seconds", type=float, default=300.0, help="limit of one step of a model")
    parser.add_argument("--memory", type=int, default=7000, help="limit of a model, in megabytes")
    parser.add_argument(
        "--again", nargs="+", default=[], choices=KINDS, help="forget results that are"
    )
    parser.add_argument("--write", action="store_true", help="docs/any_model.md and the results")
    parser.add_argument("--failures", action="store_true", help="print what did not go through")
    parser.add_argument("--results", type=Path, default=ROOT / "out" / "any_model.jsonl")
    return parser.parse_args()


def _read(path: Path) -> list[Row]:
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Row) for line in lines]


def _forget(path: Path, kinds: list[str], pattern: str, families: list[str]) -> None:
    """Takes the rows of ``kinds`` out of the file, of models that are chosen."""

    def is_kept(row: Row) -> bool:
        chosen_one = row.model.split("/")[0] in families and re.search(pattern, row.model)
        return row.kind not in kinds or not chosen_one

    rows = [row for row in _read(path) if is_kept(row)]
    write_file(path, b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def _show(row: Row) -> None:
    ratio = "" if row.snr_db is None else f" {row.snr_db:.0f} dB"
    said = " ".join(part for part in (row.error, row.what[:160]) if part)
    print(
        f"{row.model:52} {row.place!s:24} {row.kind:8}{ratio} {row.seconds:.1f} s {row.peak_mb} MB {said}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
