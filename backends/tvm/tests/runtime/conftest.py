"""Small executables, made by hand."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import tvm
from tvm import te, tirx
from tvm.s_tir import Schedule

from edgeopt.registry.target_registry import find_target
from edgeopt_tvm.c_tables import table_source
from edgeopt_tvm.executable import Buffer, Executable, Step
from edgeopt_tvm.linking import Parts, link_library, zig_target
from edgeopt_tvm.machine import machine_of

sys.path.insert(0, str(Path(__file__).parent))  # `tellers` is a module beside the tests

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.contracts import Target
    from edgeopt_tvm.machine import Machine

_EMULATORS = {
    "aarch64": "qemu-aarch64-static",
    "armv7": "qemu-arm-static",
    "riscv64": "qemu-riscv64-static",
}


@pytest.fixture(scope="session")
def machine() -> Machine:
    """Returns this machine."""
    return machine_of(find_target("host"))


@pytest.fixture
def emulator() -> Callable[[str], str]:
    """Returns a function: an architecture to what runs its programs here; it skips where that is missing."""

    def find(arch: str) -> str:
        program = _EMULATORS[arch]
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: sudo apt-get install qemu-user-static")
        return program

    return find


@pytest.fixture(scope="session")
def without_python() -> Callable[[str], Target]:
    """Returns a function: an architecture to a device that has no Python."""

    def find(arch: str) -> Target:
        target = find_target(f"generic-{arch}")
        return msgspec.structs.replace(target, os=msgspec.structs.replace(target.os, python=""))

    return find


def scheduled(name: str, tensors: list[te.Tensor], loop: str) -> Any:
    """Returns a PrimFunc whose block ``loop`` is split over the threads."""
    function = te.create_prim_func(tensors).with_attr("global_symbol", name)
    schedule = Schedule(tvm.IRModule({name: function}))
    outermost = schedule.get_loops(schedule.get_sblock(loop, func_name=name))[0]
    schedule.parallel(outermost)
    return schedule.mod[name]


@dataclass
class Toy:
    """An executable, and what it should compute."""

    executable: Executable
    inputs: tuple[np.ndarray, ...]
    wanted: tuple[np.ndarray, ...]
    tolerance: float = 0.0

    def check(self, outputs: Any) -> None:
        """Checks what was computed of `inputs`."""
        for got, wanted in zip(outputs, self.wanted, strict=True):
            assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
            if self.tolerance:
                np.testing.assert_allclose(got, wanted, atol=self.tolerance, rtol=self.tolerance)
            else:
                np.testing.assert_array_equal(got, wanted)


@pytest.fixture(scope="session")
def perceptron() -> Toy:
    """Returns y = tanh(relu(x w + b)): two kernels, one value between them, libm's functions."""
    x = te.placeholder((16, 24), name="x")
    w = te.placeholder((24, 32), name="w")
    b = te.placeholder((32,), name="b")
    k = te.reduce_axis((0, 24), name="k")
    sums = te.compute((16, 32), lambda i, j: te.sum(x[i, k] * w[k, j], axis=k), name="sums")
    relu = te.compute(
        (16, 32), lambda i, j: tirx.max(sums[i, j] + b[j], tirx.const(0.0, "float32")), name="relu"
    )
    h = te.placeholder((16, 32), name="h")
    tanh = te.compute((16, 32), lambda i, j: tirx.tanh(h[i, j]), name="tanh")
    module = tvm.IRModule(
        {
            "dense": scheduled("dense", [x, w, b, relu], "sums"),
            "act": scheduled("act", [h, tanh], "tanh"),
        }
    )
    buffers = (
        Buffer("x", (16, 24), "float32", "input"),
        Buffer("w", (24, 32), "float32", "constant"),
        Buffer("b", (32,), "float32", "constant"),
        Buffer("h", (16, 32), "float32", "temporary"),
        Buffer("y", (16, 32), "float32", "output"),
    )
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((24, 32)).astype(np.float32)
    bias = rng.standard_normal(32).astype(np.float32)
    steps = (
        Step("dense", (0, 1, 2, 3), origins=("linear", "relu")),
        Step("act", (3, 4), origins=("tanh",)),
    )
    sample = rng.standard_normal((16, 24)).astype(np.float32)
    wanted = np.tanh(np.maximum(sample @ weight + bias, 0))
    executable = Executable(module, buffers, steps, {1: weight, 2: bias})
    return Toy(executable, (sample,), (wanted,), 1e-5)


@pytest.fixture(scope="session")
def integers() -> Toy:
    """Returns q = clip(a b >> 7), n = count, f = any > 0: integers, several dtypes, exact."""
    a = te.placeholder((8, 32), "int8", name="a")
    w = te.placeholder((32, 8), "int8", name="w")
    k = te.reduce_axis((0, 32), name="k")
    sums = te.compute(
        (8, 8),
        lambda i, j: te.sum(a[i, k].astype("int32") * w[k, j].astype("int32"), axis=k),
        name="sums",
    )
    quantized = te.compute(
        (8, 8),
        lambda i, j: tirx.max(
            tirx.min(sums[i, j] >> 7, tirx.const(127, "int32")), tirx.const(-128, "int32")
        ).astype("int8"),
        name="q",
    )
    q = te.placeholder((8, 8), "int8", name="held")
    n = te.compute((8, 8), lambda i, j: q[i, j].astype("int64") * 1000000007, name="n")
    f = te.compute((8, 8), lambda i, j: q[i, j] > tirx.const(0, "int8"), name="f")
    module = tvm.IRModule(
        {
            "product": scheduled("product", [a, w, quantized], "sums"),
            "wide": scheduled("wide", [q, n], "n"),
            "sign": scheduled("sign", [q, f], "f"),
        }
    )
    buffers = (
        Buffer("a", (8, 32), "int8", "input"),
        Buffer("w", (32, 8), "int8", "input"),
        Buffer("q", (8, 8), "int8", "output"),
        Buffer("n", (8, 8), "int64", "output"),
        Buffer("f", (8, 8), "bool", "output"),
    )
    steps = (Step("product", (0, 1, 2)), Step("wide", (2, 3)), Step("sign", (2, 4)))
    rng = np.random.default_rng(1)
    left = rng.integers(-128, 128, (8, 32)).astype(np.int8)
    right = rng.integers(-128, 128, (32, 8)).astype(np.int8)
    made = np.clip((left.astype(np.int32) @ right) >> 7, -128, 127).astype(np.int8)
    wanted = (made, made.astype(np.int64) * 1000000007, made > 0)
    return Toy(Executable(module, buffers, steps, {}), (left, right), wanted)


@pytest.fixture(scope="session")
def chain() -> Callable[..., Executable]:
    """Returns a function: a number of steps to that many steps which each add one, in parallel."""

    def make(count: int, size: int = 64) -> Executable:
        x = te.placeholder((size,), "int32", name="x")
        y = te.compute((size,), lambda i: x[i] + 1, name="y")
        kernel = scheduled("k", [x, y], "y")
        kinds = ["input", *["temporary"] * (count - 1), "output"]
        buffers = tuple(Buffer(f"v{i}", (size,), "int32", k) for i, k in enumerate(kinds))
        steps = tuple(Step("k", (i, i + 1)) for i in range(count))
        return Executable(tvm.IRModule({"k": kernel}), buffers, steps, {})

    return make


@pytest.fixture
def from_c(machine: Machine, tmp_path: Path) -> Callable[[str], Path]:
    """Returns a function: C source of a kernel ``toy`` (eight int32 to eight) to a ``model.so``."""
    buffers = (Buffer("x", (8,), "int32", "input"), Buffer("y", (8,), "int32", "output"))
    executable = Executable(None, buffers, (Step("toy", (0, 1)),), {})

    def build(source: str) -> Path:
        (tmp_path / "toy.c").write_text(_TOY + source, encoding="ascii")
        target, native = zig_target(machine), resources.files("edgeopt_tvm.native")
        command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-O2", "-fPIC"]
        command += [f"-I{native}", "-c", "toy.c", "-o", "toy.o"]
        subprocess.run(command, cwd=tmp_path, check=True)
        kernels = (tmp_path / "toy.o").read_bytes()
        table = table_source(executable, machine, {}, {"toy": "toy"})
        parts = Parts({"toy": kernels}, (table,), {})
        path = tmp_path / "model.so"
        path.write_bytes(link_library(parts, machine))
        return path

    return build


_TOY = """
#include "pool.h"
#include "table.h"
int TVMBackendParallelLaunch(task run, void *data, int32_t tasks);
int TVMBackendParallelBarrier(int index, struct group *group);
void *TVMBackendAllocWorkspace(int device, int id, uint64_t bytes, int code, int bits);
int TVMBackendFreeWorkspace(int device, int id, void *memory);
void TVMFFIErrorSetRaisedFromCStrParts(const char *kind, const char **parts, int32_t count);
#define DATA(i) ((int32_t *)((struct tensor *)args[i].held.pointer)->data)
#define KERNEL int32_t __tvm_ffi_toy(void *self, const struct value *args, int32_t n, struct value *r)
"""
