"""A compressed program for inputs of another shape."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.errors import CaptureError
from edgeopt.ir.reshaping import reshape_program


class Classifier(nn.Module):
    """Convolutions, a pool over the whole picture, a linear layer on a flattened row."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, stride=2)
        self.last = nn.Linear(8, 5)

    def forward(self, x):
        x = self.second(self.first(x).relu()).relu()
        return self.last(x.mean((2, 3)).reshape(x.shape[0], -1))


class Positions(nn.Module):
    """A token that is put before the others, and a constant that is as long as the text."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.table, self.linear = nn.Embedding(32, 8), nn.Linear(8, 8)

    def forward(self, x):
        whole = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        return self.linear(whole + self.table(torch.arange(whole.shape[1])))


def snr_db(value, expected):
    error = ((value.astype(float) - expected) ** 2).sum()
    return 10 * np.log10((expected.astype(float) ** 2).sum() / max(error, 1e-30))


@pytest.mark.parametrize("precision", ["int8", "int8-dynamic", "float16", "float32"])
@pytest.mark.parametrize(
    ("model", "first", "other"),
    [
        (Classifier, (1, 3, 16, 16), (4, 3, 16, 16)),
        (Classifier, (1, 3, 16, 16), (1, 3, 24, 9)),
        (Positions, (1, 6, 8), (3, 6, 8)),
        (Positions, (1, 6, 8), (1, 11, 8)),
        (Positions, (4, 6, 8), (1, 6, 8)),
    ],
)
def test_it_computes_what_the_model_does_there(model, first, other, precision):
    torch.manual_seed(0)
    module = model().eval()
    program = edgeopt.capture(module, torch.randn(first))
    data = [torch.randn(first) for _ in range(8)]
    compressed = edgeopt.quantize(program, data, precision=precision)
    inputs = torch.randn(other)
    reshaped = reshape_program(compressed, program, edgeopt.capture(module, inputs))
    expected = module(inputs).detach().numpy()
    got = edgeopt.reference(reshaped)(inputs.numpy())
    assert got.shape == expected.shape
    assert snr_db(got, expected) > (100 if precision == "float32" else 25)


def test_weights_and_grids_are_those_of_the_first():
    module = Classifier().eval()
    program = edgeopt.capture(module, torch.randn(1, 3, 16, 16))
    compressed = edgeopt.quantize(program, [torch.randn(1, 3, 16, 16) for _ in range(8)])
    other = edgeopt.capture(module, torch.randn(2, 3, 20, 20))
    reshaped = reshape_program(compressed, program, other)
    assert reshaped.signature.inputs[0].shape == (2, 3, 20, 20)
    assert reshaped.constants.keys() == compressed.constants.keys()
    assert all(torch.equal(reshaped.constants[n], t) for n, t in compressed.constants.items())
    assert {n: float(s.scale.sum()) for n, s in reshaped.quant.items()} == {
        n: float(s.scale.sum()) for n, s in compressed.quant.items()
    }


def test_rows_do_not_depend_on_the_batch():
    module = Classifier().eval()
    program = edgeopt.capture(module, torch.randn(1, 3, 16, 16))
    compressed = edgeopt.quantize(program, [torch.randn(1, 3, 16, 16) for _ in range(8)])
    rows = torch.randn(3, 3, 16, 16)
    three = reshape_program(compressed, program, edgeopt.capture(module, rows))
    one = edgeopt.reference(compressed)
    each = np.concatenate([one(row[None].numpy()) for row in rows])
    np.testing.assert_array_equal(edgeopt.reference(three)(rows.numpy()), each)


class Heads(nn.Module):
    """torch's own attention."""

    def __init__(self, *, is_padded=True, **call):
        super().__init__()
        self.inside = nn.MultiheadAttention(16, 4, batch_first=True)
        self.is_padded, self.call = is_padded, call

    def forward(self, x, hidden):
        mask = hidden if self.is_padded else None
        return self.inside(x, x, x, key_padding_mask=mask, **self.call)[0]


class Encoder(nn.Module):
    def __init__(self, layers=1, **options):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, **options)
        self.inside = nn.TransformerEncoder(layer, layers) if layers > 1 else layer

    def forward(self, x, hidden):
        return self.inside(x, src_key_padding_mask=hidden)


CAUSAL = torch.full((6, 6), -torch.inf).triu(1)


@pytest.mark.parametrize(
    "model",
    [
        Heads,
        lambda: Heads(need_weights=False),
        lambda: Heads(attn_mask=CAUSAL, need_weights=False),
        lambda: Heads(attn_mask=CAUSAL, average_attn_weights=False),
        lambda: Heads(is_padded=False),
        Encoder,
        lambda: Encoder(norm_first=True, activation="gelu"),
        lambda: Encoder(layers=2),
    ],
)
def test_attention_of_torch_is_one_network_for_any_number_of_rows(model):
    torch.manual_seed(0)
    module = model().eval()

    def inputs(rows):
        return torch.randn(rows, 6, 16), torch.arange(6)[None].repeat(rows, 1) > 3

    captured = {rows: edgeopt.capture(module, inputs(rows)) for rows in (1, 2, 3, 4)}
    for first, other in ((1, 4), (4, 1), (2, 3)):
        reshaped = reshape_program(captured[first], captured[first], captured[other])
        sample = inputs(other)
        outputs = edgeopt.reference(reshaped)(*(tensor.numpy() for tensor in sample))
        np.testing.assert_allclose(outputs, module(*sample).detach().numpy(), atol=1e-5)


def test_another_network_at_another_shape_is_refused():
    class Decides(nn.Module):
        def forward(self, x):
            return torch.tanh(x) if x.shape[1] > 5 else x.relu()

    module = Decides().eval()
    short, long = (edgeopt.capture(module, torch.randn(1, n)) for n in (4, 8))
    with pytest.raises(CaptureError, match="not the network that it is for") as caught:
        reshape_program(short, short, long)
    assert "by itself" in str(caught.value)


def test_a_constant_that_compression_changed_by_more_than_rounding_is_refused():
    """A table whose length is that of the input, with a grid for each row."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 6)

        def forward(self, x):
            n = x.shape[0]
            return self.linear(x) @ torch.linspace(0, 1, 6 * n).reshape(6, n)

    module = Scaled().eval()
    programs = [edgeopt.capture(module, torch.randn(n, 6)) for n in (4, 8)]
    compressed = edgeopt.quantize(programs[0], [torch.randn(4, 6) for _ in range(8)])
    with pytest.raises(CaptureError, match="compression has changed it"):
        reshape_program(compressed, *programs)
