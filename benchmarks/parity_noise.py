"""Parity end to end at the depth and width that people deploy: parity noise beside quantization noise.

    python benchmarks/parity_noise.py [--backend tflite,openvino,tvm] [name ...]

Each network is quantized once with the plainest settings, on other inputs than it is checked on. For
each output: the artefact beside the reference (parity), the reference beside float (quantization),
the artefact beside float, and what the gate says.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import msgspec
from _common import Report, option_parser
from _deployable import MODELS, PLAIN, deployable

import edgeopt
from edgeopt.deployment.build import build
from edgeopt.gate.float_program import float_program
from edgeopt.gate.parity import check_parity, compare_outputs, run_all, with_operators
from edgeopt.ir import ReferenceRunner
from edgeopt.options import CompileOptions
from edgeopt.registry import find_backend, find_target

if TYPE_CHECKING:
    from _deployable import Deployable

    from edgeopt.ir import Program

CALIBRATION, CHECKS = 8, 4


def main() -> None:
    """Runs everything, prints it and writes it."""
    warnings.simplefilter("ignore")
    parser = option_parser(__doc__)
    parser.add_argument("--backend", default="tflite,openvino,tvm")
    parser.add_argument("names", nargs="*", default=[])
    options = parser.parse_args()
    report = Report("parity_noise")
    for name in options.names or MODELS:
        entry = deployable(name, CALIBRATION + CHECKS)
        program = edgeopt.quantize(
            entry.model,
            entry.samples[:CALIBRATION],
            example_inputs=entry.samples[0],
            **PLAIN,
            weight_bits=find_target("host").quantization.weight_bits,
        )
        for backend in options.backend.split(","):
            _run(report, entry, program, backend)
    report.write()


def _run(report: Report, entry: Deployable, program: Program, backend: str) -> None:
    samples = [tuple(t.numpy() for t in sample) for sample in entry.samples[CALIBRATION:]]
    compiler, host = find_backend(backend), find_target("host")
    made = build(program, host, compiler, options=CompileOptions())
    specified = made.specified
    reference = run_all(ReferenceRunner(specified), samples)
    parity = check_parity(made.runner, specified, samples, reference)
    parity = with_operators(parity, specified, compiler, host, samples)
    unrounded = run_all(ReferenceRunner(float_program(specified)), samples)
    rounded = compare_outputs(specified.signature, unrounded, reference)
    artifact = compare_outputs(specified.signature, unrounded, run_all(made.runner, samples))
    made.close()
    for near, rounding, far in zip(parity.outputs, rounded, artifact, strict=True):
        row = {
            "parity_db": near.snr_db,
            "quantization_db": rounding.snr_db,
            "artifact_db": far.snr_db,
            "max_error_steps": near.max_error_steps,
            "ok": parity.ok,
            "reasons": list(parity.reasons),
            "warnings": list(parity.near_noise),
            "operators": msgspec.to_builtins(parity.operators and len(parity.operators.operators)),
        }
        name = f"{entry.name}, {near.output}, {backend}"
        text = (
            f"parity {near.snr_db:6.1f} dB, quantization {rounding.snr_db:5.1f} dB, artefact "
            f"{far.snr_db:5.1f} dB: {'passed' if parity.ok else 'FAILED'}"
        )
        report.add(name, row, f"{name:40} {text}")
    for line in (*parity.reasons, *parity.near_noise):
        print(f"    {line}")


if __name__ == "__main__":
    main()
