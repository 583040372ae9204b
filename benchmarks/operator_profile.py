"""How near the sum of all operators' times is to the whole, for each backend.

    python benchmarks/operator_profile.py

The runtime's own profiler times the operators of EfficientNet-Lite0, and the whole in the same runs.
Goal: within 10 %. Beside it the whole without the profiler, between its blocks: on a busy machine it
holds pauses that the middle of an operator's times does not.
"""

from __future__ import annotations

from _common import Report, option_parser
from _measured import lite0_bundle

import edgeopt
from edgeopt.errors import EdgeoptError

BACKENDS = ("tflite", "openvino", "tvm")
PRECISIONS = ("int8", "float32")
THREADS = (1, 2)
GOAL = 0.1


def main() -> None:
    """Runs everything, prints it and writes it."""
    parser = option_parser(__doc__)
    parser.add_argument("backends", nargs="*", default=BACKENDS, metavar="BACKEND")
    options = parser.parse_args()
    report = Report("operator_profile")
    for backend in options.backends:
        for precision in PRECISIONS:
            for threads in THREADS:
                _one(report, backend, precision, threads)
    report.write()


def _one(report: Report, backend: str, precision: str, threads: int) -> None:
    key = f"{backend} {precision}, {threads} threads"
    try:
        bundle = lite0_bundle(backend, precision)
        found = edgeopt.profile_operators(bundle, device="local", runs=150, threads=threads)
    except EdgeoptError as error:
        report.add(key, {"error": str(error)}, f"{key}: {error}")
        return
    traced = sum(bool(one.source or one.module) for one in found.operators)
    figures = {
        "sum_ms": found.sum_ms,
        "whole_ms": found.whole.median_ms,
        "call_ms": found.model.median_ms,
        "covered": found.covered,
        "within_goal": abs(found.covered - 1) <= GOAL,
        "by_kind_ms": found.by_kind(),
        "operators": len(found.operators),
        "traced_to_source": traced,
        "costliest": [f"{o.share:.1%} {o.operator} {o.place}" for o in found.top(3)],
    }
    mark = "" if figures["within_goal"] else "  MISSED"
    report.add(
        key,
        figures,
        f"{key}: {found.covered:.1%} of the whole in the same runs; operators {found.sum_ms:.3f} ms, "
        f"the whole without the profiler {found.whole.median_ms:.3f} ms; {traced} of {len(found.operators)} traced{mark}",
    )


if __name__ == "__main__":
    main()
