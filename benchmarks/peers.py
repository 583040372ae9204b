"""edgeopt beside its peers, in one run: accuracy, size, latency, and what deploying takes.

    python benchmarks/peers.py                                   # all models, hours; goes on where it was
    python benchmarks/peers.py --models DS-CNN --peers 'edgeopt|NNCF'
    python benchmarks/peers.py --again 'Olive' --models ResNet   # forgets these rows and makes them anew
    python benchmarks/peers.py --time-only                       # the latencies anew, of what is deployed
    python benchmarks/peers.py --write                           # docs/peers.md's tables, the chart, the results

Each peer works in an environment of its own below ``--folder``, made on demand from
``benchmarks/_peers_in_one_run/requirements/``; all get the same float model, an exported program, and the same inputs.
What fails is a row with its reason. All artefacts of a model are timed in one run, in turn, each in a process of
its own that has as many cores as it may have threads.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from _common import Report, option_parser
from _peers_in_one_run.rows import read_rows, stored, write_rows

if TYPE_CHECKING:
    import argparse

    from _peers_in_one_run.rows import Row
    from _peers_in_one_run.running import Place

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "peers.md"
CHART = ROOT / "docs" / "peers.svg"


def main() -> int:
    """Measures what is not known yet, and writes the page where that is asked for."""
    options = _arguments()
    if options.write:
        _write(read_rows(options.results))
        return 0
    if options.again:
        _forget(options)
    for model in _models(options):
        _one(model, options)
    return 0


def _arguments() -> argparse.Namespace:
    parser = option_parser(__doc__)
    parser.add_argument("--models", default="", help="only those whose name holds this (a regex)")
    parser.add_argument("--peers", default="", help="only those whose name holds this (a regex)")
    parser.add_argument("--again", default="", help="forget the rows of peers that hold this")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=40, help="of bursts, for the latencies")
    parser.add_argument(
        "--time-only", action="store_true", help="no deployment, the latencies anew"
    )
    parser.add_argument("--no-times", action="store_true", help="deployment and accuracy only")
    parser.add_argument("--write", action="store_true", help="the page, the chart and the results")
    parser.add_argument("--folder", type=Path, default=ROOT / "out" / "peers")
    parser.add_argument("--results", type=Path, default=ROOT / "out" / "peers.jsonl")
    return parser.parse_args()


def _models(options: argparse.Namespace) -> list[str]:
    from _peers_in_one_run.cases import CASES  # noqa: PLC0415 (slow)

    names = [name for name in CASES if re.search(options.models, name)]
    return names or sys.exit(f"no model holds {options.models!r}; there are: {', '.join(CASES)}")


def _one(model: str, options: argparse.Namespace) -> None:
    """Makes the rows of one model that are missing, and times all that it has if one is new."""
    from _peers_in_one_run.cases import written_case  # noqa: PLC0415 (slow)
    from _peers_in_one_run.running import Limits, deployed, timed_together  # noqa: PLC0415

    print(model, flush=True)
    case, limits = written_case(model, options.folder / "cases"), Limits()
    places, new = _places(case, options), options.time_only
    known = {row.peer for row in read_rows(options.results) if row.model == model}
    for place in [] if options.time_only else places:
        if place.contender.name in known or not re.search(options.peers, place.contender.name):
            continue
        _show(stored(deployed(place, limits), options.results))
        new = True
    if new and not options.no_times:
        rows = [row for row in read_rows(options.results) if row.model == model]
        for row in timed_together(places, rows, options.threads, options.rounds, limits):
            _show(stored(row, options.results))


def _places(case: Path, options: argparse.Namespace) -> list[Place]:
    import json  # noqa: PLC0415

    from _peers_in_one_run.contenders import CONTENDERS  # noqa: PLC0415
    from _peers_in_one_run.running import Place  # noqa: PLC0415

    transformer = json.loads((case / "case.json").read_text())["transformer"]
    suited = [one for one in CONTENDERS if one.suits(transformer=transformer)]
    below = options.folder / "made" / case.name
    return [Place(one, case, below / one.name, options.folder) for one in suited]


def _forget(options: argparse.Namespace) -> None:
    rows = [
        row
        for row in read_rows(options.results)
        if not (re.search(options.again, row.peer) and re.search(options.models, row.model))
    ]
    write_rows(rows, options.results)


def _show(row: Row) -> None:
    if row.failure:
        print(f"  {row.peer:28} {row.stage} failed: {row.failure}", flush=True)
        return
    figures = ", ".join(f"{name} {value:.3g}" for name, value in row.figures.items())
    times = "; ".join(
        f"{t.threads}: {t.median_ms:.3g} ms, {t.ratio:.2f} [{t.low:.2f}, {t.high:.2f}]"
        for t in row.timings
    )
    cost = f"{row.deploy_s:.0f} s, {row.peak_mb:.0f} MB"
    print(
        f"  {row.peer:28} {row.precision:12} {row.size_mb:.2f} MB, {figures}, {cost} {times}",
        flush=True,
    )


def _write(rows: list[Row]) -> None:
    from _peers_in_one_run.chart import chart  # noqa: PLC0415 (matplotlib is slow, and optional)
    from _peers_in_one_run.table import figures, page  # noqa: PLC0415

    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")
    CHART.write_text(chart(rows), encoding="utf-8")
    report = Report("peers")
    for key, value in figures(rows).items():
        report.add(key, value, key)
    report.write()


if __name__ == "__main__":
    sys.exit(main())
