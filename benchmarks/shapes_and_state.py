"""What several shapes cost, and what state does: bytes on disk, milliseconds of a call.

    python benchmarks/shapes_and_state.py [BACKEND …]

EfficientNet-Lite0 in int8: a bundle for one row, one for 1, 2, 4 and 8 rows, and one artefact whose runtime takes any
number of rows (OpenVINO with a dynamic dimension, LiteRT resized): bytes, and the time of a call. Filled up: five
rows in the program for eight. Whisper tiny's decoder, seeded, in float32: a step with its cache, through the bundle's
runner and by the program alone, beside a stateless call that computes all 128 tokens again. Calls in turn.
"""

from __future__ import annotations

from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from _common import Report, option_parser
from _lite0 import lite0
from torch import nn

import edgeopt
from edgeopt.lowering.runner import unpacked
from edgeopt.measure import interleave, ratio, summarize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BACKENDS = ("tflite", "openvino", "tvm")
BATCHES = (1, 2, 4, 8)
ROUNDS = 40
EXAMPLE = Path(__file__).parents[1] / "examples" / "10_whisper.py"


def main() -> None:
    """Runs everything, prints it and writes it."""
    parser = option_parser(__doc__)
    parser.add_argument("backends", nargs="*", default=BACKENDS, metavar="BACKEND")
    backends = parser.parse_args().backends
    report = Report("shapes_and_state")
    for backend in backends:
        shapes(report, backend)
        state(report, backend)
    report.write()


def shapes(report: Report, backend: str) -> None:
    """Measures one row, four numbers of rows, and any number."""
    data = [torch.randn(1, 3, 224, 224) for _ in range(24)]
    options: dict[str, Any] = {"backend": backend, "precision": "int8", "calibration_data": data}
    options |= {"example_inputs": data[0], "checks": {"speed": False}, "bundle": {"threads": 1}}
    network = lite0()
    one = edgeopt.deploy(network, "host", **options)
    four = edgeopt.deploy(network, "host", **options, shapes={"batches": BATCHES})
    sizes = {name: _model_bytes(done.bundle) for name, done in (("one", one), ("four", four))}
    more = 100 * (sizes["four"] / sizes["one"] - 1)
    text = f"one shape {sizes['one']} bytes, four {sizes['four']} (+{more:.1f} %)"
    report.add(f"{backend} bytes", sizes, f"{backend}: {text}")
    single, family = (edgeopt.load(done.bundle, threads=1) for done in (one, four))
    rows = {count: np.concatenate([t.numpy() for t in data[:count]]) for count in (1, 5, 8)}
    calls = {f"family, {count} rows": _calling(family, array) for count, array in rows.items()}
    calls["one shape, 1 row"] = _calling(single, rows[1])
    calls["one shape, 8 rows, one by one"] = lambda: [single(row[None]) for row in rows[8]]
    for count in (1, 8):
        call = _dynamic(backend, one.bundle, rows[count])
        if call is not None:
            calls[f"dynamic, {count} rows"] = call
    _timed(report, f"{backend} rows", calls, "one shape, 1 row")


def state(report: Report, backend: str) -> None:
    """Measures a step with its cache, and a call that computes all tokens again."""
    spec = util.spec_from_file_location("whisper_example", EXAMPLE)
    example: Any = util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(example)  # type: ignore[union-attr]
    whisper, length = example.network(quick=False), 128
    checks = {"speed": False, "samples": 2}
    options: dict[str, Any] = {"backend": backend, "precision": "float32", "checks": checks}
    kept = edgeopt.deploy(example.methods(whisper, length), "host", **options)
    size = whisper.config.max_source_positions, whisper.config.d_model
    inputs = (torch.zeros(1, length, dtype=torch.int64), torch.randn(1, *size))
    again = edgeopt.deploy(_Decoder(whisper).eval(), "host", example_inputs=inputs, **options)
    runner = edgeopt.load(kept.bundle, threads=1)
    runner.method("encode")(np.zeros((1, 80, 3000), np.float32))
    token, step = np.zeros((1, 1), np.int64), runner.method("step")
    stateless = edgeopt.load(again.bundle, threads=1)
    arrays = [tensor.numpy() for tensor in inputs]
    calls = {
        "a step, its state kept": lambda: step(token),
        "all 128 tokens again": lambda: stateless(*arrays),
    }
    _timed(report, f"{backend} state", calls, "all 128 tokens again")


class _Decoder(nn.Module):
    """Whisper's decoder without a cache."""

    def __init__(self, whisper: Any) -> None:
        super().__init__()
        self.decoder, self.vocabulary = whisper.model.decoder, whisper.proj_out

    def forward(self, tokens: torch.Tensor, sound: torch.Tensor) -> torch.Tensor:
        hidden = self.decoder(input_ids=tokens, encoder_hidden_states=sound, use_cache=False)[0]
        scores: torch.Tensor = self.vocabulary(hidden[:, -1])
        return scores


def _calling(runner: Any, array: np.ndarray) -> Callable[[], Any]:
    return lambda: runner(array)


def _model_bytes(bundle: Any) -> int:
    files = bundle.manifest.files.items()
    return sum(e.size_bytes for name, e in files if name.startswith(("model/", "programs/")))


def _dynamic(backend: str, bundle: Any, rows: np.ndarray) -> Callable[[], Any] | None:
    """Returns a call of the one artefact with any number of rows, as the runtime does it; None where it cannot."""
    artifact = bundle.artifact()
    with unpacked(artifact) as path:
        try:
            if backend == "openvino":
                return _dynamic_openvino(path, rows)
            return _resized_litert(path, rows) if backend == "tflite" else None
        except (RuntimeError, ValueError) as error:
            print(f"  {backend} dynamic: {str(error).splitlines()[0][:120]}")
            return None


def _dynamic_openvino(path: str, rows: np.ndarray) -> Callable[[], Any]:
    import openvino  # noqa: PLC0415 (only here)

    core = openvino.Core()
    network = core.read_model(path)
    network.reshape([-1, *network.inputs[0].get_partial_shape()[1:]])
    settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(network, "CPU", settings)
    return lambda: compiled(rows)


def _resized_litert(path: str, rows: np.ndarray) -> Callable[[], Any]:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 (only here)

    interpreter = Interpreter(model_path=path, num_threads=1)
    (entry,) = interpreter.get_input_details()
    shape = [len(rows), *entry["shape"][1:]]
    interpreter.resize_tensor_input(entry["index"], shape)
    interpreter.allocate_tensors()
    values = np.zeros(shape, entry["dtype"])

    def call() -> None:
        interpreter.set_tensor(entry["index"], values)
        interpreter.invoke()

    return call


def _timed(report: Report, key: str, calls: Mapping[str, Callable[[], Any]], base: str) -> None:
    times = interleave(dict(calls), runs=ROUNDS)
    for name, samples in times.items():
        one = summarize(samples)
        beside = ratio(samples, times[base])
        figures = {"median_ms": one.median_ms, "ratio": beside.value}
        report.add(f"{key}: {name}", figures, f"{key}: {name}: {one}, {beside} of {base}")


if __name__ == "__main__":
    main()
