"""How near int8 EfficientNet-Lite0 stays to the float model: edgeopt beside NNCF and ai-edge-quantizer.

    python benchmarks/lite0_accuracy.py [--fresh]

One run, one set of calibration inputs, one set of photographs that nobody calibrated on. Reported:
signal-to-noise of the logits against the float model in torch, and how often both name the same
class; beside it top-1 on foolbox's twenty labelled photographs, which are too few to tell anybody
apart (and were calibrated on), but show that it works.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _common import Report, likeness, option_parser, run_all
from _lite0 import lite0, torch_outputs
from _ours import int8_program
from _peers import OpenVINOFile, TFLiteFile, ai_edge_quantizer_model, nncf_model
from photographs import calibration_set, held_out_set, labelled_set

import edgeopt

BACKENDS = ("tflite", "openvino")
THREADS = 2


def main() -> None:
    """Runs everything, prints it and writes it."""
    option_parser(__doc__, fresh=True).parse_args()
    report = Report("lite0_accuracy")
    calibration, inputs = calibration_set(), held_out_set()
    pictures, labels = labelled_set()
    model = lite0()
    reference = torch_outputs(model, inputs)
    report.add(
        "inputs",
        {"calibration": len(calibration), "held_out": len(inputs), "labelled": len(labels)},
        f"calibrated on {len(calibration)} inputs, judged by {len(inputs)} others",
    )
    right = _right(torch_outputs(model, pictures), labels)
    report.add("float32", {"right": right}, f"{'float32 (torch)':34} {right}/{len(labels)} right")
    for name, runner in _runners(calibration).items():
        got = run_all(runner, inputs[:, None])
        held: dict[str, Any] = likeness(reference, got)
        held["right"] = _right(run_all(runner, pictures[:, None]), labels)
        report.add(name, held, _line(name, held, len(labels)))
    report.write()


def _runners(calibration: np.ndarray) -> dict[str, Any]:
    quantized = int8_program(calibration)
    runners: dict[str, Any] = {"edgeopt, reference": edgeopt.reference(quantized)}
    for backend in BACKENDS:
        bundle = edgeopt.compile(quantized, "host", backend=backend)
        runners[f"edgeopt, {backend}"] = edgeopt.load(bundle, threads=THREADS)
    nncf, aeq = nncf_model(calibration), ai_edge_quantizer_model(calibration)
    runners["NNCF MIXED, full bias correction"] = OpenVINOFile(nncf, THREADS)
    runners["ai-edge-quantizer static_wi8_ai8"] = TFLiteFile(aeq, THREADS)
    return runners


def _right(logits: np.ndarray, labels: list[int]) -> int:
    return int((logits.argmax(axis=1) == np.array(labels)).sum())


def _line(name: str, held: dict[str, Any], labelled: int) -> str:
    return (
        f"{name:34} {held['right']}/{labelled} right, SNR {held['snr_db']:5.2f} dB "
        f"(mean of inputs {held['snr_db_mean']:5.2f}), same class {100 * held['agreement']:.1f} %"
    )


if __name__ == "__main__":
    main()
