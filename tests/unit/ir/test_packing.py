"""Packed sequences go through recurrent layers as padded ones, with torch's results for any lengths."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import edgeopt
from edgeopt.errors import CaptureError
from edgeopt.ir import ReferenceRunner

STEPS = 6


class _Reader(nn.Module):
    def __init__(self, layer: nn.RNNBase, *, is_sorted: bool) -> None:
        super().__init__()
        self.layer, self.is_sorted = layer, is_sorted

    def forward(self, x, lengths):
        first = self.layer.batch_first
        packed = pack_padded_sequence(x, lengths, first, enforce_sorted=self.is_sorted)
        output, ends = self.layer(packed)
        padded, given = pad_packed_sequence(output, first, -1.0, total_length=STEPS + 1)
        return padded, given, *(ends if isinstance(ends, tuple) else (ends,))


LAYERS = [
    nn.LSTM(3, 4),
    nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True),
    nn.LSTM(3, 4, bidirectional=True, proj_size=2),
    nn.LSTM(3, 4, bias=False, batch_first=True),
    nn.GRU(3, 4, 2, bidirectional=True),
    nn.RNN(3, 4, bidirectional=True, batch_first=True),
    nn.RNN(3, 4, nonlinearity="relu"),
]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
@pytest.mark.parametrize("batch", [1, 3])
def test_lengths_are_inputs(layer, batch):
    chance = torch.Generator().manual_seed(0)
    shape = (batch, STEPS, 3) if layer.batch_first else (STEPS, batch, 3)
    x, other = torch.randn(2, *shape, generator=chance).unbind()
    model = _Reader(layer, is_sorted=False).eval()
    program = edgeopt.capture(model, (x, torch.full((batch,), STEPS)))
    run = ReferenceRunner(program)
    for every in ([6, 2, 4], [1, 3, 3], [5, 6, 1]):
        lengths = torch.tensor(every[:batch])
        got = run(other.numpy(), lengths.numpy())
        for value, wanted in zip(got, model(other, lengths), strict=True):
            torch.testing.assert_close(torch.as_tensor(value), wanted, atol=1e-5, rtol=1e-4)


def test_lengths_may_be_fixed():
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.GRU(3, 4)

        def forward(self, x):
            return self.layer(pack_padded_sequence(x, [4, 2]))[1]

    model, x = Fixed().eval(), torch.randn(STEPS, 2, 3)
    got = ReferenceRunner(edgeopt.capture(model, x))(x.numpy())
    torch.testing.assert_close(torch.as_tensor(got), model(x), atol=1e-5, rtol=1e-4)


def _shape_of_lengths(layer, packed):
    return pad_packed_sequence(layer(packed)[0])[0].mean(0)


def _rows(layer, packed):
    return layer(PackedSequence(packed.data * 2, packed.batch_sizes))[1]


def _steps(layer, packed):
    del layer
    return packed[0] * packed.batch_sizes[1]


def _mean_of_rows(layer, packed):
    return layer(packed)[0][0].mean(0)


def _sum_of_rows(layer, packed):
    rows, *_ = layer(packed)[0]
    return rows + 1


def _longest(layer, packed):
    return layer(packed)[1] / packed.batch_sizes.size(0)


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (_shape_of_lengths, "total_length"),
        (_rows, "padded"),
        (_mean_of_rows, "padded"),
        (_sum_of_rows, "padded"),
        (_longest, "padded"),
        (_steps, "lengths"),
    ],
)
def test_what_lengths_decide_is_refused(function, hint):
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.GRU(3, 4)

        def forward(self, x, lengths):
            return function(self.layer, pack_padded_sequence(x, lengths, enforce_sorted=False))

    with pytest.raises(CaptureError, match="depends on lengths") as refused:
        edgeopt.capture(Model().eval(), (torch.zeros(STEPS, 2, 3), torch.tensor([5, 2])))
    assert hint in str(refused.value)


@pytest.mark.parametrize("padding", [1e6, float("nan")])
def test_padding_may_be_anything(padding):
    class Ends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LSTM(3, 4, bidirectional=True)

        def forward(self, x, lengths):
            return self.layer(pack_padded_sequence(x, lengths))[1]

    model, x, lengths = Ends().eval(), 50 * torch.randn(STEPS, 2, 3), torch.tensor([5, 2])
    x[5:], x[2:, 1] = padding, padding
    run = ReferenceRunner(edgeopt.capture(model, (x, lengths)))
    for value, wanted in zip(run(x.numpy(), lengths.numpy()), model(x, lengths), strict=True):
        torch.testing.assert_close(torch.as_tensor(value), wanted, atol=1e-5, rtol=1e-4)
