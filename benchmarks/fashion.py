"""What pruning, distillation and quantization-aware training bring on Fashion-MNIST, three seeds.

    python benchmarks/fashion.py [--seeds 0,1,2] [--parts prune,distill,qat,chain] [--fresh]
    python benchmarks/fashion.py --seeds 1 --parts prune --train   # only makes what it needs

All 10 000 test pictures are judged, and no choice was made by them: every schedule is fixed. Mean and
spread (standard deviation) over the seeds; a difference is taken seed by seed. What was trained is kept
in edgeopt's cache, so a run goes on where one was stopped. Needs Debian's package
dataset-fashion-mnist. About half an hour on two cores.
`importances` is `prune` with L2 and random.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from _common import Report, option_parser
from _fashion import (
    IMPORTANCES,
    SETTINGS,
    example,
    halved,
    integer,
    judged,
    longer,
    score,
    score_program,
    small,
    student,
    teacher,
    tuned_teacher,
)

import edgeopt
from edgeopt.data.calls import as_call
from edgeopt.measure import interleave, ratio, summarize
from edgeopt.pruning.cost import layer_costs, parameter_count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

THREADS = 1
"""So small a network gains nothing from more, and idle threads of one runtime disturb the next."""
ROUNDS, ROUNDS_SHORTEST_S = 400, 4.0
BACKENDS = ("tflite", "openvino")
BITS = (8, 4)


def main() -> None:
    """Runs everything that is asked for, prints it and writes it."""
    parser = option_parser(__doc__, fresh=True)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--parts", default="prune,distill,qat,chain")
    parser.add_argument("--train", action="store_true", help="only make what is not there yet")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    chosen = [PARTS[part] for part in options.parts.split(",")]
    if options.train:
        for make, _ in chosen:
            for seed in seeds:
                make(seed)
        return
    report = Report("fashion")
    report.add("settings", SETTINGS, f"seeds {options.seeds}, {len(judged()[1])} test pictures")
    for _, show in chosen:
        show(report, seeds)
    report.write()


def _make_pruned(seed: int, importances: Sequence[str] = IMPORTANCES[:3]) -> None:
    for importance in importances:
        halved(seed, importance)
    tuned_teacher(seed)


def _make_others(seed: int) -> None:
    _make_pruned(seed, IMPORTANCES)


def _show_pruned(
    report: Report, seeds: Sequence[int], importances: Sequence[str] = IMPORTANCES[:3]
) -> None:
    whole = [score(teacher(seed)) for seed in seeds]
    _add(report, "teacher", whole, f"teacher, {_size(teacher(seeds[0]))}")
    tuned = [score(tuned_teacher(seed)) for seed in seeds]
    _add(report, "teacher, trained on", tuned, "teacher, after as much training as the halved ones")
    for importance in importances:
        models = [halved(seed, importance) for seed in seeds]
        cut, learnt = ([score(m[i]) for m in models] for i in (0, 1))
        left = f"half the MACs, {importance}"
        _add(report, f"half, {importance}, as cut", cut, f"{left}, as cut, {_size(models[0][0])}")
        _add(report, f"half, {importance}", learnt, f"{left}, after fine-tuning")
        _difference(report, f"half, {importance}, beside teacher", learnt, whole)
        _difference(report, f"half, {importance}, beside teacher trained on", learnt, tuned)
        if importance == IMPORTANCES[0]:
            first = cut, learnt
            continue
        beside = f"half, {IMPORTANCES[0]} beside {importance}"
        _difference(report, f"{beside}, as cut", first[0], cut)
        _difference(report, beside, first[1], learnt)


def _show_others(report: Report, seeds: Sequence[int]) -> None:
    _show_pruned(report, seeds, IMPORTANCES)


def _make_small(seed: int) -> None:
    for distilled in (True, False):
        small(seed, distilled=distilled)


def _show_small(report: Report, seeds: Sequence[int]) -> None:
    plain, taught = (
        [score(small(seed, distilled=distilled)) for seed in seeds] for distilled in (False, True)
    )
    size = _size(small(seeds[0], distilled=False))
    _add(report, "small, plain", plain, f"small network, labels alone, {size}")
    _add(report, "small, distilled", taught, "the same, from the teacher too")
    _difference(report, "small, distilled beside plain", taught, plain)


def _make_integer(seed: int) -> None:
    for bits in BITS:
        integer(seed, bits, trained=True)
        integer(seed, bits, trained=False)
    integer(seed, BITS[0], trained=False, of=longer)


def _show_integer(report: Report, seeds: Sequence[int]) -> None:
    _add(report, "student, float", [score(student(s)) for s in seeds], "student, float")
    for bits in BITS:
        rounded, trained = (
            [score_program(integer(seed, bits, trained=how)) for seed in seeds]
            for how in (False, True)
        )
        _add(report, f"PTQ, {bits} bits", rounded, f"PTQ, weights of {bits} bits")
        _add(report, f"QAT, {bits} bits", trained, f"QAT, weights of {bits} bits")
        _difference(report, f"QAT beside PTQ, {bits} bits", trained, rounded)
        if bits == BITS[0]:
            after = [score_program(integer(s, bits, trained=False, of=longer)) for s in seeds]
            _add(report, "PTQ, 8 bits, trained as much longer", after, "PTQ after as much training")
            _difference(report, "QAT beside PTQ after as much training", trained, after)


def _make_chain(seed: int) -> None:
    integer(seed, 8, trained=True)


def _show_chain(report: Report, seeds: Sequence[int]) -> None:
    whole = [score(teacher(seed)) for seed in seeds]
    for backend in BACKENDS:
        got = [score_program(integer(seed, 8, trained=True), backend) for seed in seeds]
        _add(report, f"chain, {backend}", got, f"the whole chain, {backend}")
        _difference(report, f"chain, {backend}, beside teacher", got, whole)
    for seed in seeds:
        _sizes(report, seed)
    for seed in seeds:
        _times(report, seed)


def _sizes(report: Report, seed: int) -> None:
    weights = example.float_bytes(teacher(seed))
    for backend in BACKENDS:
        small_one, large = (_artifact(p, backend).size_bytes for p in _programs(seed))
        held = {
            "student_bytes": small_one,
            "teacher_bytes": large,
            "teacher_weights_bytes": weights,
            "smaller_than_artifact": large / small_one,
            "smaller_than_weights": weights / small_one,
        }
        text = f"{small_one / 1e3:.0f} KB of {large / 1e3:.0f} KB (weights {weights / 1e3:.0f} KB)"
        text = f"{text}: {large / small_one:.1f} times smaller ({weights / small_one:.1f})"
        report.add(
            f"size, {backend}, seed {seed}", held, f"{f'size, {backend}, seed {seed}':42} {text}"
        )


def _times(report: Report, seed: int) -> None:
    """Times everything in turn: teacher in torch and in each runtime, student in each runtime."""
    picture = judged()[0][:1]
    small_one, large = _programs(seed)
    torch.set_num_threads(THREADS)
    model = teacher(seed)
    functions: dict[str, Callable[[], Any]] = {"teacher, torch": lambda: _eager(model, picture)}
    for backend in BACKENDS:
        for name, program in (("student", small_one), ("teacher", large)):
            functions[f"{name}, {backend}"] = _runner(program, backend, picture.numpy())
    times = interleave(functions, runs=ROUNDS, min_time_s=ROUNDS_SHORTEST_S)
    for backend in BACKENDS:
        ours = times[f"student, {backend}"]
        for other in ("teacher, torch", f"teacher, {backend}"):
            compared = ratio(times[other], ours)
            medians = [summarize(held).median_ms for held in (ours, times[other])]
            held = {
                "student_ms": medians[0],
                "other_ms": medians[1],
                "times_faster": compared.value,
                "interval_95": [compared.low, compared.high],
                "rounds": len(ours),
            }
            what = f"student, {backend}, beside {other}, seed {seed}, one thread"
            text = f"{medians[0]:.3f} ms, {medians[1]:.3f} ms: {compared.value:.1f} times faster"
            span = f"[{compared.low:.1f}, {compared.high:.1f}]"
            report.add(what, held, f"{what:66} {text} {span}")


def _eager(model: nn.Module, picture: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model(picture)


def _runner(program: Any, backend: str, picture: np.ndarray) -> Callable[[], Any]:
    runner = edgeopt.load(edgeopt.compile(program, "host", backend=backend), threads=THREADS)
    return lambda: runner(picture)


def _programs(seed: int) -> tuple[Any, Any]:
    return integer(seed, 8, trained=True), edgeopt.capture(teacher(seed), judged()[0][:1])


def _artifact(program: Any, backend: str) -> Any:
    return edgeopt.compile(program, "host", backend=backend).artifact()


def _size(model: nn.Module) -> str:
    costs = layer_costs(model, as_call(judged()[0][:1]))
    macs = sum(cost.macs for cost in costs.values())
    return f"{macs / 1e6:.1f} M MACs, {parameter_count(model) / 1e3:.0f} k parameters"


def _add(report: Report, key: str, values: list[float], text: str) -> None:
    held = _statistics(values)
    each = ", ".join(f"{v:.2f}" for v in values)
    report.add(key, held, f"{text:66} {held['mean']:.2f} ± {held['spread']:.2f} % ({each})")


def _difference(report: Report, key: str, ours: list[float], theirs: list[float]) -> None:
    values = [a - b for a, b in zip(ours, theirs, strict=True)]
    held = _statistics(values)
    each = ", ".join(f"{v:+.2f}" for v in values)
    report.add(key, held, f"  {key:64} {held['mean']:+.2f} ± {held['spread']:.2f} points ({each})")


def _statistics(values: list[float]) -> dict[str, Any]:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "spread": spread, "values": values}


PARTS = {
    "prune": (_make_pruned, _show_pruned),
    "importances": (_make_others, _show_others),
    "distill": (_make_small, _show_small),
    "qat": (_make_integer, _show_integer),
    "chain": (_make_chain, _show_chain),
}


if __name__ == "__main__":
    sys.exit(main())
