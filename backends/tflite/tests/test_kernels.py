"""Grids that integer kernels cannot take: what is written in their place."""

import pytest
import torch
from torch import nn

from edgeopt.options import Override

TWO = {"a": nn.Conv2d(3, 8, 1), "b": nn.Conv2d(3, 8, 1)}
CASES = {
    "convolution": (lambda m, x: m.a(x), "conv2d"),
    "convolution and relu": (lambda m, x: torch.relu(m.a(x)), "relu"),
    "sum": (lambda m, x: m.a(x) + m.b(x), "add"),
    "product": (lambda m, x: m.a(x) * m.b(x), "mul"),
    "mean": (lambda m, x: m.a(x).mean((2, 3)), "mean"),
    "hard swish": (lambda m, x: nn.functional.hardswish(m.a(x)), "hardswish"),
}


@pytest.mark.parametrize("high", [1e-6, 1e-3, 1e6])
@pytest.mark.parametrize("name", CASES)
def test_odd_ranges_run(compiled, backend, target, name, high):
    function, value = CASES[name]
    overrides = {f"{value}*": Override(low=-high, high=high)}
    case = compiled(function, torch.randn(1, 3, 6, 6), precision="int8", overrides=overrides, **TWO)
    case.assert_steps(1, share=1.0 if name == "hard swish" else 0.05)
    if high != 1e-3:
        reasons = {n.reason for n in backend.support(case.program, target).nodes}
        assert any("coarse" in reason for reason in reasons) == (high < 1)


def test_a_dead_channel_is_no_trouble(compiled):
    conv = nn.Conv2d(3, 8, 3)
    nn.init.zeros_(conv.weight[2:4])
    case = compiled(nn.Sequential(conv, nn.ReLU(), nn.Conv2d(8, 4, 1)), torch.randn(1, 3, 6, 6),
                    precision="int8")  # fmt: skip
    case.assert_steps(0)
