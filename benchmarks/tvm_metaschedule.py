"""What TVM's stock tuner finds for one convolution, beside our template before and after tuning.

    python benchmarks/tvm_metaschedule.py [trials]

The kernel is a pointwise convolution of MobileNetV2 at 224x224 (14x14 pixels, 384 to 64 channels) in
float32 with bias and clip, channels last. MetaSchedule tunes it with its own rules for CPUs; ours are
all points of the template. Both are timed in turn, with two threads.
"""

from __future__ import annotations

import tempfile
import time
from typing import Any

import numpy as np
import tvm
from _common import Report, option_parser
from tvm import relax

from edgeopt.measure import interleave, ratio, summarize
from edgeopt.registry import find_target
from edgeopt_tvm.kernels import Window, configurations, convolution, scheduled
from edgeopt_tvm.machine import machine_of

TRIALS, ROUNDS, IN_A_ROW = 128, 300, 20
ROWS, COLUMNS, CHANNELS, OUT = 14, 14, 384, 64


def main() -> None:
    """Runs everything, prints it and writes it."""
    parser = option_parser(__doc__)
    parser.add_argument("trials", nargs="?", type=int, default=TRIALS)
    trials = parser.parse_args().trials
    report = Report("tvm_metaschedule")
    machine = machine_of(find_target("host"))
    function = _kernel(machine)
    started = time.perf_counter()
    stock = _tuned_by_metaschedule(function, machine, trials)
    seconds = time.perf_counter() - started
    report.add(
        "stock", {"trials": trials, "seconds": seconds}, f"{trials} trials in {seconds:.0f} s"
    )
    points = configurations(function, machine)
    built = {name: _built(scheduled(function, machine, p), machine) for name, p in _named(points)}
    ours = min(built, key=lambda name: _once(built[name], function))
    functions = {
        "MetaSchedule": _bound(_built(stock, machine), function),
        "template, default": _bound(built["0"], function),
        f"template, best of {len(points)}": _bound(built[ours], function),
    }
    times = interleave(functions, runs=ROUNDS)
    for name, held in times.items():
        us = 1e3 * summarize(held).median_ms / IN_A_ROW
        told = ratio(held, times["MetaSchedule"])
        value = {"us": us, "ratio": told.value, "interval_95": [told.low, told.high]}
        report.add(name, value, f"{name:24} {us:7.1f} us, ratio to MetaSchedule {told}")
    report.write()


def _kernel(machine: Any) -> Any:
    bb = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, ROWS, COLUMNS, CHANNELS), "float32"))
    weight = np.random.default_rng(0).standard_normal((OUT, 1, 1, CHANNELS)).astype(np.float32)
    with bb.function("main", [x]):
        with bb.dataflow():
            sums = convolution(bb, x, weight, machine, Window())
            biased = bb.emit(relax.op.add(sums, relax.const(np.ones(OUT, np.float32))))
            result = bb.emit_output(bb.emit(relax.op.clip(biased, 0, 6)))
        bb.emit_func_output(result)
    module = bb.get()
    for step in (
        relax.transform.LegalizeOps(),
        relax.transform.AnnotateTIROpPattern(),
        relax.transform.FuseOps(),
        relax.transform.FuseTIR(),
        relax.transform.DeadCodeElimination(),
    ):
        module = step(module)
    (function,) = [f for f in module.functions.values() if isinstance(f, tvm.tirx.PrimFunc)]
    return function


def _tuned_by_metaschedule(function: Any, machine: Any, trials: int) -> Any:
    from tvm.s_tir import meta_schedule as ms  # noqa: PLC0415 (slow)

    named = function.with_attr("global_symbol", "main")
    module = tvm.tirx.transform.ForceNarrowIndexToInt32()(tvm.IRModule({"main": named}))
    target = machine.tvm_target()
    with tempfile.TemporaryDirectory() as folder:
        database = ms.tir_integration.tune_tir(
            module,
            target,
            folder,
            max_trials_global=trials,
            num_trials_per_iter=32,
            cost_model="random",
            num_tuning_cores=machine.cores,
        )
        found = ms.tir_integration.compile_tir(database, module, target)
    if found is None:
        raise SystemExit("MetaSchedule found nothing")
    return found.mod["main"]


def _named(points: Any) -> Any:
    return [(str(i), p) for i, p in enumerate(points)]


def _built(function: Any, machine: Any) -> Any:
    named = function.with_attr("global_symbol", "main")
    return tvm.compile(tvm.IRModule({"main": named}), target=machine.tvm_target())["main"]


def _arrays(function: Any) -> list[Any]:
    rng = np.random.default_rng(0)
    shapes = [tuple(int(d) for d in p.shape) for p in function.params]
    return [tvm.runtime.tensor(rng.standard_normal(s).astype(np.float32)) for s in shapes]


def _bound(built: Any, function: Any) -> Any:
    arrays = _arrays(function)

    def run() -> None:
        for _ in range(IN_A_ROW):
            built(*arrays)

    return run


def _once(built: Any, function: Any) -> float:
    run = _bound(built, function)
    best = float("inf")
    for _ in range(10):
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


if __name__ == "__main__":
    main()
