"""How fast int8 EfficientNet-Lite0 is beside the peers' files, on the same runtime and threads.

    python benchmarks/lite0_latency.py [--fresh]

TFLite: edgeopt's file and ai-edge-quantizer's. OpenVINO: edgeopt's and NNCF's. Each pair is timed in
interleaved runs, in an order drawn anew every round; the ratio of the medians comes with its 95 %
interval (block bootstrap). Beside the times: which operators of our file compute in float, and how
many only convert between grids or types.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _common import Report, option_parser
from _ours import int8_program
from _peers import OpenVINOFile, TFLiteFile, ai_edge_quantizer_model, nncf_model
from photographs import calibration_set, held_out_set

import edgeopt
from edgeopt.measure import interleave, ratio, summarize

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.contracts import Artifact
    from edgeopt.ir import Program

THREADS = (1, 2)
ROUNDS, ROUNDS_SHORTEST_S = 400, 5.0
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")


def main() -> None:
    """Runs everything, prints it and writes it."""
    option_parser(__doc__, fresh=True).parse_args()
    report = Report("lite0_latency")
    calibration = calibration_set()
    picture = held_out_set()[:1]
    program = int8_program(calibration)
    with tempfile.TemporaryDirectory() as folder:
        _tflite(report, program, calibration, picture, Path(folder))
        _openvino(report, program, calibration, picture, Path(folder))
    report.write()


def _tflite(
    report: Report, program: Program, calibration: np.ndarray, picture: np.ndarray, folder: Path
) -> None:
    artifact = _artifact(program, "tflite", folder)
    ours, peer = folder / artifact.entry, ai_edge_quantizer_model(calibration)
    for threads in THREADS:
        pair = {"edgeopt": TFLiteFile(ours, threads), "peer": TFLiteFile(peer, threads)}
        for file in pair.values():
            file(picture)  # sets the input
        inside = {name: file.interpreter.invoke for name, file in pair.items()}
        whole = {"edgeopt": _bound(edgeopt_runner(artifact, threads), picture)}
        whole["peer"] = _bound(pair["peer"], picture)
        _compare(report, f"tflite, {threads} threads, invoke", inside, "ai-edge-quantizer")
        _compare(report, f"tflite, {threads} threads, float to float", whole, "ai-edge-quantizer")
    for name, path in (("edgeopt", ours), ("ai-edge-quantizer", peer)):
        held = tflite_census(path)
        report.add(f"tflite operators, {name}", held, f"tflite operators, {name}: {_counts(held)}")


def _openvino(
    report: Report, program: Program, calibration: np.ndarray, picture: np.ndarray, folder: Path
) -> None:
    artifact = _artifact(program, "openvino", folder)
    ours, peer = folder / artifact.entry, nncf_model(calibration)
    for threads in THREADS:
        pair = {"edgeopt": OpenVINOFile(ours, threads), "peer": OpenVINOFile(peer, threads)}
        bound = {name: _bound(file, picture) for name, file in pair.items()}
        _compare(report, f"openvino, {threads} threads", bound, "NNCF")
        runner = {"edgeopt": _bound(edgeopt_runner(artifact, threads), picture)}
        whole = {**runner, "peer": bound["peer"]}
        _compare(report, f"openvino, {threads} threads, edgeopt's runner", whole, "NNCF")
    for name, path in (("edgeopt", ours), ("NNCF", peer)):
        held = openvino_census(path)
        report.add(
            f"openvino operators, {name}", held, f"openvino operators, {name}: {_counts(held)}"
        )


def edgeopt_runner(artifact: Artifact, threads: int) -> Any:
    """Returns what `edgeopt.load` gives for this artefact's bundle."""
    from edgeopt.registry import find_backend  # noqa: PLC0415 (only here)

    return find_backend(artifact.backend).load(artifact, threads=threads)


def tflite_census(path: Path) -> dict[str, int]:
    """Returns how many operators compute in integers, how many in float, and how many convert.

    An operator counts as float where one of its outputs is float32 and it is not a conversion.
    Conversions at the edges (of an input or to an output of the file) are counted apart.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType  # noqa: PLC0415 (slow)

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(path), experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    dtypes = {t["index"]: t["dtype"] for t in interpreter.get_tensor_details()}
    details = (*interpreter.get_input_details(), *interpreter.get_output_details())
    edges = {d["index"] for d in details}
    counts = dict.fromkeys(("integer", "float", "conversions inside", "conversions at edges"), 0)
    for operator in interpreter._get_ops_details():  # noqa: SLF001 (there is no public way)
        touched = {*operator["inputs"], *operator["outputs"]}
        if operator["op_name"] in CONVERSIONS:
            counts["conversions at edges" if touched & edges else "conversions inside"] += 1
        else:
            in_float = any(dtypes[i] is np.float32 for i in operator["outputs"])
            counts["float" if in_float else "integer"] += 1
    return counts


def openvino_census(path: Path) -> dict[str, int]:
    """Returns how many primitives of the compiled model work in 8 bits, in float, and convert."""
    counts = dict.fromkeys(("integer", "float", "conversions"), 0)
    for node in OpenVINOFile(path, 1).compiled.get_runtime_model().get_ordered_ops():
        facts = {
            key: str(node.rt_info[key].astype(str)) for key in ("layerType", "runtimePrecision")
        }
        if facts["layerType"] in {"Input", "Output", "Const", "Reshape"}:
            continue
        if facts["layerType"] in {"Reorder", "Convert", "FakeQuantize"}:
            counts["conversions"] += 1
        else:
            counts["integer" if facts["runtimePrecision"] in {"i8", "u8"} else "float"] += 1
    return counts


def _artifact(program: Program, backend: str, folder: Path) -> Artifact:
    artifact = edgeopt.compile(program, "host", backend=backend).artifact()
    for name, content in artifact.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return artifact


def _compare(report: Report, key: str, pair: dict[str, Callable[[], Any]], peer: str) -> None:
    times = interleave(pair, runs=ROUNDS, min_time_s=ROUNDS_SHORTEST_S)
    compared = ratio(times["edgeopt"], times["peer"])
    medians = {name: summarize(held).median_ms for name, held in times.items()}
    held = {
        "edgeopt_ms": medians["edgeopt"],
        "peer": peer,
        "peer_ms": medians["peer"],
        "ratio": compared.value,
        "interval_95": [compared.low, compared.high],
        "verdict": compared.verdict,
        "rounds": len(times["peer"]),
    }
    text = f"edgeopt {medians['edgeopt']:.2f} ms, {peer} {medians['peer']:.2f} ms, ratio {compared}"
    report.add(key, held, f"{key:42} {text}")


def _bound(function: Callable[[np.ndarray], Any], picture: np.ndarray) -> Callable[[], Any]:
    return lambda: function(picture)


def _counts(held: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in held.items())


if __name__ == "__main__":
    main()
