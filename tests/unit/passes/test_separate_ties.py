from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from unittest import mock

import pytest
import torch
from torch import nn

from edgeopt.contracts.storage import INT8
from edgeopt.ir import QuantSpec, ReferenceRunner, capture_module, ops
from edgeopt.options import QuantizationConfig
from edgeopt.passes import run_core, run_passes
from edgeopt.passes.separate_ties import TOLERANCE, odd_fraction, separate_ties
from edgeopt.quantization.pipeline import quantize_program


def quantized(model, *shape, count=4):
    samples = [torch.randn(shape) for _ in range(count)]
    program = run_core(capture_module(model.eval(), (samples[0],)))
    with mock.patch("edgeopt.quantization.pipeline.separate_ties", lambda untouched: untouched):
        made = quantize_program(program, samples, QuantizationConfig(rounding="nearest"))
    return made, samples


class Residual(nn.Module):
    def __init__(self, width=12, depth=10):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 2, 1)
        self.wide = nn.ModuleList(nn.Conv2d(width, 2 * width, 3, 1, 1) for _ in range(depth))
        self.narrow = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for _ in range(depth))
        self.head = nn.Linear(width, 7)

    def forward(self, x):
        x = self.stem(x).relu()
        for wide, narrow in zip(self.wide, self.narrow, strict=True):
            x = x + narrow(wide(x).relu())
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("value", [0.5, 0.25, 1.0, 1 / 3, 0.0123, 3.1e-4, 2.7, 117.9])
def test_odd_fraction_is_near_and_odd(value):
    found = float(odd_fraction(torch.tensor([value], dtype=torch.float64))[0])
    assert abs(found / value - 1) <= TOLERANCE
    whole = [d for d in range(1, 4096, 2) if abs(found * d - round(found * d)) < 1e-9]
    assert whole, f"{found} is no fraction with a small odd denominator"


def test_what_has_no_such_fraction_stays():
    tiny = torch.tensor([1e-7, 0.3], dtype=torch.float64)
    found = odd_fraction(tiny)
    assert found[0] == tiny[0]
    assert found[1] != tiny[1]


def test_no_sum_of_a_weighted_operator_lies_near_a_tie():
    program, _ = quantized(Residual(depth=2), 1, 3, 16, 16)
    after = run_passes(program, ["separate_ties"])
    sums = torch.arange(-20000, 20000, dtype=torch.float64)

    def nearest_tie(p):
        gaps = []
        for node in p.graph.nodes:
            out = (
                p.quant.get((ops.fused_activation(node) or node).name)
                if node.op != "output"
                else None
            )
            if not ops.is_weighted(node) or out is None:
                continue
            value, weight, _ = ops.weighted_parts(node)
            factors = p.quant[value.name].scale.double() * p.quant[weight.name].scale.double()
            real = sums[:, None] * (factors / out.scale.double())
            gaps.append(float((real - torch.floor(real) - 0.5).abs().min()))
        return min(gaps)

    assert nearest_tie(program) < 1e-5
    assert nearest_tie(after) > 1e-4


def test_integers_of_the_weights_stay_and_scales_hardly_move():
    program, _ = quantized(Residual(depth=2), 1, 3, 16, 16)
    after = run_passes(program, ["separate_ties"])
    moved = 0.0
    for name, spec in program.quant.items():
        new = after.quant[name]
        moved = max(moved, float((new.scale / spec.scale - 1).abs().max()))
        if spec.dtype == "int8" and name in program.constants:
            before = spec.quantize(program.constants[name])
            assert torch.equal(before, new.quantize(after.constants[name]))
    assert 0 < moved < 3 * TOLERANCE
    assert after.history[-1].effect["left"] == 0


@pytest.mark.slow
def test_float32_and_float64_round_alike_after_it_and_not_before():
    program, _ = quantized(Residual(depth=3), 1, 3, 16, 16)
    after = run_passes(program, ["separate_ties"])
    sums = torch.arange(-(2**18), 2**18, dtype=torch.float64)

    def differing(p):
        count = 0
        for node in p.graph.nodes:
            out = (
                p.quant.get((ops.fused_activation(node) or node).name)
                if node.op != "output"
                else None
            )
            if not ops.is_weighted(node) or out is None:
                continue
            value, weight, _ = ops.weighted_parts(node)
            step, high = p.quant[value.name].scale * p.quant[weight.name].scale, out.scale
            single = torch.round(sums.float()[:, None] * (step / high))
            double = torch.round(sums[:, None] * step.double() / high.double())
            seen = double.abs() <= 256
            count += int((seen & (single != double)).sum())
        return count

    assert differing(program) > 0
    assert differing(after) == 0


def test_the_answer_stays_as_near_to_float():
    model = Residual(depth=3)
    program, samples = quantized(model, 1, 3, 32, 32)
    after = run_passes(program, ["separate_ties"])
    with torch.no_grad():
        wanted = torch.cat([model(x) for x in samples]).numpy()

    def error(p):
        run = ReferenceRunner(p)
        return sum(
            float(((run(x.numpy()) - w) ** 2).sum()) for x, w in zip(samples, wanted, strict=True)
        )

    assert error(after) < 1.5 * error(program) + 1e-9


def test_a_float_program_stays_as_it_is():
    program = run_core(capture_module(nn.Linear(3, 2).eval(), (torch.randn(1, 3),)))
    assert run_passes(program, ["separate_ties"]) is program


def test_mul_and_mean_get_fractions_too():
    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

        def forward(self, x):
            x = self.a(x)
            return self.c(x * self.b(x).sigmoid()).mean((2, 3))

    program, _ = quantized(Gate(), 1, 3, 7, 7)
    after = run_passes(program, ["separate_ties"])
    for node in after.graph.nodes:
        scale = {
            n.name: float(after.quant[n.name].scale[0])
            for n in node.all_input_nodes
            if n.name in after.quant
        }
        if node.target is torch.ops.aten.mul.Tensor:
            one, two = scale.values()
            ratio = one * two / float(after.quant[node.name].scale[0])
        elif node.target is torch.ops.aten.mean.dim:
            (one,) = scale.values()
            ratio = one / 49 / float(after.quant[node.name].scale[0])
        else:
            continue
        near = odd_fraction(torch.tensor([ratio], dtype=torch.float64), tolerance=1e-6)
        assert abs(float(near[0]) / ratio - 1) < 3e-7


@pytest.mark.parametrize("ratio", [0.9976, 0.9985, 1.0023, 0.4142, 1.7321])
def test_every_ratio_of_an_add_has_an_odd_fraction_nearby(ratio):
    from edgeopt.passes import separate_ties as module

    found = module._odd(ratio, module.LARGEST_SUM_DENOMINATOR)
    assert found != ratio
    assert abs(found / ratio - 1) <= module.WIDEST * module.TOLERANCE
    parts = Fraction(found).limit_denominator(module.LARGEST_SUM_DENOMINATOR)
    assert parts.denominator % 2 == 1
    assert float(parts) == pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize("ratio", [0.5, 0.25, 0.1251, 0.7302])
def test_both_inputs_of_a_sum_have_one_denominator_in_all(ratio):
    """Two that have nothing in common give their product, nearer to a tie than kernels can tell."""

    class Sum(nn.Module):
        def forward(self, x, y):
            return x + y

    program = capture_module(Sum().eval(), (torch.zeros(1, 4), torch.ones(1, 4)))
    x, y = program.input_names
    scales = {x: 0.0371, y: 0.0742 * ratio, program.output_names[0]: 0.0742}
    quant = {
        name: QuantSpec(INT8, torch.tensor([scale]), torch.zeros(1, dtype=torch.int32))
        for name, scale in scales.items()
    }
    moved = separate_ties(replace(program, precision="int8", quant=quant)).quant
    out = float(moved[program.output_names[0]].scale[0])
    parts = [
        Fraction(float(moved[n].scale[0]) / out).limit_denominator(4095).denominator for n in (x, y)
    ]
    assert math.lcm(*parts) % 2 == 1
    assert math.lcm(*parts) < 4096
