"""Static int8 of a trained sentence encoder beside the other precisions, and NNCF's int8 of the same model.

    python benchmarks/text_encoder.py [TEXTS]

all-MiniLM-L6-v2 for one text of 32 tokens: SNR of the embeddings against float, recall@1 (WordNet's words, and the
definition that is nearest), and the time of a call, all runners in turn on one thread. Static precisions are calibrated
by 48 other definitions, NNCF's too (mixed preset, as it says for transformers). ``int8, rounded`` is without real sums:
what a runtime gets whose integer kernels write integers only.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from _common import Report, option_parser
from weight_bits import Task

from edgeopt.measure import interleave, ratio, summarize
from edgeopt.options import CompileOptions, QuantizationConfig
from edgeopt.quantization import quantize_program
from edgeopt.registry import find_backend, find_target

if TYPE_CHECKING:
    from collections.abc import Callable

TEXTS, ROUNDS, REDRAWN = 400, 60, 1000
OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "float": ("openvino", {"precision": "float32"}),
    "int8-dynamic": ("openvino", {"precision": "int8-dynamic"}),
    "int16x8": ("openvino", {"precision": "int16x8"}),
    "int8": ("openvino", {"precision": "int8", "real_sums": "functions"}),
    "int8, no smoothing": (
        "openvino",
        {"precision": "int8", "real_sums": "functions", "smoothing": "off"},
    ),
    "int8, rounded": ("openvino", {"precision": "int8"}),
    "int8, tflite": ("tflite", {"precision": "int8"}),
}
"""Name to backend and settings."""


def main() -> None:
    """Runs everything, prints it and writes it."""
    warnings.simplefilter("ignore")
    parser = option_parser(__doc__)
    parser.add_argument("texts", nargs="?", type=int, default=TEXTS, help="words, and definitions")
    options = parser.parse_args()
    report = Report("text_encoder")
    task = Task(options.texts)
    runners = _runners(task)
    sample = task.inputs[0]
    calls = {name: (lambda r=runner: r(*sample)) for name, runner in runners.items()}
    times = interleave(calls, runs=ROUNDS)
    hits = {}
    for name, runner in runners.items():
        figures, hits[name] = task.judged(runner), _hits(task, runner)
        base = "NNCF" if "NNCF" in times else "float"
        time = ratio(times[name], times[base])
        low, high = _behind(hits["float"], hits[name])
        value = {**figures, "ms": summarize(times[name]).median_ms, f"to_{base}": time.value}
        value["points_behind_float_95"] = [low, high]
        told = f"{name:20} {figures['snr_db']:5.1f} dB, recall {100 * figures['recall']:5.1f} %"
        told += f" ({low:+.1f} to {high:+.1f} points beside float)"
        report.add(name, value, f"{told}, {value['ms']:.2f} ms, this / {base} {time}")
    report.write()


def _runners(task: Task) -> dict[str, Callable[..., Any]]:
    runners: dict[str, Callable[..., Any]] = {}
    for name, (backend, settings) in OURS.items():
        data = task.calibration if not settings["precision"].endswith("dynamic") else None
        program = quantize_program(task.float, data, QuantizationConfig(**settings))
        plugin = find_backend(backend)
        artifact = plugin.compile(plugin.lower(program, find_target("host")), CompileOptions())
        runners[name] = plugin.load(artifact, threads=1)
        if name == "float":
            runners["NNCF"] = _nncf(artifact, task.calibration)
    return runners


def _nncf(artifact: Any, calibration: list[Any]) -> Callable[..., Any]:
    """Returns a runner of the float model as NNCF quantizes it."""
    import tempfile  # noqa: PLC0415 (beside the peer)
    from pathlib import Path  # noqa: PLC0415

    import nncf  # noqa: PLC0415 (a peer, slow to import)
    import openvino as ov  # noqa: PLC0415

    core = ov.Core()
    core.set_property({"ENABLE_MMAP": False})
    with tempfile.TemporaryDirectory() as folder:
        for name, content in artifact.files.items():
            (Path(folder) / name).write_bytes(content)
        model = core.read_model(Path(folder) / artifact.entry)
    model = nncf.quantize(
        model,
        nncf.Dataset([[value.numpy() for value in one.values()] for one in calibration]),
        preset=nncf.QuantizationPreset.MIXED,
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(calibration),
    )
    config = {**artifact.metadata["config"], "INFERENCE_NUM_THREADS": "1"}
    request = core.compile_model(model, "CPU", config).create_infer_request()
    return lambda *inputs: request.infer(list(inputs))[0]


def _hits(task: Task, runner: Callable[..., Any]) -> np.ndarray:
    """Returns for each word whether its definition is the nearest."""
    made = np.concatenate([np.array(runner(*one)).reshape(1, -1) for one in task.inputs])
    nearest = (made[: task.count] @ made[task.count :].T).argmax(1)
    return np.asarray(nearest == np.arange(task.count))


def _behind(exact: np.ndarray, rounded: np.ndarray) -> tuple[float, float]:
    """Returns in which points of recall the difference to float lies, 95 % of it, words drawn anew."""
    difference = 100 * (rounded.astype(float) - exact.astype(float))
    drawn = np.random.default_rng(0).integers(0, len(difference), (REDRAWN, len(difference)))
    low, high = np.percentile(difference[drawn].mean(1), [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
