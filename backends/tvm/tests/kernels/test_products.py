"""Matrix products, rows and element-wise kernels, against numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgeopt.registry import find_target
from edgeopt_tvm.kernels import configurations, dense, matmul, scheduled, tunable
from edgeopt_tvm.machine import machine_of


@pytest.mark.parametrize(("rows", "features", "out"), [(16, 32, 48), (197, 24, 20), (1, 130, 10)])
def test_dense_is_exact_in_integers(rows, features, out, fuse, machine):
    rng = np.random.default_rng(0)
    kind = machine.activations
    x = rng.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, (rows, features)).astype(kind)
    weight = rng.integers(-127, 128, (out, features)).astype(np.int8)
    kernel = fuse([(x.shape, kind)], lambda bb, v: dense(bb, v, weight, machine))
    wanted = x.astype(np.int64) @ weight.astype(np.int64).T
    points = configurations(kernel.function, machine)
    for config in (points[0], points[-1]):
        got = kernel.run(scheduled(kernel.function, machine, config), x)
        np.testing.assert_array_equal(got, wanted, err_msg=str(config))


@pytest.mark.parametrize(("rows", "features", "out"), [(16, 32, 48), (197, 24, 20), (1, 130, 10)])
def test_dense_in_float(rows, features, out, fuse, machine):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, features)).astype(np.float32)
    weight = rng.standard_normal((out, features)).astype(np.float32)
    kernel = fuse([(x.shape, "float32")], lambda bb, v: dense(bb, v, weight, machine))
    got = kernel.run(scheduled(kernel.function, machine), x)
    np.testing.assert_allclose(got, x @ weight.T, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("shape", [(3, 17, 16, 17), (2, 5, 7, 3), (1, 16, 32, 64)])
def test_products_of_two_activations(shape, fuse, machine):
    batch, rows, inner, out = shape
    rng = np.random.default_rng(0)
    a = rng.standard_normal((batch, rows, inner)).astype(np.float32)
    b = rng.standard_normal((batch, inner, out)).astype(np.float32)
    kernel = fuse(
        [(a.shape, "float32"), (b.shape, "float32")], lambda bb, x, y: matmul(bb, x, y, machine)
    )
    points = configurations(kernel.function, machine)
    for config in (points[0], points[-1]):
        got = kernel.run(scheduled(kernel.function, machine, config), a, b)
        np.testing.assert_allclose(got, a @ b, rtol=1e-5, atol=1e-4, err_msg=str(config))


@pytest.mark.parametrize("features", [16, 17, 196])
@pytest.mark.parametrize("name", ["softmax", "layer_norm", "mean"])
def test_rows(name, features, fuse, machine):
    from tvm import relax

    x = np.random.default_rng(0).standard_normal((2, 9, features)).astype(np.float32)
    ones, zeros = np.ones(features, np.float32), np.zeros(features, np.float32)
    t = torch.from_numpy(x)
    write, wanted = {
        "softmax": (lambda bb, v: relax.op.nn.softmax(v, -1), t.softmax(-1)),
        "layer_norm": (
            lambda bb, v: relax.op.nn.layer_norm(
                v, relax.const(ones), relax.const(zeros), axes=[-1]
            ),
            torch.nn.functional.layer_norm(t, (features,)),
        ),
        "mean": (lambda bb, v: relax.op.mean(v, [-1]), t.mean(-1)),
    }[name]
    kernel = fuse([(x.shape, "float32")], write)
    assert not tunable(kernel.function)
    got = kernel.run(scheduled(kernel.function, machine), x)
    np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "of", "near"),
    [
        ("exp", torch.exp, 2e-7),
        ("sigmoid", torch.sigmoid, 3e-7),
        ("tanh", torch.tanh, 4e-7),
        ("erf", torch.erf, 4e-7),
    ],
)
def test_elementary_functions(name, of, near, fuse, machine):
    from tvm import relax

    x = np.concatenate([np.linspace(-30, 30, 6000), np.linspace(-0.01, 0.01, 2000), [0.0, -80.0]])
    x = x.astype(np.float32)
    kernel = fuse([(x.shape, "float32")], lambda bb, v: getattr(relax.op, name)(v))
    got = kernel.run(scheduled(kernel.function, machine), x)
    exact = of(torch.from_numpy(x).double()).numpy()
    assert np.abs((got - exact) / np.maximum(1, np.abs(exact))).max() < near


def test_the_exponential_of_what_is_hidden_is_zero_and_of_no_number_none(fuse, machine):
    from tvm import relax

    x = np.array([-np.inf, -1e4, -88.0, np.nan, -87.0, 0.0] * 4, np.float32)
    kernel = fuse([(x.shape, "float32")], lambda bb, v: relax.op.exp(v))
    got = kernel.run(scheduled(kernel.function, machine), x)
    wanted = np.where(x < -87.5, 0, np.exp(x))
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_the_default_is_the_first_configuration(fuse, machine):
    from tvm_ffi import structural_equal

    weight = np.ones((32, 16), np.float32)
    kernel = fuse([((8, 16), "float32")], lambda bb, v: dense(bb, v, weight, machine))
    first = configurations(kernel.function, machine)[0]
    assert structural_equal(
        scheduled(kernel.function, machine), scheduled(kernel.function, machine, first)
    )


HOST = machine_of(find_target("host"))
PROCESSORS = {
    "host": HOST,
    "avx512bw": replace(HOST, dot="none"),
    "avx2": replace(HOST, dot="none", vector_bytes=32, registers=16),
    "sse2": replace(HOST, dot="none", vector_bytes=16, registers=16, features=()),
    "arm": replace(HOST, dot="none", arch="aarch64", vector_bytes=16),
}


def runs(name):
    """Returns whether this machine has the instructions: bytes of its vectors, and those of bytes among them."""
    least = {"avx512bw": "+avx512bw", "avx2": "+avx2"}
    return name not in least or least[name] in HOST.features


@pytest.mark.parametrize("name", list(filter(runs, PROCESSORS)))
@pytest.mark.parametrize(("rows", "features", "out"), [(5, 64, 48), (1, 33, 21)])
def test_products_by_each_instruction(fuse, name, rows, features, out):
    """The code of this processor, and of those whose instructions it has too."""
    machine = PROCESSORS[name]
    rng = np.random.default_rng(0)
    x = rng.choice(np.array([-32767, 32767, 1, 0], np.int16), (rows, features))
    weight = rng.integers(-127, 128, (out, features)).astype(np.int8)
    kernel = fuse([(x.shape, "int16")], lambda bb, v: dense(bb, v, weight, machine))
    kernel = replace(kernel, machine=machine)
    function = scheduled(kernel.function, machine)
    assert ("call_llvm_pure_intrin" in str(function)) == (machine.arch == "x86_64")
    wanted = x.astype(np.int64) @ weight.astype(np.int64).T
    np.testing.assert_array_equal(kernel.run(function, x), wanted)
