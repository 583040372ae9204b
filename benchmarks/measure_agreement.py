"""Whether measurements can be trusted: two of one bundle, and ours beside the runtimes' own tools.

    python benchmarks/measure_agreement.py [pairs]

First: each bundle is measured twice, again and again, each time by a process of its own; how many
pairs agree within the intervals that they state. Goal: 19 of 20. Second: the median of the runtime
alone beside OpenVINO's benchmark_app, and beside a bare loop around LiteRT's interpreter, all on the
same file, taking turns. Goal: within 3 %.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from _common import Report, option_parser
from _measured import lite0_bundle

import edgeopt
from edgeopt.measure import ratio_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.bundles import Bundle

PAIRS, ROUNDS, SECONDS = 20, 7, 2
BARE = """
import sys, time
from ai_edge_litert.interpreter import Interpreter
held = Interpreter(model_path=sys.argv[1], num_threads=1)
held.allocate_tensors()
for _ in range(20):
    held.invoke()
times, ends = [], time.perf_counter() + float(sys.argv[2])
while time.perf_counter() < ends:
    started = time.perf_counter_ns()
    held.invoke()
    times.append(time.perf_counter_ns() - started)
times.sort()
print(times[len(times) // 2] / 1e6)
"""


def main() -> None:
    """Runs everything, prints it and writes it."""
    parser = option_parser(__doc__)
    parser.add_argument("pairs", nargs="?", type=int, default=PAIRS)
    pairs = parser.parse_args().pairs
    report = Report("measure_agreement")
    for backend in ("tflite", "openvino"):
        _pairs(report, backend, lite0_bundle(backend), pairs)
    _tool(report, "openvino", "benchmark_app", _benchmark_app)
    _tool(report, "tflite", "LiteRT's interpreter alone", _bare_interpreter)
    report.write()


def _pairs(report: Report, backend: str, bundle: Bundle, pairs: int) -> None:
    agreed, ratios, widths = 0, [], []
    for _ in range(pairs):
        one, two = (
            edgeopt.profile(bundle, device="local", threads=1, min_seconds=1.0).latency
            for _ in range(2)
        )
        found = ratio_of(one, two)
        agreed += found.verdict == "no difference"
        ratios.append(found.value)
        widths.append((one.high_ms - one.low_ms) / one.median_ms)
    width = statistics.median(widths)
    report.add(
        f"{backend}: pairs that agree",
        {"agreed": agreed, "pairs": pairs, "ratios": ratios, "interval_over_median": width},
        f"{backend}: {agreed} of {pairs} pairs agree; their intervals span {width:.1%} of the median "
        f"(the middle one), the medians are at most {max(max(r, 1 / r) for r in ratios) - 1:.1%} apart",
    )


def _tool(report: Report, backend: str, name: str, tool: Callable[[Bundle, Path], float]) -> None:
    bundle, rows = lite0_bundle(backend), []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            both = [lambda: _ours(bundle), lambda: tool(bundle, Path(folder))]
            order = (0, 1) if number % 2 else (1, 0)
            got = {place: both[place]() for place in order}
            rows.append((got[0], got[1]))
    ours, theirs = (statistics.median(column) for column in zip(*rows, strict=True))
    ratio = statistics.median(a / b for a, b in rows)
    mark = "" if abs(ratio - 1) <= 0.03 else "  MISSED"  # noqa: PLR2004 (the goal)
    report.add(
        f"{backend}: beside {name}",
        {"ours_ms": ours, "theirs_ms": theirs, "ratio": ratio, "rounds_ms": rows},
        f"{backend}: {ours:.3f} ms, {name} {theirs:.3f} ms; ratio {ratio:.3f} "
        f"(median of {ROUNDS} rounds){mark}",
    )


def _ours(bundle: Bundle) -> float:
    found = edgeopt.profile_operators(bundle, device="local", threads=1, runs=300, max_seconds=8.0)
    return found.whole.median_ms


def _benchmark_app(bundle: Bundle, folder: Path) -> float:
    config = folder / "config.json"
    config.write_text(json.dumps({"CPU": {**bundle.manifest.metadata["config"]}}))
    command = [
        str(Path(sys.executable).with_name("benchmark_app")),
        "-m", str(bundle.path / bundle.manifest.entry), "-d", "CPU", "-api", "sync",
        "-hint", "none", "-nstreams", "1", "-nthreads", "1", "-t", str(SECONDS),
        "-infer_precision", "f32", "-load_config", str(config),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Median:\s*([\d.]+) ms", done.stdout)
    if found is None:
        raise SystemExit(f"benchmark_app said no median:\n{done.stdout[-2000:]}")
    return float(found[1])


def _bare_interpreter(bundle: Bundle, folder: Path) -> float:  # noqa: ARG001 (as the other one)
    command = [sys.executable, "-c", BARE, str(bundle.path / bundle.manifest.entry), str(SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


if __name__ == "__main__":
    main()
