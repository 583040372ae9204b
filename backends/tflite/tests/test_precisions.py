"""float16 and int8-dynamic: what is stored, and what is computed."""

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt_tflite.backend import TFLiteBackend
from edgeopt_tflite.compiler import compile_program
from edgeopt_tflite.emitter import Dialect


def model():
    return nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 300)
    )


@pytest.mark.parametrize(("precision", "share"), [("float16", 0.55), ("int8-dynamic", 0.4)])
def test_constants_are_smaller_and_values_the_same(compiled, precision, share):
    small = compiled(model(), torch.randn(1, 3, 8, 8), precision=precision)
    small.assert_close()
    large = compiled(model(), torch.randn(1, 3, 8, 8))
    assert small.artifact.size_bytes < share * large.artifact.size_bytes


def test_xnnpack_takes_float16_constants(compiled):
    case = compiled(model(), torch.randn(1, 3, 8, 8), precision="float16")
    assert case.count("DEQUANTIZE") == 4
    assert case.runner.facts()["partitions"] == 1


def test_the_hybrid_product_is_near_and_not_the_same(program_of, target):
    """Why it is not the default: it rounds its input to 8 bits, which the reference does not."""
    torch.manual_seed(0)
    program, samples = program_of(nn.Linear(64, 64), torch.randn(4, 64), precision="int8-dynamic")
    runs = []
    for hybrid in (False, True):
        artifact = compile_program(program, target, Dialect(hybrid_dense=hybrid))
        runs.append(TFLiteBackend().load(artifact)(*samples[0]))
        assert artifact.operators.get("DEQUANTIZE", 0) == int(not hybrid)
    off = np.abs(runs[0] - runs[1]).max()
    assert 1e-4 < off < 0.1


def test_verdicts_name_the_precision(compiled, backend, target):
    case = compiled(model(), torch.randn(1, 3, 8, 8), precision="float16")
    report = backend.support(case.program, target)
    assert {n.reason for n in report.nodes if n.verdict == "float"} == {"the precision is float16"}
