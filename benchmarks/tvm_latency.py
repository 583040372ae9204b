"""How fast TVM's code is on this host beside other runtimes, and int8 beside its own float.

    python benchmarks/tvm_latency.py [--trials N]

Each network is compiled for this machine in float32 and in int8, kernels taken from the tuning database
after N more trials (200 by default; 0 takes what is there). Then all are timed in turns, with two
threads, in an order drawn anew every round: ours, ONNX Runtime, OpenVINO and torch in float32. A turn is
five inferences in a row, for another runtime's threads still spin a while after their own. Ratios of
medians come with their 95 % interval. Integers are compared with the reference on every picture first.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from _common import Report, option_parser
from _networks import NETWORKS, pictures

import edgeopt
from edgeopt.measure import interleave, ratio, summarize
from edgeopt.options import CompileOptions, TuneOptions
from edgeopt.registry import find_backend, find_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.ir import Program

THREADS, IN_A_ROW, ROUNDS = 2, 5, 150
CALIBRATION, JUDGING = 64, 10


def main() -> None:
    """Runs everything, prints it and writes it."""
    parser = option_parser(__doc__)
    parser.add_argument("--trials", type=int, default=200)
    trials = parser.parse_args().trials
    report = Report("tvm_latency")
    torch.set_num_threads(THREADS)
    for name, (make, side) in NETWORKS.items():
        _network(report, name, make(), side, trials)
    report.write()


def _network(report: Report, name: str, model: torch.nn.Module, side: int, trials: int) -> None:
    images = pictures(side, CALIBRATION)
    x = images[:1]
    program = edgeopt.capture(model, (x,))
    quantized = edgeopt.quantize(program, [(image[None],) for image in images])
    ours = {"float32": _compiled(program, trials), "int8": _compiled(quantized, trials)}
    _require_exact(name, quantized, ours["int8"], images[:JUDGING].numpy())
    with tempfile.TemporaryDirectory() as folder:
        functions = {
            "TVM float32": _bound(ours["float32"], x.numpy()),
            "TVM int8": _bound(ours["int8"], x.numpy()),
            **_peers(model, x, Path(folder)),
        }
        times = interleave({k: _row(f) for k, f in functions.items()}, runs=ROUNDS)
    medians = {k: summarize(v).median_ms / IN_A_ROW for k, v in times.items()}
    told = ", ".join(f"{k} {v:.2f} ms" for k, v in medians.items())
    report.add(f"{name}, medians", medians, f"{name}: {told}")
    pairs = [("TVM float32", peer) for peer in functions if not peer.startswith("TVM")]
    for a, b in [*pairs, ("TVM int8", "TVM float32")]:
        held = ratio(times[a], times[b])
        value = {"ratio": held.value, "interval_95": [held.low, held.high]}
        report.add(f"{name}, {a} / {b}", value, f"{name}: {a} / {b} = {held}")


def _compiled(program: Program, trials: int) -> Any:
    backend, target = find_backend("tvm"), find_target("host")
    if trials:
        backend.tune(program, target, TuneOptions(trials=trials))
    artifact = backend.compile(backend.lower(program, target), CompileOptions(threads=THREADS))
    return backend.load(artifact, threads=THREADS)


def _require_exact(name: str, program: Program, runner: Any, images: np.ndarray) -> None:
    reference = edgeopt.reference(program)
    for image in images:
        if not np.array_equal(reference(image[None]), runner(image[None])):
            raise SystemExit(f"{name}: int8 differs from the reference")


def _peers(model: torch.nn.Module, x: torch.Tensor, folder: Path) -> dict[str, Callable[[], Any]]:
    import onnxruntime  # noqa: PLC0415 (slow)
    import openvino  # noqa: PLC0415 (slow)

    path = folder / "model.onnx"
    torch.onnx.export(model, (x,), str(path), dynamo=True, verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(path), options)
    config = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": THREADS,
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.Core().compile_model(str(path), "CPU", config)
    request, array = compiled.create_infer_request(), x.numpy()
    feed = {session.get_inputs()[0].name: array}

    def in_torch() -> None:
        with torch.no_grad():
            model(x)

    return {
        "ONNX Runtime float32": lambda: session.run(None, feed),
        "OpenVINO float32": lambda: request.infer({0: array}),
        "torch float32": in_torch,
    }


def _bound(runner: Any, array: np.ndarray) -> Callable[[], Any]:
    return lambda: runner(array)


def _row(function: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(IN_A_ROW):
            function()

    return run


if __name__ == "__main__":
    main()
