"""Models of every kind of operator on every core: the golden numbers and the library's own test, in QEMU."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt.ir import ReferenceRunner
from edgeopt.options import CompileOptions
from edgeopt.registry import find_backend, find_target
from edgeopt.testing.specimens import program_of, specimen

pytestmark = [pytest.mark.qemu, pytest.mark.slow]

CORES = ("m0plus", "m3", "m4f", "m7", "m33", "m55")
NAMES = [f"generic-cortex-{name}" for name in CORES] + ["generic-rv32imc"]
CASES = [(name, "residual") for name in NAMES]
CASES += [
    ("generic-cortex-m0plus", "squeeze"),
    ("generic-cortex-m0plus", "windows"),
    ("generic-rv32imc", "branches"),
]
CASES += [("generic-cortex-m4f", name) for name in ("squeeze", "windows", "signal")]


def compiled(name, target, precision):
    backend = find_backend("micro")
    lowered = backend.lower(program_of(name, precision), find_target(target))
    return lowered.program, backend.compile(lowered, CompileOptions())


@pytest.mark.parametrize(("target", "name"), CASES)
def test_integers_are_the_references(target, name, model_of):
    program, artifact = compiled(name, target, "int8")
    model = model_of(artifact)
    assert model.self_test() == 0
    for sample in specimen(name).samples[:2]:
        inputs = [tensor.numpy() for tensor in sample]
        wanted = ReferenceRunner(program)(*inputs)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        for one, other in zip(model(*inputs), wanted, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("target", "name"), [("generic-cortex-m4f", "attention"), ("generic-cortex-m55", "curved")]
)
def test_floats_are_near_the_references(target, name, model_of):
    program, artifact = compiled(name, target, "float32")
    model = model_of(artifact)
    assert model.self_test() == 0
    inputs = [tensor.numpy() for tensor in specimen(name).samples[0]]
    wanted = ReferenceRunner(program)(*inputs)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    for one, other in zip(model(*inputs), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
