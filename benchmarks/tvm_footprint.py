"""What TVM's code weighs on a device, with and without Python, and how long compiling takes.

    python benchmarks/tvm_footprint.py

MobileNetV2 (224×224) in int8 and float32, no kernel tuned, compiled for each generic target. A device with
Python needs the library, the bundle's runner and numpy; one without needs one static program. TVM's own
runtime is what the alternative weighs: its two libraries, as they lie in this machine's wheels. The
cost of handing a loop to two threads is measured on a chain of two hundred kernels that do next to
nothing, by our runtime and by TVM's virtual machine (in processes of their own, the median of each).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _common import Report, option_parser
from _networks import NETWORKS, pictures

import edgeopt
from edgeopt.registry import find_target

if TYPE_CHECKING:
    from edgeopt.contracts import Target
    from edgeopt.ir import Program

NETWORK = "MobileNetV2 224"
TARGETS = ("aarch64", "armv7", "riscv64", "x86-64-v2", "x86-64-v3")
CALIBRATION, STEPS, RUNS = 16, 200, 1000
CHAIN = """
import sys, time, statistics
import numpy as np, tvm
from tvm import relax, te
from tvm.s_tir import Schedule
from edgeopt.registry import find_target
from edgeopt_tvm.executable import Buffer, Executable, Step
from edgeopt_tvm.library import build_library
from edgeopt_tvm.machine import machine_of
from edgeopt_tvm.device.runtime import Model

way, threads, steps, runs, path = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
x = te.placeholder((64,), "int32", name="x")
y = te.compute((64,), lambda i: x[i] + 1, name="y")
schedule = Schedule(te.create_prim_func([x, y]).with_attr("global_symbol", "k"))
outer, _ = schedule.split(schedule.get_loops(schedule.get_sblock("y"))[0], [4, None])
schedule.parallel(outer)
kernel, machine = schedule.mod["main"], machine_of(find_target("host"))
zeros = np.zeros(64, np.int32)
if way == "ours":
    kinds = ["input", *["temporary"] * (steps - 1), "output"]
    buffers = tuple(Buffer(f"v{i}", (64,), "int32", kind) for i, kind in enumerate(kinds))
    calls = tuple(Step("k", (i, i + 1)) for i in range(steps))
    made = Executable(tvm.IRModule({"k": kernel}), buffers, calls, {})
    open(path, "wb").write(build_library(made, machine))
    model = Model(path, {}, threads)
    run, read = (lambda: model(zeros)), (lambda out: out[0])
else:
    bb = relax.BlockBuilder()
    k, kind = bb.add_func(kernel, "k"), relax.TensorType((64,), "int32")
    first = relax.Var("x", kind)
    with bb.function("main", [first]):
        with bb.dataflow():
            value = first
            for _ in range(steps):
                value = bb.emit(relax.call_tir(k, (value,), kind))
            result = bb.emit_output(value)
        bb.emit_func_output(result)
    vm = relax.VirtualMachine(tvm.compile(bb.get(), target=machine.tvm_target()), tvm.cpu())
    main, held = vm["main"], tvm.runtime.tensor(zeros)
    run, read = (lambda: main(held)), (lambda out: out.numpy())
assert (read(run()) == steps).all()
times = []
for _ in range(runs):
    begun = time.perf_counter_ns()
    run()
    times.append(time.perf_counter_ns() - begun)
print(statistics.median(times) / steps)
"""


def main() -> None:
    """Runs everything, prints it and writes it."""
    option_parser(__doc__).parse_args()
    report = Report("tvm_footprint")
    make, side = NETWORKS[NETWORK]
    images = pictures(side, CALIBRATION)
    program = edgeopt.capture(make(), (images[:1],))
    quantized = edgeopt.quantize(program, [(image[None],) for image in images])
    _peers(report)
    for name in TARGETS:
        for held in (quantized, program):
            _footprint(report, held, find_target(f"generic-{name}"))
    _handing_over(report)
    report.write()


def _footprint(report: Report, program: Program, target: Target) -> None:
    """Compiles once for the caches (a C library is built the first time), then measures."""
    from edgeopt_tvm.emitter import emit_program  # noqa: PLC0415 (slow)
    from edgeopt_tvm.kernels import scheduled  # noqa: PLC0415
    from edgeopt_tvm.library import generate  # noqa: PLC0415
    from edgeopt_tvm.linking import link_library, link_program, link_runner  # noqa: PLC0415
    from edgeopt_tvm.lowering import lower_emitted  # noqa: PLC0415
    from edgeopt_tvm.machine import machine_of  # noqa: PLC0415

    machine = machine_of(target)
    begun = time.perf_counter()
    executable = lower_emitted(emit_program(program, machine))
    lowered = time.perf_counter()
    parts = generate(executable, machine, schedule=scheduled)
    generated = time.perf_counter()
    library = link_library(parts, machine)
    linked = time.perf_counter()
    runner, static = link_runner(library, machine), link_program(parts, machine)
    constants = sum(map(len, parts.constants.values()))
    figures = {
        "constants_bytes": constants,
        "model_so_bytes": len(library),
        "run_bytes": len(runner),
        "static_run_bytes": len(static),
        "steps": len(executable.steps),
        "kernels": len(executable.module.functions),
        "lower_s": lowered - begun,
        "kernels_s": generated - lowered,
        "link_s": linked - generated,
    }
    name = f"{target.name}, {program.precision}"
    told = (
        f"{name:30} model.so {_kb(len(library))}, of which constants {_kb(constants)}; run "
        f"{_kb(len(runner))}; static {_kb(len(static))}; compiled in {linked - begun:.1f} s "
        f"({figures['kernels']} kernels {generated - lowered:.1f} s, link {linked - generated:.1f} s)"
    )
    report.add(name, figures, told)


def _peers(report: Report) -> None:
    """Adds what TVM's own runtime and numpy weigh."""
    found = {
        name: (_package(package) / path).stat().st_size
        for name, package, path in (
            ("libtvm_runtime.so", "tvm", "lib/libtvm_runtime.so"),
            ("libtvm_ffi.so", "tvm_ffi", "lib/libtvm_ffi.so"),
        )
    }
    folders = [_package("numpy"), _package("numpy").with_name("numpy.libs")]
    found["numpy"] = sum(_weight(folder) for folder in folders)
    told = ", ".join(f"{name} {_kb(size)}" for name, size in found.items())
    report.add("beside it, on this machine", found, told)


def _handing_over(report: Report) -> None:
    for threads in (1, 2):
        figures = {way: _chain(way, threads) for way in ("ours", "TVM's VM")}
        told = ", ".join(f"{way} {value:.2f} µs" for way, value in figures.items())
        report.add(f"us per step, {threads} threads", figures, f"a step, {threads} threads: {told}")


def _chain(way: str, threads: int) -> float:
    """Returns the microseconds of a step: the median of three processes."""
    with tempfile.TemporaryDirectory() as folder:
        words = [way, str(threads), str(STEPS), str(RUNS), f"{folder}/model.so"]
        env = {**os.environ, "TVM_NUM_THREADS": str(threads)}
        told: list[Any] = [
            subprocess.check_output([sys.executable, "-c", CHAIN, *words], env=env, text=True)
            for _ in range(3)
        ]
    return statistics.median(float(text) for text in told) / 1000


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{name} is not installed")
    return Path(spec.submodule_search_locations[0])


def _weight(folder: Path) -> int:
    """Returns the bytes of all files, without bytecode and tests."""
    needless = {"__pycache__", "tests"}
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(p.stat().st_size for p in files if not needless & set(p.parts))


def _kb(size: int) -> str:
    return f"{size / 1000:.0f} kB"


if __name__ == "__main__":
    main()
