"""float16 and int8-dynamic: what is stored, and what is computed."""

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.api import capture
from edgeopt.ir import ReferenceRunner
from edgeopt.registry.target_registry import find_target


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


def test_linear_with_int8_weights_rounds_each_row_as_the_program_says(compiled):
    case = compiled(nn.Linear(64, 48), 3 * torch.randn(2, 5, 64), precision="int8-dynamic")
    assert case.artifact.operators == {"FULLY_CONNECTED": 1}
    case.assert_close(1e-3)  # a tie now and then; without the rounding it is 7e-3


def test_one_rounding_serves_all_its_readers(compiled):
    layers = {"a": nn.Linear(16, 8), "b": nn.Linear(16, 8)}
    case = compiled(
        lambda m, x: m.a(x) * m.b(x), torch.randn(3, 16), precision="int8-dynamic", **layers
    )
    names = [node.name for node in case.program.graph.nodes if "round_rows" in str(node.target)]
    assert len(names) == 1
    case.assert_close(1e-3)


@pytest.mark.parametrize(
    "row",
    [
        *([0.0] * 4, [1.0] * 4, [-2.0] * 4, [0.0, 1e-30, 0, 0], [-1e30, 3, 0, 2e30]),
        *(
            [0.0, 1e-37, 0, 0],
            [-3e-39, 1e-40, 0, 0],
            [0, -1e-45, 0, 0],
        ),  # 255 steps to the unit are infinite
    ],
)
def test_odd_rows(compiled, row):
    x = torch.tensor([row])
    case = compiled(nn.Linear(4, 8), x, precision="int8-dynamic")
    wanted, got = ReferenceRunner(case.program)(x.numpy()), case.runner(x.numpy())
    assert np.isfinite(wanted[0]).all()
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_an_old_runtime_gets_float_weights_at_load(compiled):
    case = compiled(nn.Linear(64, 64), torch.randn(4, 64), precision="int8-dynamic",
                    on=find_target("generic-armv7"))  # fmt: skip
    assert case.count("DEQUANTIZE") == 1
    case.assert_close()


def test_verdicts_name_the_precision(compiled, backend, target):
    case = compiled(model(), torch.randn(1, 3, 8, 8), precision="float16")
    report = backend.support(case.program, target)
    assert {n.reason for n in report.nodes if n.verdict == "float"} == {"the precision is float16"}


def test_a_constant_that_is_returned_is_stored_whole(compiled):
    case = compiled(lambda x: torch.full_like(x, 0.1), torch.randn(2, 3), precision="float16")
    case.assert_close()
    assert case.count("DEQUANTIZE") == 0


def test_a_result_of_a_type_that_tflite_lacks_is_refused(backend, target):
    class Wide(nn.Module):
        def forward(self, x):
            return torch.full_like(x, 0.5, dtype=torch.float64)

    report = backend.support(capture(Wide().eval(), torch.ones(3)), target)
    (bad,) = report.unsupported
    assert "float64" in bad.reason
