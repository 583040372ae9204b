"""What another state of this repository makes of the same model: accuracy and speed, in one run.

    python benchmarks/before_after.py [--before 43be471] [--backend tflite,openvino]

EfficientNet-Lite0 is quantized on the same photographs by the code of a commit, in a worktree of its own, and
by the code here. Both files run on the same runtime, in interleaved rounds; reported are the ratio of the
medians with its 95 % interval, and the signal-to-noise ratio of the logits of both against the float model.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _common import Report, likeness, option_parser, run_all
from _lite0 import lite0, torch_outputs

ROOT = Path(__file__).parents[1]
SUFFIXES = {"tflite": "*.tflite", "openvino": "*.xml"}
THREADS, ROUNDS, ROUNDS_SHORTEST_S = 2, 400, 5.0


def main() -> None:
    """Runs everything, prints it and writes it."""
    parser = option_parser(__doc__)
    parser.add_argument("--before", default="43be471")
    parser.add_argument("--backend", default="tflite,openvino")
    parser.add_argument("--build", nargs=2, metavar=("CALIBRATION", "FOLDER"))
    options = parser.parse_args()
    backends = options.backend.split(",")
    if options.build:
        _build(np.load(options.build[0]), Path(options.build[1]), backends)
        return
    _run(options.before, backends)


def _run(before: str, backends: list[str]) -> None:
    from photographs import (  # noqa: PLC0415 (imports edgeopt, which `--build` asks another commit for)
        calibration_set,
        held_out_set,
    )

    report = Report("before_after")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        np.save(work / "calibration.npy", calibration_set())
        tree = work / "tree"
        _git("worktree", "add", "--detach", str(tree), before)
        try:
            for name, root in (("before", tree), ("after", ROOT)):
                _run_build(root, work / "calibration.npy", work / name, ",".join(backends))
        finally:
            _git("worktree", "remove", "--force", str(tree))
        inputs = held_out_set()
        reference = torch_outputs(lite0(), inputs)
        for backend in backends:
            _compare(report, backend, work, inputs, reference)
    report.write()


def _git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True)  # noqa: S607 (our own words)


def _run_build(root: Path, calibration: Path, folder: Path, backends: str) -> None:
    paths = [root, root / "targets", *(root / "backends").iterdir(), ROOT / "benchmarks"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, __file__, "--backend", backends, "--build"]
    subprocess.run([*command, str(calibration), str(folder)], check=True, env=environment)


def _build(calibration: np.ndarray, folder: Path, backends: list[str]) -> None:
    """Writes the files that the code on the path makes."""
    import edgeopt  # noqa: PLC0415 (of the state that is asked for)

    samples = list(calibration[:, None])
    program = edgeopt.quantize(lite0(), samples, example_inputs=calibration[:1])
    for backend in backends:
        artifact = edgeopt.compile(program, "host", backend=backend).artifact()
        for name, content in artifact.files.items():
            (folder / backend / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / backend / name).write_bytes(content)


def _compare(
    report: Any, backend: str, work: Path, inputs: np.ndarray, reference: np.ndarray
) -> None:
    from _peers import OpenVINOFile, TFLiteFile  # noqa: PLC0415 (imports edgeopt)

    from edgeopt.measure import interleave, ratio, summarize  # noqa: PLC0415 (likewise)

    kind: Any = {"tflite": TFLiteFile, "openvino": OpenVINOFile}[backend]
    files = {
        name: kind(next((work / name / backend).glob(SUFFIXES[backend])), THREADS)
        for name in ("before", "after")
    }
    outputs = {name: run_all(file, inputs[:, None]) for name, file in files.items()}
    near = {name: likeness(reference, output) for name, output in outputs.items()}
    picture = inputs[:1]
    runs = {name: (lambda file=file: file(picture)) for name, file in files.items()}
    times = interleave(runs, runs=ROUNDS, min_time_s=ROUNDS_SHORTEST_S)
    compared = ratio(times["after"], times["before"])
    medians = {name: summarize(one).median_ms for name, one in times.items()}
    row = {
        "likeness": near,
        "median_ms": medians,
        "ratio": compared.value,
        "interval_95": [compared.low, compared.high],
    }
    for name in files:
        found = f"{near[name]['snr_db']:.2f} dB, same class {100 * near[name]['agreement']:.1f} %"
        print(f"  {backend} {name}: {medians[name]:.2f} ms, {found}")
    report.add(backend, row, f"{backend}: after / before {compared}")


if __name__ == "__main__":
    main()
