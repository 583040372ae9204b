"""What compiling costs, on each backend: seconds for the support report and the artefact.

    python benchmarks/compile_cost.py [--backend tflite,openvino,tvm] [--precision float32,int8] [name ...]

Each compilation runs in a process of its own, for a plain x86-64 machine: **first** with an empty cache of kernels,
**again** in another process that finds what the first one left there. The support report comes with the lowered
program. Seconds of CPU stand beside those on the clock, with those of compilers that are programs of their own
(children). Capture and quantization are not counted, nor are imports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from _common import Report, option_parser
from _deployable import MODELS, PLAIN, deployable

import edgeopt
from edgeopt.ir import save_program

SAMPLES = 4
TARGET = "generic-x86-64-v3"
CHILD = """
import json, os, resource, sys, time
from pathlib import Path
from edgeopt.ir import load_program
from edgeopt.options import CompileOptions
from edgeopt.registry import find_backend, find_target
program, backend, target = load_program(Path(sys.argv[1])), find_backend(sys.argv[2]), find_target(sys.argv[3])
def now():
    times = os.times()
    return time.perf_counter(), sum(times[:4])
start = now()
lowered = backend.lower(program, target)
middle = now()
artifact = backend.compile(lowered, CompileOptions())
end = now()
print(json.dumps({
    "support_s": middle[0] - start[0], "compile_s": end[0] - middle[0], "cpu_s": end[1] - start[1],
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "operators": len(lowered.support.nodes), "unsupported": len(lowered.support.unsupported),
}))
"""


def main() -> None:
    """Runs everything, prints it and writes it."""
    warnings.simplefilter("ignore")
    parser = option_parser(__doc__)
    parser.add_argument("--backend", default="tflite,openvino,tvm")
    parser.add_argument("--precision", default="float32,int8")
    parser.add_argument("names", nargs="*", help="networks; all where none is named")
    options = parser.parse_args()
    report = Report("compile_cost")
    for name in options.names or MODELS:
        entry = deployable(name, SAMPLES)
        program = edgeopt.capture(entry.model, entry.samples[0])
        for precision in options.precision.split(","):
            chosen = program
            if precision != "float32":
                chosen = edgeopt.quantize(program, entry.samples, precision=precision, **PLAIN)
            for backend in options.backend.split(","):
                _report(report, f"{name}, {precision}, {backend}", chosen, backend)
    report.write()


def _report(report: Report, name: str, program: Any, backend: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = save_program(program, Path(folder) / "program.zip")
        first, again = (_compiled(path, backend, Path(folder) / "cache") for _ in range(2))
    text = ", ".join(
        f"{when} {run['support_s']:.2f} + {run['compile_s']:.2f} s ({run['cpu_s']:.2f} s of CPU)"
        for when, run in (("first", first), ("again", again))
    )
    report.add(name, {"first": first, "again": again}, f"{name:44} {text}")


def _compiled(program: Path, backend: str, cache: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, str(program), backend, TARGET],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "EDGEOPT_CACHE": str(cache)},
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    main()
