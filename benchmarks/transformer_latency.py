"""How fast transformers are on OpenVINO: edgeopt's int8 and int8-dynamic beside NNCF's int8 and float.

    python benchmarks/transformer_latency.py [--layers 3] [--threads 1] [--rounds 40] [name ...]

All run in turn, in an order drawn anew every round. Each ratio of medians comes with its 95 % interval, of the time that
passed and of the processor's: on a machine that others use too only the second says something. The signal-to-noise
ratios are those of the outputs beside torch, over inputs that nobody calibrated on. ``--layers`` makes shallower models.
Last, where the time of both int8 models goes (one thread's, by OpenVINO's counters).
"""

from __future__ import annotations

import random
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from _common import Report, option_parser
from _transformers import NAMES, nncf_transformer, transformer

import edgeopt
from edgeopt.measure import ratio

if TYPE_CHECKING:
    import argparse

    from _deployable import Deployable

CALIBRATION, CHECKS = 8, 4
PAIRS = (("int8", "NNCF"), ("int8", "float"), ("int8", "bfloat16"), ("int8-dynamic", "float"))
FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
MOST_SHOWN = 8


class File:
    """An .xml file on the CPU."""

    def __init__(self, path: Path, config: dict[str, str], threads: int, **more: str) -> None:
        import openvino as ov  # noqa: PLC0415 (slow)

        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": str(threads)}
        self.compiled = ov.Core().compile_model(path, "CPU", settings | config | more)
        self.request = self.compiled.create_infer_request()

    def __call__(self, sample: tuple[torch.Tensor, ...]) -> np.ndarray:
        """Returns the first output."""
        return np.array(self.request.infer([t.numpy() for t in sample])[0])


def main() -> None:
    """Runs everything, prints it and writes it."""
    warnings.simplefilter("ignore")
    parser = option_parser(__doc__)
    parser.add_argument("--layers", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("names", nargs="*", default=NAMES)
    options = parser.parse_args()
    report = Report("transformer_latency")
    for name in options.names:
        with tempfile.TemporaryDirectory() as folder:
            _one(report, name, options, Path(folder))
    report.write()


def _one(report: Report, name: str, options: argparse.Namespace, folder: Path) -> None:
    entry = transformer(name, CALIBRATION + CHECKS, options.layers)
    checks, entry.samples[CALIBRATION:] = entry.samples[CALIBRATION:], []
    paths = _models(entry, folder)
    files = {key: File(*one, options.threads) for key, one in paths.items()}
    times = _timed(files, checks[0], options.rounds)
    for ours, other in PAIRS:
        compared = {kind: str(ratio(held[ours], held[other])) for kind, held in times.items()}
        text = ", ".join(f"{kind} {value}" for kind, value in compared.items())
        report.add(f"{name}, {ours} / {other}", compared, f"{name:18} {ours} / {other}: {text}")
    with torch.no_grad():
        exact = [entry.model(*sample).numpy() for sample in checks]
    quality = {k: round(_snr_db(exact, [f(s) for s in checks]), 1) for k, f in files.items()}
    report.add(f"{name}, dB beside torch", quality, f"{name:18} dB beside torch: {quality}")
    for key in ("int8", "NNCF"):
        spent = _kernels(paths[key], checks[0])
        report.add(f"{name}, kernels of {key}", spent, f"{name:18} kernels of {key}, µs: {spent}")


def _models(entry: Deployable, folder: Path) -> dict[str, tuple[Path, dict[str, str]]]:
    """Returns the .xml of each model, and what it is compiled with."""
    plain, peer = nncf_transformer(entry, folder)
    models = {"float": (plain, FLOAT32), "NNCF": (peer, FLOAT32)}
    models["bfloat16"] = (plain, FLOAT32 | {"INFERENCE_PRECISION_HINT": "bf16"})
    for precision in ("int8", "int8-dynamic"):
        data = entry.samples if precision == "int8" else None
        settings = {"example_inputs": entry.samples[0], "precision": precision}
        program = edgeopt.quantize(entry.model, data, **settings)
        artifact = edgeopt.compile(program, "host", backend="openvino").artifact()
        own = folder / precision
        own.mkdir()
        for file, content in artifact.files.items():
            (own / file).write_bytes(content)
        models[precision] = (own / artifact.entry, artifact.metadata["config"])
    return models


def _timed(files: dict[str, File], sample: Any, rounds: int) -> dict[str, dict[str, list[int]]]:
    """Returns each file's times in ns, of the clock and of the processor."""
    clocks = {"time": time.perf_counter_ns, "processor": time.process_time_ns}
    times: dict[str, dict[str, list[int]]] = {kind: {key: [] for key in files} for kind in clocks}
    order, chance = list(files), random.Random(0)  # noqa: S311 (no secret)
    for turn in range(-3, rounds):
        chance.shuffle(order)
        for key in order:
            before = {kind: clock() for kind, clock in clocks.items()}
            files[key](sample)
            for kind, clock in clocks.items():
                if turn >= 0:
                    times[kind][key].append(clock() - before[kind])
    return times


def _snr_db(exact: list[np.ndarray], rounded: list[np.ndarray]) -> float:
    signal = sum(float((a.astype(float) ** 2).sum()) for a in exact)
    pairs = zip(exact, rounded, strict=True)
    noise = sum(float(((a.astype(float) - b) ** 2).sum()) for a, b in pairs)
    return float(10 * np.log10(signal / noise))


def _kernels(model: tuple[Path, dict[str, str]], sample: Any, runs: int = 12) -> dict[str, int]:
    """Returns what the kinds of kernels take in µs: of each kernel the lower fifth of its runs.

    The counters tell the mean since the model was compiled; what a run added to it is its own time.
    """
    file = File(*model, 1, PERF_COUNT="YES")
    spent: dict[str, list[float]] = {}
    before: dict[str, float] = {}
    for run in range(1, runs + 1):
        file(sample)
        for one in file.request.profiling_info:
            whole = one.real_time.total_seconds() * 1e6 * run
            spent.setdefault(one.node_name, []).append(whole - before.get(one.node_name, 0.0))
            before[one.node_name] = whole
    kinds: Counter[str] = Counter()
    for node in file.compiled.get_runtime_model().get_ordered_ops():
        told = {k: str(node.rt_info[k].astype(str)) for k in ("layerType", "primitiveType")}
        took = max(0.0, float(np.percentile(spent.get(node.friendly_name, [0.0] * 3)[2:], 20)))
        kinds[f"{told['layerType']} {told['primitiveType']}"] += round(took)
    return dict(kinds.most_common(MOST_SHOWN))


if __name__ == "__main__":
    main()
