"""Steps of an executable know the program's nodes that they compute."""

from __future__ import annotations

import torch
from torch import nn


class Twins(nn.Module):
    """Equal layers, which become one kernel."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))

    def forward(self, x):
        for layer in self.layers:
            x = x + layer(x).relu()
        return x.mean((2, 3))


def test_every_node_has_one_step(make):
    made = make(Twins(), torch.randn(1, 8, 6, 6), precision="float32")
    origins = [step.origins for step in made.executable.steps]
    named = [name for step in origins for name in step]
    calls = [n.name for n in made.program.graph.nodes if n.op == "call_function"]
    assert sorted(set(named)) == sorted(calls)
    kernels = [s.kernel for s in made.executable.steps if "conv" in s.kernel]
    assert len(kernels) == 3
    assert len(set(kernels)) == 1
    joined = [step.origins for step in made.executable.steps if "conv" in step.kernel]
    assert [name for step in joined for name in step] == [
        "conv2d", "relu", "add", "conv2d_1", "relu_1", "add_1", "conv2d_2", "relu_2", "add_2",
    ]  # fmt: skip


def test_an_integer_convolution_is_one_kernel(make):
    model = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 16, 3, 2), nn.ReLU6())
    made = make(model, torch.randn(1, 3, 16, 16), precision="int8")
    names = [step.kernel for step in made.executable.steps]
    assert len(names) == 3  # to integers and channels-last, the convolution, back
    assert "convolution_requantize" in names[1]
