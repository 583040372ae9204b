"""What it is worth that recurrent layers stay whole: beside the same layers unrolled, one linear a step.

    python benchmarks/recurrence.py [BACKEND …] [PRECISION …] [STEPS …]

LSTM and GRU of two layers of 64, and a classifier of each step, weights by lot: nodes, seconds of capture,
bytes of the artefact, SNR against torch, and the time of a call, both forms in turn. Unrolled in
int8, each gate is quantized; whole, the layer computes in float with weights of 8 bits.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from _common import Report, likeness, option_parser
from torch import nn

import edgeopt
from edgeopt.ir.operators import RECURRENT
from edgeopt.lowering.decomposition import decompose_operators
from edgeopt.measure import interleave, ratio, summarize
from edgeopt.options import CompileOptions, QuantizationConfig
from edgeopt.quantization import quantize_program
from edgeopt.registry import find_backend, find_target

if TYPE_CHECKING:
    from edgeopt.ir import Program

BACKENDS = ("tflite", "openvino", "tvm")
PRECISIONS = ("float32", "int8")
KINDS = {"LSTM": nn.LSTM, "GRU": nn.GRU}
STEPS = (50, 200)
WIDTH, LAYERS, CLASSES = 64, 2, 4
SAMPLES, ROUNDS = 8, 50


class Classifier(nn.Module):
    """A class for each step."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.layers = kind(WIDTH, WIDTH, LAYERS, batch_first=True)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the scores: (1, steps, classes)."""
        result: torch.Tensor = self.head(self.layers(x)[0])
        return result


def main() -> None:
    """Runs everything, prints it and writes it."""
    parser = option_parser(__doc__)
    parser.add_argument("words", nargs="*", metavar="BACKEND | PRECISION | STEPS")
    words = parser.parse_args().words
    backends = [word for word in BACKENDS if word in words] or BACKENDS
    precisions = [word for word in PRECISIONS if word in words] or PRECISIONS
    lengths = [int(word) for word in words if word.isdigit()] or STEPS
    report = Report("recurrence")
    for kind in KINDS:
        for steps in lengths:
            _one(report, kind, steps, backends, precisions)
    report.write()


def _one(report: Report, kind: str, steps: int, backends: Any, precisions: Any) -> None:
    torch.manual_seed(0)
    model = Classifier(KINDS[kind]).eval()
    inputs = [torch.randn(1, steps, WIDTH) for _ in range(SAMPLES)]
    programs = _captured(report, f"{kind} of {steps} steps", model, inputs[0])
    with torch.no_grad():
        expected = torch.cat([model(x) for x in inputs]).flatten(0, 1).numpy()
    for precision in precisions:
        config = QuantizationConfig(precision=precision)
        quantized = {k: quantize_program(p, inputs, config) for k, p in programs.items()}
        for backend in backends:
            key = f"{kind} of {steps} steps, {backend} {precision}"
            _compare(report, key, backend, quantized, [x.numpy() for x in inputs], expected)


def _captured(
    report: Report, key: str, model: nn.Module, example: torch.Tensor
) -> dict[str, Program]:
    """Returns both forms of the program, and reports what they cost."""
    begin = time.perf_counter()
    whole = edgeopt.capture(model, (example,))
    captured = time.perf_counter()
    names = [node.name for node in whole.graph.nodes if node.target in RECURRENT]
    unrolled = decompose_operators(whole, names)
    seconds = {"whole": captured - begin, "unrolled": time.perf_counter() - begin}
    programs = {"whole": whole, "unrolled": unrolled}
    nodes = {k: sum(n.op == "call_function" for n in p.graph.nodes) for k, p in programs.items()}
    told = ", ".join(f"{k} {nodes[k]} nodes in {seconds[k]:.1f} s" for k in programs)
    report.add(f"{key}, capture", {"nodes": nodes, "seconds": seconds}, f"{key}: {told}")
    return programs


def _compare(
    report: Report,
    key: str,
    backend: str,
    programs: dict[str, Program],
    inputs: list[np.ndarray],
    expected: np.ndarray,
) -> None:
    plugin, target = find_backend(backend), find_target("host")
    figures: dict[str, Any] = {}
    runners = {}
    for form, program in programs.items():
        begin = time.perf_counter()
        artifact = plugin.compile(plugin.lower(program, target), CompileOptions())
        runners[form] = runner = plugin.load(artifact, threads=1)
        outputs = [runner(x).reshape(-1, CLASSES) for x in inputs]
        figures[form] = {
            "compile_s": time.perf_counter() - begin,
            "bytes": artifact.size_bytes,
            "snr_db": likeness(expected, np.concatenate(outputs))["snr_db"],
        }
    times = interleave({f: (lambda r=r: r(inputs[0])) for f, r in runners.items()}, runs=ROUNDS)
    compared = ratio(times["whole"], times["unrolled"])
    for form, samples in times.items():
        figures[form]["ms"] = summarize(samples).median_ms
    value = {**figures, "ratio": compared.value, "interval_95": [compared.low, compared.high]}
    told = "; ".join(
        f"{form} {one['bytes'] / 1000:.0f} kB, {one['ms']:.2f} ms, {one['snr_db']:.1f} dB"
        for form, one in figures.items()
    )
    report.add(key, value, f"{key}: {told}; time whole / unrolled {compared}")


if __name__ == "__main__":
    main()
