"""What TFLite for Micro and Vela say of the networks of MLPerf Tiny, from the files that edgeopt writes for them.

    python benchmarks/micro_peers.py [--samples 8] [--target generic-cortex-m4f] [name ...]

Of each: bytes of the file, the arena that TFLM's interpreter needs here (64-bit pointers, reference kernels), how many
output values of TFLM and of LiteRT are not the reference's and by how many steps, and the same of each kind of operator
alone; and Vela's estimate for an Ethos-U55 of 128 multipliers, which is an estimate. Flash and instructions of a linked
program are not measured here: the wheel has no program for a microcontroller.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from _common import Report, option_parser
from _deployable import PLAIN
from _micro_models import MODELS, micro_model

import edgeopt
from edgeopt.gate.exactness import check_exactness
from edgeopt.ir import ReferenceRunner
from edgeopt.options import CompileOptions
from edgeopt.registry import find_backend, find_target

if TYPE_CHECKING:
    from edgeopt.contracts import Backend, Runner
    from edgeopt.ir import Program

CPU = "generic-aarch64"
"""The target whose file LiteRT runs, here beside it."""
NPU = "corstone-300-u55"
"""The target that Vela compiles for."""


def main() -> None:
    """Measures everything, prints it and writes it."""
    warnings.simplefilter("ignore")
    parser = option_parser(__doc__)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--target", default="generic-cortex-m4f")
    parser.add_argument("names", nargs="*", default=[])
    options = parser.parse_args()
    report = Report("micro_peers")
    for name in options.names or MODELS:
        entry = micro_model(name, options.samples)
        program = edgeopt.quantize(
            entry.model, entry.samples, example_inputs=entry.samples[0], **PLAIN
        )
        samples = [tuple(tensor.numpy() for tensor in sample) for sample in entry.samples]
        figures = _measured(program, samples, options.target)
        report.add(name, figures, _line(name, figures))
        for kind in figures["operators"]:
            print(f"      {kind}", flush=True)
    report.write()


def _measured(
    program: Program, samples: list[tuple[np.ndarray, ...]], target: str
) -> dict[str, Any]:
    backend = find_backend("tflite")
    device = find_target(target)
    artifact = backend.compile(backend.lower(program, device), CompileOptions())
    npu = backend.compile(backend.lower(program, find_target(NPU)), CompileOptions())
    litert = backend.compile(backend.lower(program, find_target(CPU)), CompileOptions())
    exactness = check_exactness(program, backend, device, samples[:2], alike=2)
    return {
        "file_bytes": len(artifact.files[artifact.entry]),
        **artifact.metadata["micro"],
        "tflm": _differences(program, backend.load(artifact), samples),
        "litert": _differences(program, _loaded(backend, litert), samples),
        "operators": [str(line) for line in exactness.by_operator()],
        "ethos_u": npu.metadata["ethos_u"],
    }


def _loaded(backend: Backend, artifact: Any) -> Runner:
    return backend.load(artifact, threads=1)


def _differences(
    program: Program, runner: Runner, samples: list[tuple[np.ndarray, ...]]
) -> dict[str, float]:
    """Returns the share of output values that differ from the reference, and the most steps."""
    reference = ReferenceRunner(program)
    step = float(program.quant[program.output_names[0]].scale[0])
    pairs = [(np.asarray(reference(*s)), np.asarray(runner(*s))) for s in samples]
    steps = np.concatenate([np.rint(np.abs(a - b) / step).ravel() for a, b in pairs])
    return {"share": float((steps > 0).mean()), "most_steps": float(steps.max())}


def _line(name: str, figures: dict[str, Any]) -> str:
    tflm, litert, npu = figures["tflm"], figures["litert"], figures["ethos_u"]
    return (
        f"{name:18} file {figures['file_bytes']:7} B, arena {figures['total_bytes']:6} B "
        f"({figures['tensor_bytes']} tensors, {figures['structure_bytes']} structures); differs from the reference: "
        f"TFLM {tflm['share']:.2%} by up to {tflm['most_steps']:.0f}, LiteRT {litert['share']:.2%}; "
        f"Vela's estimate {npu['estimates']['cycles']:.0f} cycles, {len(npu['on_cpu'])} operators on the CPU"
    )


if __name__ == "__main__":
    main()
