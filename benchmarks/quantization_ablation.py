"""What each step of post-training quantization is worth on EfficientNet-Lite0.

    python benchmarks/quantization_ablation.py

Starts from rounding to nearest within the extremes seen, adds one step after the other, and last takes
away each one alone from the default. Signal-to-noise of the logits against the float model on
photographs that nobody calibrated on, from the simulation in torch. Differences below about one
decibel are chance: the same settings on other calibration photographs move as much.
"""

from __future__ import annotations

import time
from typing import Any

from _common import Report, likeness, option_parser, run_all
from _lite0 import lite0, torch_outputs
from photographs import calibration_set, held_out_set

import edgeopt
from edgeopt.ir import ReferenceRunner
from edgeopt.quantization import QuantizationConfig, quantize_program

PLAIN: dict[str, Any] = {
    "ranges": "minmax",
    "equalization": "off",
    "bias_correction": "off",
    "rounding": "nearest",
}
STEPS: dict[str, dict[str, Any]] = {
    "nearest, minmax": {},
    "+ bias correction": {"bias_correction": "on"},
    "+ adaptive rounding": {"rounding": "adaptive"},
    "+ ranges of least error": {"ranges": "auto"},
    "+ equalization (default)": {"equalization": "on"},
}
WITHOUT: dict[str, dict[str, Any]] = {
    "default without bias correction": {"bias_correction": "off"},
    "default without adaptive rounding": {"rounding": "nearest"},
    "default without ranges of least error": {"ranges": "minmax"},
}


def main() -> None:
    """Runs everything, prints it and writes it."""
    option_parser(__doc__).parse_args()
    report = Report("quantization_ablation")
    calibration, inputs = calibration_set(), held_out_set()
    model = lite0()
    reference = torch_outputs(model, inputs)
    program = edgeopt.capture(model, calibration[:1])
    settings = dict(PLAIN)
    runs = {}
    for name, change in STEPS.items():
        settings = {**settings, **change}
        runs[name] = settings
    runs |= WITHOUT
    for name, chosen in runs.items():
        start = time.perf_counter()
        quantized = quantize_program(program, calibration[:, None], QuantizationConfig(**chosen))
        seconds = time.perf_counter() - start
        got = run_all(ReferenceRunner(quantized, exact=False), inputs[:, None])
        held = {**likeness(reference, got), "seconds": seconds}
        text = (
            f"{name:38} SNR {held['snr_db']:5.2f} dB (mean of inputs {held['snr_db_mean']:5.2f}), "
            f"same class {100 * held['agreement']:5.1f} %, {seconds:4.0f} s"
        )
        report.add(name, held, text)
    report.write()


if __name__ == "__main__":
    main()
