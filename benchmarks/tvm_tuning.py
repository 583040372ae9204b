"""What tuning costs and what it brings: seconds a trial, and speed against trials.

    python benchmarks/tvm_tuning.py [TRIALS]

MobileNetV2 at 96×96 with weights by lot (they do not change the time), int8 and float32, on this
machine, into a database of its own. The curve is the time of all kernels together in their
fastest forms, as the run saw it; the model's own time is measured at the end, tuned and untuned in turn.
The picture is benchmarks/results/tvm_tuning.svg.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from _common import RESULTS, Report, option_parser

from edgeopt.ir import capture_module
from edgeopt.options import CompileOptions, TuneOptions
from edgeopt.passes import run_core
from edgeopt.quantization import QuantizationConfig, quantize_program
from edgeopt.registry import find_target

if TYPE_CHECKING:
    from edgeopt.contracts import TuningEvent
    from edgeopt.ir import Program

SIZE, TRIALS, RUNS = 96, 600, 300
COLOURS = {"int8": "#0b6e99", "float32": "#c4553b"}


def main() -> None:
    """Runs everything, prints it, writes it and draws it."""
    parser = option_parser(__doc__)
    parser.add_argument("trials", nargs="?", type=int, default=TRIALS)
    trials = parser.parse_args().trials
    report = Report("tvm_tuning")
    curves = {}
    for precision, program in _programs().items():
        with tempfile.TemporaryDirectory() as folder:
            curves[precision] = _tuned(report, precision, program, trials, f"{folder}/t.sqlite")
    (RESULTS / "tvm_tuning.svg").write_text(_picture(curves), encoding="utf-8")
    report.write()


def _programs() -> dict[str, Program]:
    import torch  # noqa: PLC0415 (slow)
    import transformers as t  # noqa: PLC0415

    torch.manual_seed(0)
    model = t.MobileNetV2ForImageClassification(t.MobileNetV2Config()).eval()
    samples = [(torch.randn(1, 3, SIZE, SIZE),) for _ in range(8)]
    program = run_core(capture_module(model, samples[0]))
    config = QuantizationConfig(rounding="nearest")
    return {"int8": quantize_program(program, samples, config), "float32": program}


def _tuned(
    report: Report, precision: str, program: Program, trials: int, database: str
) -> list[tuple[int, float]]:
    from edgeopt_tvm import TVMBackend  # noqa: PLC0415 (the toolchain)

    backend, target, events = TVMBackend(), find_target("host"), []
    begun: list[float] = []

    def watch(event: TuningEvent) -> None:
        events.append((event.trial, event.best_ms, event.default_ms))
        begun.append(time.perf_counter())

    done = backend.tune(program, target, TuneOptions(trials=trials, database=database), watch=watch)
    each = (begun[-1] - begun[0]) / max(1, len(begun) - 1)
    report.add(
        f"{precision}/trials",
        {"trials": done.trials, "seconds_a_trial": each, "seconds": done.seconds},
        f"{precision}: {done.trials} trials of {len(done.kernels)} kernels in {done.seconds:.0f} s, "
        f"{each:.2f} s a trial; dropped {done.failures or 'none'}",
    )
    report.add(
        f"{precision}/kernels",
        {"default_ms": done.default_ms, "best_ms": done.best_ms},
        f"  kernels together {done.default_ms:.3f} -> {done.best_ms:.3f} ms",
    )
    report.add(f"{precision}/curve", [(t, b) for t, b, _ in events], "  curve: see the picture")
    _whole_model(report, precision, backend, program, database)
    return [(0, events[0][2]), *((t, b) for t, b, _ in events)]


def _whole_model(
    report: Report, precision: str, backend: Any, program: Program, database: str
) -> None:
    target, runners = find_target("host"), []
    for place in ("none", database):
        artifact = backend.compile(
            backend.lower(program, target), CompileOptions(tuning_database=place)
        )
        runners.append(backend.load(artifact, threads=target.cpu.cores))
    x = np.random.default_rng(0).standard_normal((1, 3, SIZE, SIZE)).astype(np.float32)
    same = np.array_equal(runners[0](x), runners[1](x))
    times: list[list[float]] = [[], []]
    for _ in range(RUNS):
        for runner, held in zip(runners, times, strict=True):
            start = time.perf_counter()
            runner(x)
            held.append(1e3 * (time.perf_counter() - start))
    ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
    medians = [statistics.median(held) for held in times]
    report.add(
        f"{precision}/model",
        {"untuned_ms": medians[0], "tuned_ms": medians[1], "ratio": ratio, "equal": same},
        f"  model {medians[0]:.3f} -> {medians[1]:.3f} ms (median of {RUNS}, in turn), "
        f"ratio {ratio:.2f}, same outputs: {same}",
    )


def _picture(curves: dict[str, list[tuple[int, float]]]) -> str:
    """Returns the curves as SVG: time of all kernels, as a share of the untuned one, by trials."""
    width, height, left, top, right, bottom = 640, 360, 60, 30, 120, 50
    last = max(trial for curve in curves.values() for trial, _ in curve)
    inner_w, inner_h = width - left - right, height - top - bottom

    def x(trial: float) -> float:
        return left + inner_w * trial / last

    def y(share: float) -> float:
        return top + inner_h * (1 - min(share, 1.1) / 1.1)

    title = f"MobileNetV2 {SIZE}×{SIZE}: time of all kernels, untuned = 1"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-size="13">',
        "<style>text{font-family:sans-serif}</style>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="18">{title}</text>',
        f'<text x="{left + inner_w / 2}" y="{height - 12}" text-anchor="middle">trials</text>',
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at = f"{y(share):.1f}"
        parts += [
            f'<line x1="{left}" x2="{left + inner_w}" y1="{at}" y2="{at}" stroke="#ddd"/>',
            f'<text x="{left - 8}" y="{y(share) + 4:.1f}" text-anchor="end">{share:g}</text>',
        ]
    for trial in (last * step // 4 for step in range(5)):
        place = f'x="{x(trial):.1f}" y="{height - bottom + 18}"'
        parts += [f'<text {place} text-anchor="middle">{trial}</text>']
    for name, curve in curves.items():
        start, end = curve[0][1], curve[-1][1]
        points = " ".join(f"{x(t):.1f},{y(ms / start):.1f}" for t, ms in curve)
        beside = y(end / start) + (-4 if name == "int8" else 12)  # the curves may end together
        colour, place = COLOURS[name], f'x="{left + inner_w + 6}" y="{beside:.1f}"'
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<text {place} fill="{colour}">{name} {end:.2f} ms</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    main()
