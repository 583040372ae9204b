"""The text of a program, as it is read and compared."""

import torch
from torch import nn

from edgeopt.ir import Editor, QuantSpec, Sparsity, capture_module

GOLDEN = """\
program int8
constant p_0_weight: float32[3x2x3x3] @ int8 axis=0 channels=3
constant p_0_bias: float32[3] @ int32 axis=0 channels=3
constant p_4_weight: float32[2x12] @ int8 axis=0 channels=2
constant p_4_bias: float32[2] @ int32 axis=0 channels=2
input input: float32[1x2x4x4] @ int8 scale=0.0156863 zero=0
conv2d: float32[1x3x4x4] = aten.conv2d.default(input, p_0_weight, p_0_bias, \
[1, 1], [1, 1], [1, 1], 1)  # 0
clamp_default: float32[1x3x4x4] @ int8 scale=0.0235294 zero=-128 = \
aten.clamp.default(conv2d, 0.0, 6.0)  # 1
max_pool2d: float32[1x3x2x2] @ int8 scale=0.0235294 zero=-128 = \
aten.max_pool2d.default(clamp_default, [2, 2], [2, 2], [0, 0], [1, 1], False)  # 2
reshape_default: float32[1x12] @ int8 scale=0.0235294 zero=-128 = \
aten.reshape.default(max_pool2d, [1, 12])  # 3
linear: float32[1x2] @ int8 scale=0.027451 zero=18 = \
aten.linear.default(reshape_default, p_4_weight, p_4_bias)  # 4
return linear
"""


def test_golden(small_int8):
    assert small_int8.text == GOLDEN


def test_two_captures_of_one_model_read_alike():
    model, x = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2)).eval(), torch.ones(1, 3)
    assert capture_module(model, (x,)).text == capture_module(model, (x,)).text


def test_several_results_types_and_keywords(written):
    model = written(lambda _, x: torch.topk(x, 2, sorted=True)[1].to(torch.float32))
    text = capture_module(model, (torch.ones(1, 3),)).text
    assert "topk: (float32[1x2], int64[1x2]) = aten.topk.default(inputs_0, 2)\n" in text
    assert "getitem_1: int64[1x2] = getitem(topk, 1)\n" in text
    assert "dtype=torch.float32" in text or "torch.float32)" in text


def test_seven_bits_and_halves_are_shown(small):
    editor = Editor(small)
    for name in small.constants:
        editor.quant[name] = QuantSpec("float16")
        editor.set_tensor(editor.node(name), editor.constants[name].half().float())
    editor.quant["linear"] = QuantSpec.affine(0.0, 1.27, method="t", bits=7)
    text = editor.finish(precision="float16").text
    assert text.startswith("program float16\nconstant p_0_weight: float32[3x2x3x3] @ float16\n")
    assert "linear: float32[1x2] @ int8:7 scale=0.01 zero=-64 = " in text


def test_sparsity_is_shown(small):
    from dataclasses import replace

    sparse = replace(small, sparsity={"p_0_weight": Sparsity("2:4", 0.5)})
    assert sparse.text.endswith("return linear\nsparse p_0_weight: 2:4 density=0.5000\n")


def test_a_number_without_axes_has_no_shape(written):
    text = capture_module(written(lambda _, x: x.sum()), (torch.ones(3),)).text
    assert "sum_1: float32[] = aten.sum.dim_IntList(inputs_0, [0])" in text
