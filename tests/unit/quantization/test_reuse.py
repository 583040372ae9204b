"""A second walk takes over what it would find again, and only that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.data.binder import Binder
from edgeopt.data.dataset import Dataset
from edgeopt.options import QuantizationConfig
from edgeopt.quantization import pipeline
from edgeopt.quantization.placement import place_quantizers
from edgeopt.quantization.reuse import unaffected

if TYPE_CHECKING:
    from edgeopt.ir.quant import QuantSpec
    from edgeopt.quantization.layerwise import QuantizationResult


class _Branches(nn.Module):
    """A trunk, and two heads of which one loses its small part."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.trunk, self.near, self.far = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.last = nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.trunk(x).relu()
        large = self.far(y) * 1000.0
        return self.near(y), self.last(large + self.near(y)) - large


@pytest.fixture(scope="module")
def walked():
    program = edgeopt.capture(_Branches().eval(), (torch.randn(1, 3, 8, 8),))
    inputs = [torch.randn(1, 3, 8, 8) for _ in range(6)]
    samples = Dataset.read(inputs, Binder.of_program(program), limit=6)
    static = pipeline._Static(program, samples, QuantizationConfig(), ())
    return static, static._quantized(program, (), {})


def test_what_lies_before_a_change_is_kept_and_what_follows_is_not(walked):
    static, made = walked
    program = static.program
    convolutions = {module: name for name, module in _convolutions(program)}
    after = place_quantizers(program, keep_float=(convolutions["far"],))
    known = unaffected(program, made.placement, made.result, after)
    weights = {reader: weight for weight, reader in _weights(program)}
    assert known.weights.keys() >= {weights[convolutions["trunk"]]}
    assert weights[convolutions["last"]] not in known.weights
    assert convolutions["trunk"] in known.quality
    assert convolutions["last"] not in known.quality


def test_a_walk_that_takes_it_over_finds_the_same(walked):
    static, made = walked
    program = static.program
    for name in made.placement.weighted_operators:
        fresh = static._quantized(program, (name,), {})
        again = static._quantized(program, (name,), {}, made)
        assert again.extremes == fresh.extremes
        assert _digest(again.result) == _digest(fresh.result)


def test_nothing_is_kept_where_the_input_is_rounded_otherwise(walked):
    static, made = walked
    program = static.program
    (source,) = program.input_names
    group = {n: g for n, g in made.placement.group.items() if n != source}
    known = unaffected(program, made.placement, made.result, replace(made.placement, group=group))
    assert not known.weights
    assert not known.quality


def _digest(result: QuantizationResult) -> object:
    return (
        {name: _parameters(spec) for name, spec in result.grids.items()},
        {name: (w.tolist(), _parameters(spec)) for name, (w, spec) in result.weights.items()},
        {name: values.tolist() for name, values in result.biases.items()},
        repr(sorted(result.quality.items())),
    )


def _parameters(spec: QuantSpec) -> object:
    return spec.scale.tolist(), spec.zero_point.tolist(), spec.method


def _convolutions(program):
    for node in program.graph.nodes:
        if node.op == "call_function" and "conv" in str(node.target):
            yield node.name, str(list(node.meta["nn_module_stack"].values())[-1][0]).split(".")[-1]


def _weights(program):
    for node in program.graph.nodes:
        if node.op == "call_function" and "conv" in str(node.target):
            yield node.args[1].name, node.name
