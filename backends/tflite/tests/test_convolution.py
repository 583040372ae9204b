"""Convolutions: strides, pads, groups, dilations, and what is fused into them."""

import pytest
import torch
from torch import nn
from torch.nn import functional

BOTH = pytest.mark.parametrize("precision", ["float32", "int8"])
CASES = {
    "plain": (nn.Conv2d(3, 8, 3), (9, 11)),
    "same": (nn.Conv2d(3, 8, 3, padding=1), (9, 11)),
    "strided on odd sizes is SAME": (nn.Conv2d(3, 8, 3, 2, 1), (9, 11)),
    "strided on even sizes needs a pad": (nn.Conv2d(3, 8, 3, 2, 1), (8, 10)),
    "large window": (nn.Conv2d(3, 8, 7, 4, 3), (17, 16)),
    "unequal window": (nn.Conv2d(3, 8, (1, 5), padding=(0, 2)), (6, 9)),
    "padding wider than needed": (nn.Conv2d(3, 8, 1, padding=1), (5, 6)),
    "dilated": (nn.Conv2d(3, 8, 3, padding=2, dilation=2), (9, 9)),
    "depthwise": (nn.Conv2d(6, 6, 3, padding=1, groups=6), (8, 7)),
    "depthwise with multiplier": (nn.Conv2d(3, 12, 3, padding=1, groups=3), (8, 7)),
    "depthwise strided": (nn.Conv2d(6, 6, 5, 2, 2, groups=6), (11, 9)),
    "depthwise dilated": (nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=6), (9, 9)),
    "grouped": (nn.Conv2d(8, 16, 3, padding=1, groups=4), (7, 7)),
    "one channel": (nn.Conv2d(1, 4, 3, padding=1), (7, 7)),
    "no bias": (nn.Conv2d(3, 8, 1, bias=False), (4, 4)),
}

PADDED = {
    "strided on even sizes needs a pad",
    "large window",
    "padding wider than needed",
}
"""What TFLite cannot pad by itself."""


@BOTH
@pytest.mark.parametrize("name", CASES)
def test_conv2d(compiled, name, precision):
    module, size = CASES[name]
    torch.manual_seed(1)
    module.reset_parameters()
    case = compiled(module, torch.randn(2, module.in_channels, *size), precision=precision)
    if precision == "float32":
        case.assert_close()
    else:
        case.assert_steps(0)
    assert case.count("TRANSPOSE") == 0
    assert case.count("PAD") == int(name in PADDED)


@BOTH
@pytest.mark.parametrize(
    ("module", "length"),
    [
        (nn.Conv1d(4, 8, 3), 12),
        (nn.Conv1d(4, 8, 5, 2, 2), 13),
        (nn.Conv1d(4, 4, 3, padding=1, groups=4), 10),
        (nn.Conv1d(8, 8, 3, padding=1, groups=2), 10),
    ],
)
def test_conv1d(compiled, module, length, precision):
    case = compiled(module, torch.randn(1, module.in_channels, length), precision=precision)
    case.assert_close() if precision == "float32" else case.assert_steps(0)
    assert case.count("TRANSPOSE") == 0


@BOTH
@pytest.mark.parametrize(
    "module",
    [
        nn.ConvTranspose2d(4, 6, 2, 2),
        nn.ConvTranspose2d(4, 6, 3, 1, 1),
        nn.ConvTranspose2d(4, 6, 4, 2, 1),
        nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1),
        nn.ConvTranspose2d(4, 6, 3, 1, 2, dilation=2),
    ],
    ids=repr,
)
def test_conv_transpose(compiled, module, precision):
    case = compiled(module, torch.randn(1, 4, 5, 6), precision=precision)
    case.assert_close() if precision == "float32" else case.assert_steps(1, share=0.02)


def test_conv_transpose_in_groups(compiled):
    module = nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1, groups=2)
    case = compiled(module, torch.randn(1, 4, 5, 6))
    case.assert_close()
    assert case.count("TRANSPOSE_CONV") == 2


ACTIVATIONS = {
    "relu": (nn.ReLU(), 0),
    "relu6": (nn.ReLU6(), 0),
    "n1_to_1": (nn.Hardtanh(), 0),
    "other": (nn.Hardtanh(-0.5, 0.75), 2),
    "one end": (nn.Hardtanh(-0.5, float("inf")), 1),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(
    "layer", [nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(3, 8, 2, 2)], ids=["conv", "transposed"]
)
def test_activations_are_fused(compiled, layer, name):
    activation, extra = ACTIVATIONS[name]
    case = compiled(nn.Sequential(layer, activation), torch.randn(1, 3, 6, 6))
    case.assert_close()
    if isinstance(layer, nn.Conv2d):
        assert sum(case.artifact.operators.values()) == 1 + extra


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_grid_is_the_activation(compiled, name):
    """A range that ends where the activation ends needs no operator for it."""
    activation, _ = ACTIVATIONS[name]
    model = nn.Sequential(nn.Conv2d(3, 8, 3), activation)
    torch.nn.init.normal_(model[0].weight, std=2.0)
    case = compiled(model, torch.randn(1, 3, 6, 6), precision="int8")
    case.assert_steps(0)
    assert case.count("RELU", "RELU6") == 0
    assert case.artifact.operators["CONV_2D"] == 1


@BOTH
@pytest.mark.parametrize("pads", [(0, 1, 0, 1), (1, 2, 1, 2), (2, 0, 0, 0)])
def test_a_pad_in_front_is_part_of_the_convolution_where_it_can_be(compiled, pads, precision):
    conv = nn.Conv2d(3, 8, 3, 2)
    case = compiled(lambda m, x: m.conv(functional.pad(x, pads)), torch.randn(1, 3, 8, 8),
                    precision=precision, conv=conv)  # fmt: skip
    case.assert_close() if precision == "float32" else case.assert_steps(0)
    assert case.count("PAD") == int(pads != (0, 1, 0, 1))


def test_a_pad_that_others_read_stays(compiled):
    def forward(m, x):
        padded = functional.pad(x, (0, 1, 0, 1))
        return m.conv(padded), padded

    case = compiled(forward, torch.randn(1, 3, 8, 8), conv=nn.Conv2d(3, 4, 3, 2))
    case.assert_close()
    assert case.count("PAD") == 1


def test_a_computed_weight_is_refused(backend, target, program_of):
    program, _ = program_of(functional.conv2d, torch.randn(1, 3, 6, 6), torch.randn(4, 3, 3, 3))
    (node,) = backend.support(program, target).unsupported
    assert "constant" in node.reason
