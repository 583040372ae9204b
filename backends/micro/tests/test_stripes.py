"""Layers by stripes of rows give the bytes that they give one by one, in the memory that is foreseen."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.ir import ReferenceRunner
from edgeopt.options import CompileOptions
from edgeopt.registry import find_backend, find_target
from edgeopt_micro.core import Core
from edgeopt_micro.emitter import Step
from edgeopt_micro.fitting import fitted_to
from edgeopt_micro.stripes import chains, striped
from edgeopt_micro.testing.bare import NATIVE
from edgeopt_micro.testing.cases import make_case
from edgeopt_micro.values import Buffer, Value
from edgeopt_micro.weighted import Geometry, convolution, max_pool

HOST = Core(triple="", cpu="", fpu=True, dsp=False, mve=False)
PLAIN = {"ranges": "minmax", "equalization": "off", "smoothing": "off"}
PLAIN |= {"bias_correction": "off", "rounding": "nearest"}
PLAIN |= {"overrides": {"*": {"low": -2.0, "high": 2.0}}}  # believed: no value stays in float


def drawn_layer(chance, size, channels):
    """Returns a convolution of an input, whose output has pixels."""
    depthwise = channels > 1 and chance.random() < 0.4
    kernel = tuple(int(n) for n in chance.integers(1, 5, 2))
    dilation = tuple(int(chance.choice([1, 1, 2])) for _ in range(2))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    before, after = ([int(chance.integers(0, r)) for r in reach] for _ in range(2))
    after = [max(a, r - b - n) for a, b, r, n in zip(after, before, reach, size, strict=True)]
    stride = tuple(int(n) for n in chance.integers(1, 4, 2))
    out = tuple(
        (n + a + b - r) // s + 1
        for n, a, b, r, s in zip(size, before, after, reach, stride, strict=True)
    )
    times = int(chance.integers(1, 3))
    outputs = channels * times if depthwise else int(chance.integers(1, 13))
    groups = channels if depthwise else 1
    return Geometry(
        1, size, out, channels, outputs, kernel, stride, tuple(before), dilation, groups
    )


def drawn_chain(chance, count):
    """Returns the cases of layers that fit behind each other."""
    size, channels = tuple(int(n) for n in chance.integers(1, 20, 2)), int(chance.integers(1, 9))
    found = []
    for _ in range(count):
        layer = drawn_layer(chance, size, channels)
        pooled = chance.random() < 0.25
        layer = replace(layer, out_channels=channels, groups=channels) if pooled else layer
        found.append(make_case(layer, chance))
        found[-1] = replace(found[-1], weights=None) if pooled else found[-1]
        size, channels = found[-1].geometry.out_size, found[-1].geometry.out_channels
    return found


def steps_of(cases, core=HOST):
    values = [Value(Buffer("input", cases[0].input.size, "x"), (1,), (0,), "int8")]
    steps = []
    for k, case in enumerate(cases):
        size = case.expected.size
        values.append(Value(Buffer("arena", size, f"v{k}"), (size,), (0,), "int8"))
        pooled = case.weights is None
        call = max_pool(case.geometry) if pooled else convolution(core, case.geometry, case.weights)
        steps.append(Step(f"v{k}", call, (values[k],), values[k + 1]))
    return steps, values


POINTERS = ("weight", "bias", "factor")


def struct_of(call):
    """Returns a call's struct; a pooling has no weights, and nothing behind its sizes."""
    fields = {**dict.fromkeys(POINTERS), **call.fields}
    kinds = [(k, ctypes.c_void_p if k in POINTERS else ctypes.c_int32) for k in fields]
    kinds += [(f"rest{k}", ctypes.c_int32) for k in range(30 - len(kinds))]
    values = [v.ctypes.data if isinstance(v, np.ndarray) else v for v in fields.values()]
    return type("Parameters", (ctypes.Structure,), {"_fields_": kinds})(*values)


class Layer(ctypes.Structure):
    _fields_ = (("run", ctypes.c_void_p), ("p", ctypes.c_void_p), ("rows", ctypes.c_uint32))


class Stripes(ctypes.Structure):
    _fields_ = (
        ("layers", ctypes.c_void_p),
        ("count", ctypes.c_int32),
        ("stripe", ctypes.c_int32),
        ("own", ctypes.c_int32),
    )


def by_stripes(library, step, x, size):
    """Returns the output of a striped step, which lies as far over its input as it may, and checks its scratch."""
    call = step.call
    structs = [struct_of(one) for one, _ in call.layers]
    rows = [
        (ctypes.cast(getattr(library, one.function), ctypes.c_void_p), ctypes.addressof(struct), at)
        for (one, at), struct in zip(call.layers, structs, strict=True)
    ]
    layers = (Layer * len(rows))(*rows)
    fields = (call.fields[name] for name in ("count", "stripe", "own"))
    parameters = Stripes(ctypes.addressof(layers), *fields)
    distance = max(call.overlaps[0], -x.size)
    place, goal = 16 + max(distance, 0), 16 + max(-distance, 0)
    memory = np.full(max(place + x.size, goal + size) + 16, 85, np.int8)
    memory[place : place + x.size] = x.reshape(-1)
    scratch = np.full(call.scratch_bytes + 32, 85, np.int8)
    library.run_stripes(
        ctypes.byref(parameters),
        *(ctypes.c_void_p(a.ctypes.data) for a in (memory[place:], memory[goal:], scratch[16:])),
    )
    assert (memory[:16] == 85).all()
    assert (memory[-16:] == 85).all()
    assert (scratch[:16] == 85).all()
    assert (scratch[-16:] == 85).all()
    return memory[goal : goal + size].copy()


@pytest.fixture(scope="module")
def library(compile_library, tmp_path_factory):
    file = tmp_path_factory.mktemp("stripes") / "stripes.c"
    file.write_text(
        '#include "edgeopt_stripes.h"\n'
        "void run_stripes(const edgeopt_stripes *s, const int8_t *x, int8_t *y, void *scratch) {\n"
        "  edgeopt_run_stripes(s, x, y, scratch);\n}\n"
    )
    names = ("edgeopt_convolution.c", "edgeopt_depthwise.c", "edgeopt_pools.c")
    sources = [*(NATIVE / name for name in names), file]
    return compile_library("stripes", sources)


def one_by_one(library, steps, x):
    for step in steps:
        output = np.zeros(step.output.size_bytes, np.int8)
        scratch = np.zeros(step.call.scratch_bytes + 16, np.int8)
        arrays = (ctypes.c_void_p(a.ctypes.data) for a in (x, output, scratch))
        getattr(library, step.call.function)(ctypes.byref(struct_of(step.call)), *arrays)
        x = output
    return x


@pytest.mark.parametrize("seed", range(60))
def test_random_chains_give_the_same_bytes(library, seed):
    chance = np.random.default_rng(seed)
    cases = drawn_chain(chance, int(chance.integers(2, 5)))
    steps, _ = steps_of(cases)
    x = cases[0].input.reshape(-1)
    wanted = one_by_one(library, steps, x)
    for stripe in (1, 2, 3, 100):
        got = by_stripes(library, striped(steps, stripe), x, wanted.size)
        np.testing.assert_array_equal(got, wanted, f"{stripe} {[c.geometry for c in cases]}")


def test_chains_end_where_a_value_is_read_twice():
    chance = np.random.default_rng(1)
    cases = drawn_chain(chance, 3)
    steps, values = steps_of(cases)
    assert list(chains(steps, set())) == [range(3)]
    assert list(chains(steps, {values[1].buffer})) == [range(1, 3)]
    again = Step(
        "again", steps[2].call, (values[2],), Value(Buffer("arena", 1, "again"), (1,), (0,), "int8")
    )
    assert list(chains([*steps, again], set())) == [range(2)]


def test_nothing_changes_where_it_fits():
    steps, values = steps_of(drawn_chain(np.random.default_rng(1), 3))
    fitted = fitted_to(steps, values[:1], values[-1:], 1 << 20)
    assert fitted.steps == steps
    assert fitted.notes == ()
    assert fitted_to(steps, values[:1], values[-1:], None).steps == steps


def block(channels, inner, out, stride):
    return nn.Sequential(
        nn.Conv2d(channels, inner, 1), nn.ReLU6(),
        nn.Conv2d(inner, inner, 3, stride, 1, groups=inner), nn.ReLU6(),
        nn.Conv2d(inner, out, 1),
    )  # fmt: skip


class Wide(nn.Module):
    """As MobileNetV2 begins: its first layers are its widest."""

    def __init__(self):
        super().__init__()
        self.begin = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU6(), block(8, 24, 8, 2))
        self.middle = block(8, 24, 8, 1)
        self.end = nn.Linear(8, 4)

    def forward(self, x):
        x = self.begin(x)
        x = x + self.middle(x)
        return self.end(x.mean((2, 3)))


def pooled():
    """As small networks begin: a pooling behind the first layer, which is as large as the picture."""
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(12, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(392, 4),
    )  # fmt: skip


NETWORKS = {"wide": Wide, "pooled": pooled}


def program_of(network):
    torch.manual_seed(3)
    samples = [(torch.randn(1, 3, 64, 64),) for _ in range(4)]
    model = NETWORKS[network]().eval()
    return samples, edgeopt.quantize(model, samples, example_inputs=samples[0], **PLAIN)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("target", ["generic-cortex-m4f", "generic-cortex-m55", "pico"])
def test_a_network_takes_as_little_as_is_asked(network, target):
    samples, program = program_of(network)
    backend = find_backend("micro")
    lowered = backend.lower(program, find_target(target))
    before = backend.memory(lowered).ram_bytes
    backend.fit(lowered, 18 * 1024)
    use = backend.memory(lowered)
    assert use.ram_bytes <= 18 * 1024 < before
    assert "layers, " in use.notes[0]
    assert use.fullest.size_bytes <= use.ram_bytes
    runner = backend.load(backend.compile(lowered, CompileOptions()))
    for (x,) in samples:
        np.testing.assert_array_equal(
            runner(x.numpy()), ReferenceRunner(lowered.program)(x.numpy())
        )
    runner.close()
    backend.fit(lowered, 1 << 20)
    assert (backend.memory(lowered).ram_bytes, backend.memory(lowered).notes) == (before, ())


@pytest.mark.qemu
@pytest.mark.slow
@pytest.mark.parametrize(
    "target", ["generic-cortex-m4f", "generic-cortex-m0plus", "generic-cortex-m55"]
)
@pytest.mark.parametrize("network", NETWORKS)
def test_the_emulated_core_gives_the_same_bytes(target, network, tmp_path):
    samples, program = program_of(network)
    deployment = edgeopt.deploy(
        program, target, backend="micro", calibration_data=samples, max_ram_kb=18,
        device="emulated", output=tmp_path / "bundle", checks={"speed": False},
    )  # fmt: skip
    assert deployment.memory.use.ram_bytes <= 18 * 1024
    assert "by stripes of" in str(deployment)
