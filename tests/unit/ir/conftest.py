"""Small programs with grids, made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from edgeopt.ir import Editor, Program, QuantSpec, Step, capture_module, ops
from edgeopt.ir.operators import WEIGHTED
from edgeopt.passes import run_core

if TYPE_CHECKING:
    from collections.abc import Callable


def symmetric(weight: torch.Tensor, axis: int) -> QuantSpec:
    others = [a for a in range(weight.ndim) if a != axis]
    scale = weight.abs().amax(dim=others) / 127
    return QuantSpec("int8", scale, torch.zeros_like(scale, dtype=torch.int32), axis)


def quantized(
    program: Program, grids: dict[str, QuantSpec], weights: dict[str, QuantSpec] | None = None
) -> Program:
    """Returns an int8 program: grids as given, weights by their largest value, biases to fit."""
    editor = Editor(program)
    editor.quant.update(grids)
    for node in editor.calls(*WEIGHTED):
        value, weight, bias = ops.weighted_parts(node)
        if value.name not in grids:
            continue
        spec = (weights or {}).get(weight.name) or symmetric(
            editor.tensor(weight), ops.output_channel_axis(node)
        )
        editor.quant[weight.name] = spec
        editor.set_tensor(weight, spec.fake(editor.tensor(weight)))
        step = grids[value.name].scale * spec.scale
        editor.quant[bias.name] = QuantSpec(
            "int32", step, torch.zeros_like(step, dtype=torch.int32), 0, 32
        )
        rounded = torch.round(editor.tensor(bias).double() / step.double()) * step.double()
        editor.set_tensor(bias, rounded.float())
    return editor.finish(Step("quantize by hand"), precision="int8")


@pytest.fixture
def quantize() -> Callable[..., Program]:
    return quantized


@pytest.fixture(scope="session")
def small() -> Program:
    """A float program: convolution, relu6, pooling, linear."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU6(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2)
    )
    return run_core(capture_module(model.eval(), (torch.ones(1, 2, 4, 4),)))


@pytest.fixture(scope="session")
def small_int8(small: Program) -> Program:
    """The same on integers."""
    names = [n.name for n in small.graph.nodes if n.op == "call_function"]
    inner = QuantSpec.affine(0.0, 6.0, method="fixed")
    grids = {
        small.input_names[0]: QuantSpec.affine(-2.0, 2.0, method="minmax"),
        **dict.fromkeys(names[1:4], inner),
        names[4]: QuantSpec.affine(-4.0, 3.0, method="minmax"),
    }
    return quantized(small, grids)
