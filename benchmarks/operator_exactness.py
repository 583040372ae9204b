"""Whether each operator of deployable networks, alone, computes what the reference does.

    python benchmarks/operator_exactness.py [--backend tflite,openvino,tvm] [--alike 2] [name ...]

Each network is quantized once with the plainest settings: which integers come out does not matter
here, only that all compute the same ones. Each of its operators runs on the inputs that it has in
the reference; of operators that differ in constants and parameters alone as many as ``--alike``
says, 0 for all.
"""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING

import msgspec
from _common import Report, option_parser
from _deployable import MODELS, PLAIN, deployable

import edgeopt
from edgeopt.gate.exactness import check_exactness
from edgeopt.registry import find_backend, find_target

if TYPE_CHECKING:
    from _deployable import Deployable

    from edgeopt.ir import Program

SAMPLES = 2


def main() -> None:
    """Runs everything, prints it and writes it."""
    warnings.simplefilter("ignore")
    parser = option_parser(__doc__)
    parser.add_argument("--backend", default="tflite,openvino,tvm")
    parser.add_argument("--alike", type=int, default=2)
    parser.add_argument("names", nargs="*", default=[])
    options = parser.parse_args()
    report = Report("operator_exactness")
    for name in options.names or MODELS:
        entry = deployable(name, SAMPLES)
        program = _quantized(entry)
        for backend in options.backend.split(","):
            _run(report, entry, program, backend, options.alike or None)
    report.write()


def _quantized(entry: Deployable) -> Program:
    bits = find_target("host").quantization.weight_bits
    settings = {**PLAIN, "weight_bits": bits}
    return edgeopt.quantize(entry.model, entry.samples, example_inputs=entry.samples[0], **settings)


def _run(
    report: Report, entry: Deployable, program: Program, backend: str, alike: int | None
) -> None:
    samples = [tuple(t.numpy() for t in sample) for sample in entry.samples]
    start = time.perf_counter()
    found = check_exactness(
        program, find_backend(backend), find_target("host"), samples, alike=alike
    )
    took = time.perf_counter() - start
    for line in found.by_operator():
        print(f"    {'   ' if line.ok else 'NOT'} {line}")
    text = f"{len(found.faults)} of {len(found.operators)} operators not as the reference"
    value = {
        "operators": len(found.operators),
        "left_out": found.left_out,
        "by_operator": [msgspec.to_builtins(line) for line in found.by_operator()],
        "faults": [msgspec.to_builtins(one) for one in found.faults],
        "seconds": took,
    }
    report.add(
        f"{entry.name}, {backend}", value, f"{entry.name:20} {backend:9} {text} ({took:.0f} s)"
    )


if __name__ == "__main__":
    main()
