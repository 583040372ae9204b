"""What only moves values, and how many TRANSPOSE it takes."""

import pytest
import torch
from torch import nn
from torch.nn import functional

X = torch.randn(2, 4, 6, 8)
MOVES = {
    "reshape": lambda x: x.reshape(2, 24, 8) + 1,
    "flatten": lambda x: x.flatten(1) + 1,
    "permute": lambda x: x.permute(0, 2, 3, 1) + 1,
    "permute and reshape": lambda x: x.permute(0, 2, 3, 1).reshape(2, 48, 4) * 2,
    "swap and back": lambda x: x.transpose(1, 3).transpose(1, 3) + 1,
    "window partition": lambda x: x.reshape(2, 4, 3, 2, 4, 2).permute(0, 2, 4, 3, 5, 1) + 1,
    "slice": lambda x: x[:, 1:3, ::2, 3:] * 2,
    "slice backwards end": lambda x: x[:, :, -2:, :-3] * 2,
    "select": lambda x: x[:, 1] * 2,
    "split": lambda x: sum(x.split(2, 1)),
    "chunk and cat": lambda x: torch.cat(x.chunk(2, 2)[::-1], 2) * 1.5,
    "cat with itself": lambda x: torch.cat([x, x * 2], 1),
    "stack": lambda x: torch.stack([x, x + 1], 1),
    "expand": lambda x: x[:, :1].expand(2, 4, 6, 8) + 1,
    "expand more dimensions": lambda x: x[0, 0].expand(3, 6, 8) * 2,
    "repeat": lambda x: x[:, :, :2, :2].repeat(1, 2, 3, 1),
    "roll": lambda x: x.roll((-2, 3), (2, 3)),
    "roll all": lambda x: x.roll(5),
    "flip": lambda x: x.flip(2, 3),
    "pad": lambda x: functional.pad(x, (1, 2, 0, 1)),
    "mirror": lambda x: functional.pad(x, (1, 2, 0, 1), mode="reflect"),
    "pad with a value": lambda x: functional.pad(x, (1, 2), value=3.5),
    "crop": lambda x: functional.pad(x, (-1, -2, 0, -1)),
    "pixel shuffle": lambda x: functional.pixel_shuffle(x, 2),
    "pixel unshuffle": lambda x: functional.pixel_unshuffle(x, 2),
    "unsqueeze": lambda x: x.unsqueeze(1).squeeze(1) + 1,
}


@pytest.mark.parametrize("name", MOVES)
def test_moves_plain_memory(compiled, name):
    compiled(MOVES[name], X).assert_close()


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize(
    "name", ["slice", "chunk and cat", "roll", "flip", "pad", "expand", "repeat"]
)
def test_moves_channels_last_memory(compiled, name, precision):
    """Behind a convolution no TRANSPOSE is needed: axes are renumbered."""
    case = compiled(
        lambda m, x: MOVES[name](m.conv(x)), X, precision=precision, conv=nn.Conv2d(4, 4, 1)
    )
    assert case.count("TRANSPOSE") == 0
    if precision == "float32":
        case.assert_close()
    else:
        case.assert_close(2e-2)  # arithmetic behind the move rounds once more


def test_patches_of_a_vision_transformer_need_no_transpose(compiled):
    def forward(m, x):
        return m.head(m.patch(x).flatten(2).transpose(1, 2))

    model = {"patch": nn.Conv2d(3, 8, 4, 4), "head": nn.Linear(8, 5)}
    case = compiled(forward, torch.randn(1, 3, 16, 16), **model)
    case.assert_close()
    assert case.count("TRANSPOSE") == 0
    assert case.count("RESHAPE") <= 1


def test_norm_over_channels_needs_no_transpose(compiled):
    """ConvNeXt permutes to NHWC for its layer norm and linears, and back."""

    def forward(m, x):
        y = m.depthwise(x).permute(0, 2, 3, 1)
        return x + m.down(functional.gelu(m.up(m.norm(y)))).permute(0, 3, 1, 2)

    case = compiled(
        forward, torch.randn(1, 8, 6, 6), depthwise=nn.Conv2d(8, 8, 3, padding=1, groups=8),
        norm=nn.LayerNorm(8), up=nn.Linear(8, 16), down=nn.Linear(16, 8),
    )  # fmt: skip
    case.assert_close()
    assert case.count("TRANSPOSE", "RESHAPE") == 0


def test_an_input_that_is_permuted_to_channels_first_is_taken_as_it_is(compiled):
    case = compiled(
        lambda m, x: m.conv(x.permute(0, 3, 1, 2)), torch.randn(1, 6, 6, 3), conv=nn.Conv2d(3, 4, 3)
    )
    case.assert_close()
    assert case.artifact.operators == {"CONV_2D": 1}


def test_a_value_is_transposed_once_for_all_its_readers(compiled):
    def forward(m, x):
        y = m.conv(x).flatten(1)
        return y * 2, y + 1

    case = compiled(forward, torch.randn(1, 3, 6, 6), conv=nn.Conv2d(3, 4, 3))
    case.assert_close()
    assert case.count("TRANSPOSE") == 1


def test_channel_constants_follow_the_layout(compiled):
    scale = torch.randn(4, 1, 1)
    case = compiled(
        lambda m, x: m.conv(x) * scale + scale.reshape(1, 4, 1, 1), X, conv=nn.Conv2d(4, 4, 1)
    )
    case.assert_close()
    assert case.artifact.operators == {"ADD": 1, "CONV_2D": 1, "MUL": 1}
