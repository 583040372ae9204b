"""Adaptive rounding changes a layer's output less than rounding to nearest."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeopt.ir import ops
from edgeopt.quantization.quantized_program import weight_spec
from edgeopt.quantization.rounding import input_moments, round_adaptively

LAYERS = {
    "conv": (lambda: nn.Conv2d(8, 12, 3, padding=1), (1, 8, 10, 10)),
    "strided": (lambda: nn.Conv2d(8, 12, 3, stride=2, dilation=2), (1, 8, 12, 12)),
    "depthwise": (lambda: nn.Conv2d(8, 8, 3, groups=8), (1, 8, 10, 10)),
    "grouped": (lambda: nn.Conv2d(8, 12, 3, groups=2), (1, 8, 10, 10)),
    "conv1d": (lambda: nn.Conv1d(8, 12, 5, padding=2), (1, 8, 40)),
    "linear": (lambda: nn.Linear(200, 12), (1, 30, 200)),
}


def _mixed(mixing, shape, generator):
    """Returns inputs whose channels are mixtures of three sources, as activations are."""
    last = shape[-1] == mixing.shape[0]
    rest = shape[:-1] if last else (shape[0], *shape[2:])
    sources = torch.randn(*rest, 3, generator=generator)
    noise = 0.1 * torch.randn(*rest, mixing.shape[0], generator=generator)
    mixed = sources @ mixing.T + noise
    return mixed if last else mixed.movedim(-1, 1)


@pytest.mark.parametrize("name", LAYERS)
def test_the_output_error_shrinks(program, name):
    module, shape = LAYERS[name]
    captured = program(module, torch.zeros(shape))
    node = next(n for n in captured.graph.nodes if ops.is_weighted(n))
    generator = torch.Generator().manual_seed(3)
    mixing = torch.randn(
        shape[1 if len(shape) > 3 or name == "conv1d" else -1], 3, generator=generator
    )
    inputs = [_mixed(mixing, shape, generator) for _ in range(12)]
    weight = captured.constants[node.args[1].name]
    spec = weight_spec(weight, 0, bits=7)
    nearest = spec.fake(weight)
    adaptive = round_adaptively(weight, spec, input_moments(node, inputs))
    assert torch.equal(spec.fake(adaptive), adaptive)

    def centred_error(rounded):
        axis = -1 if node.target is ops.aten.linear.default else 1
        errors = [node.target(x, rounded - weight, None, *node.args[3:]) for x in inputs]
        rows = torch.cat([e.movedim(axis, -1).reshape(-1, e.shape[axis]) for e in errors])
        return float((rows - rows.mean(0)).square().sum())  # the bias takes up the mean

    room = 1.0 if name == "depthwise" else 0.9  # nine taps leave little to choose from
    assert centred_error(adaptive) < room * centred_error(nearest)


def test_a_dead_input_does_no_harm(program):
    captured = program(lambda: nn.Linear(16, 4), torch.zeros(1, 16))
    node = next(n for n in captured.graph.nodes if ops.is_weighted(n))
    inputs = [torch.zeros(1, 16) for _ in range(4)]
    weight = captured.constants[node.args[1].name]
    spec = weight_spec(weight, 0)
    rounded = round_adaptively(weight, spec, input_moments(node, inputs))
    assert torch.isfinite(rounded).all()
    assert (rounded - weight).abs().max() <= float(spec.scale.max())
