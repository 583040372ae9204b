"""Frames a second: `edgeopt profile --throughput` beside OpenVINO's own `benchmark_app -hint throughput`.

    python benchmarks/throughput.py [--rounds 12] [--seconds 4] [--network lite0|small] [--whole]

Both run the same model.xml in turn, each in a process of its own, in an order drawn anew each round. By
itself benchmark_app fills its inputs once and reads no output: beside that stands our runtime alone
(``run.py --throughput --alone``). With ``--whole`` it fills its inputs for each run
(``-inference_only false``), and ours are whole calls, which round each input and copy each output too.
It is told the bundle's precision of what is float, since it would take bfloat16 by itself. The ratio is of
the medians (above 1: ours does more frames), with a 95 % interval of the rounds' pairs. With ``--others``
whole calls of the other backends are printed beside.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from _common import Report, option_parser

import edgeopt
from edgeopt.measure import Throughput, ratio

GOAL = 1.0


def small() -> torch.nn.Module:
    """Returns a convolutional network of a tenth of a millisecond or so."""
    torch.manual_seed(0)
    widths = (3, 16, 32, 64)
    layers: list[torch.nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [torch.nn.Conv2d(before, after, 3, 2, 1), torch.nn.ReLU()]
    layers += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(64, 10)]
    return torch.nn.Sequential(*layers).eval()


def bundle_of(network: str, backend: str, precision: str, folder: Path) -> Path:
    """Returns the folder of a bundle of a network for this machine."""
    if network == "lite0":
        from _lite0 import lite0  # noqa: PLC0415 (weights of a package)

        model, size = lite0(), 224
    else:
        model, size = small(), 96
    data = [torch.randn(1, 3, size, size) for _ in range(8)]
    edgeopt.deploy(
        model,
        "host",
        backend=backend,
        precision=precision,
        example_inputs=(data[0],),
        calibration_data=data,
        output=folder,
        checks=edgeopt.Checks(speed=False),
        quantization={"rounding": "nearest"},
    )
    return folder


def ours(bundle: Path, seconds: float, *, whole: bool) -> float:
    """Returns frames a second of the bundle's own runner."""
    command = [sys.executable, str(bundle / "run.py"), "--throughput", "--no-check"]
    command += [] if whole else ["--alone"]
    done = subprocess.run(
        [*command, "--min-seconds", str(seconds)], check=True, capture_output=True
    )
    return Throughput.from_json(done.stdout, device="local").frames_per_second


def theirs(bundle: Path, seconds: float, *, whole: bool) -> float:
    """Returns frames a second of benchmark_app."""
    config = json.loads((bundle / "manifest.json").read_text())["metadata"]["config"]
    with tempfile.TemporaryDirectory() as folder:
        loaded = Path(folder) / "config.json"
        loaded.write_text(json.dumps({"CPU": config}))
        command = ["benchmark_app", "-m", str(bundle / "model/model.xml"), "-d", "CPU"]
        command += ["-hint", "throughput", "-t", str(max(1, round(seconds)))]
        command += ["-load_config", str(loaded), "-infer_precision", "f32"]
        command += ["-inference_only", "false"] if whole else []
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    told = re.findall(r"Throughput:\s+([\d.]+) FPS", done.stdout)
    return float(told[-1])


def main() -> int:
    """Returns the exit status: 1 where ours is slower."""
    parser = option_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--network", choices=("lite0", "small"), default="lite0")
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--whole", action="store_true", help="inputs and outputs, too")
    parser.add_argument("--others", action="store_true", help="the other backends, too")
    args = parser.parse_args()
    report = Report("throughput")
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        bundle = bundle_of(args.network, "openvino", args.precision, Path(folder) / "openvino")
        rates: dict[str, list[float]] = {"ours": [], "benchmark_app": []}
        runners = {"ours": ours, "benchmark_app": theirs}
        for _ in range(args.rounds):
            for name in rng.permutation(list(runners)):
                rates[name].append(runners[name](bundle, args.seconds, whole=args.whole))
        for name, values in rates.items():
            report.add(name, values, f"{name}: {np.median(values):.4g} frames a second")
        # Times of a frame: `ratio` is of the first to the second, below 1 where the first is faster.
        times = [[round(1e9 / rate) for rate in rates[name]] for name in ("benchmark_app", "ours")]
        result = ratio(times[0], times[1])
        text = f"frames of ours to those of benchmark_app: {result.value:.3f}"
        text += "" if result.low is None else f" [{result.low:.3f}, {result.high:.3f}]"
        report.add("ratio", [result.value, result.low, result.high], text)
        for backend in ("tflite", "tvm") if args.others else ():
            other = bundle_of(args.network, backend, args.precision, Path(folder) / backend)
            rate = ours(other, args.seconds, whole=True)
            report.add(backend, rate, f"{backend}: {rate:.4g} frames a second")
    report.write()
    return int((result.high or result.value) < GOAL)


if __name__ == "__main__":
    raise SystemExit(main())
