"""What a call adds to the runtime's own time: checks, layout, rounding, copies.

    python benchmarks/call_overhead.py [--backends tflite openvino tvm] [--models REGEX] [--rounds 60] [--threads 1]

Each model is a bundle for this machine, called with float inputs (MiniLM: two integer ones) in four ways, in turn:

- *runtime*: the runtime alone on buffers that hold the inputs (LiteRT's ``invoke``, OpenVINO's
  ``InferRequest.infer`` on bound tensors, its outputs not copied, the function of TVM's library on prepared pointers);
- *runtime.py*: the plugin's own runtime, which rounds, lays out and copies: what the bundle's ``run.py`` times;
- *run.py*: the same as ``run.py`` calls it for a person, its inputs and outputs checked;
- *load*: ``edgeopt.load(bundle, threads=…)(x)``.

A round has each go on for a few milliseconds, in an order drawn anew, and keeps its median; a figure is the median
over the rounds, the cost the median of the differences to *runtime* in the same rounds, with its 95 % interval.
The goal: *load* adds at most 3 % or 30 µs, whichever is more; what is above says so.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from _calls import CALLS, call_bundle
from _common import Report, option_parser

import edgeopt
from edgeopt.bundles.device.edgeopt_runner.arrays import call, fit_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

BACKENDS = ("tflite", "openvino", "tvm")
BURST_NS, SHORTEST = 6e6, 5
GOAL_US, GOAL_SHARE = 30.0, 0.03
DRAWS, TAILS = 2000, (2.5, 97.5)


def main() -> None:
    """Measures, prints, and keeps the figures."""
    parser = option_parser(__doc__, fresh=True)
    parser.add_argument("--backends", nargs="+", default=list(BACKENDS), choices=BACKENDS)
    parser.add_argument("--models", default="", help="only those whose name holds this (a regex)")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    report = Report("call_overhead")
    for name in (name for name in CALLS if re.search(options.models, name)):
        for backend in options.backends:
            bundle = call_bundle(name, backend, fresh=options.fresh)
            row = _row(_times(_ways(bundle, options.threads), options.rounds))
            report.add(f"{name}, {backend}", row, _told(name, backend, row))
    report.write()


def _ways(bundle: Path, threads: int) -> dict[str, Callable[[], Any]]:
    """Returns the name of each way to what calls the model so."""
    loaded = edgeopt.load(bundle, threads=threads)
    model = loaded._runner._model  # noqa: SLF001 (the runtime below the call that is measured)
    manifest = json.loads((bundle / "manifest.json").read_text())
    inputs = [_input(spec) for spec in manifest["signature"]["inputs"]]
    model(*inputs)
    return {
        "runtime": model.invoke,
        "runtime.py": lambda: model(*inputs),
        "run.py": lambda: call(model, fit_inputs(inputs, manifest), manifest),
        "load": lambda: loaded(*inputs),
    }


def _input(spec: Mapping[str, Any]) -> np.ndarray:
    dtype = np.dtype(spec["dtype"])
    if dtype.kind != "f":
        return np.ones(spec["shape"], dtype)
    return np.random.default_rng(0).standard_normal(spec["shape"]).astype(dtype)


def _times(ways: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, np.ndarray]:
    """Returns the name of each way to its medians in µs, one a round."""
    names, chance = list(ways), np.random.default_rng(0)
    found: dict[str, list[float]] = {name: [] for name in names}
    calls = {name: max(SHORTEST, int(BURST_NS / _burst(ways[name], SHORTEST))) for name in names}
    for _ in range(rounds):
        for name in chance.permutation(names):
            found[name].append(_burst(ways[name], calls[name]) / 1e3)
    return {name: np.array(times) for name, times in found.items()}


def _burst(function: Callable[[], Any], calls: int) -> float:
    """Returns the median time of some calls in ns, after one that finds what others left in the caches."""
    function()
    times = []
    for _ in range(calls):
        before = time.perf_counter_ns()
        function()
        times.append(time.perf_counter_ns() - before)
    return float(np.median(times))


def _row(times: Mapping[str, np.ndarray]) -> dict[str, Any]:
    runtime = times["runtime"]
    alone = float(np.median(runtime))
    allowed = max(GOAL_US, GOAL_SHARE * alone)
    row: dict[str, Any] = {"runtime_us": alone, "allowed_us": allowed, "added_us": {}}
    for name in (name for name in times if name != "runtime"):
        more = times[name] - runtime
        chance = np.random.default_rng(0)
        drawn = np.median(chance.choice(more, (DRAWS, len(more))), axis=1)
        row["added_us"][name] = [float(np.median(more)), *map(float, np.percentile(drawn, TAILS))]
    row["within"] = row["added_us"]["load"][0] <= allowed
    return row


def _told(name: str, backend: str, row: Mapping[str, Any]) -> str:
    parts = [
        f"{way} +{more:.1f} [{low:.1f}, {high:.1f}]"
        for way, (more, low, high) in row["added_us"].items()
    ]
    ends = "" if row["within"] else f"  above {row['allowed_us']:.0f}"
    return f"{name:20}{backend:10}{row['runtime_us']:9.1f} µs  {'  '.join(parts)}{ends}"


if __name__ == "__main__":
    main()
