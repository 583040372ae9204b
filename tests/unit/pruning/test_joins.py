"""Chunks, slices, concatenations, shared weights and torch's own transformer, at real widths."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import edgeopt
from edgeopt.data.calls import as_call
from edgeopt.errors import InputError
from edgeopt.pruning.sites import find_sites


def conv(inputs, outputs, size=1, stride=1):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.SiLU(),
    )


class Bottleneck(nn.Module):
    def __init__(self, width, shortcut):
        super().__init__()
        self.cv1, self.cv2 = conv(width, width, 3), conv(width, width, 3)
        self.shortcut = shortcut

    def forward(self, x):
        y = self.cv2(self.cv1(x))
        return x + y if self.shortcut else y


class C2f(nn.Module):
    """The block of YOLOv8: what it chunks feeds itself, a residual, and a concatenation."""

    def __init__(self, inputs, outputs, count, shortcut=True):
        super().__init__()
        half = outputs // 2
        self.cv1, self.cv2 = conv(inputs, outputs), conv((2 + count) * half, outputs)
        self.m = nn.ModuleList(Bottleneck(half, shortcut) for _ in range(count))

    def forward(self, x):
        y = list(self.cv1(x).chunk(2, 1))
        for block in self.m:
            y.append(block(y[-1]))
        return self.cv2(torch.cat(y, 1))


class Backbone(nn.Module):
    """The first stages of YOLOv8n, and a head over two scales."""

    def __init__(self):
        super().__init__()
        self.stem, self.down1 = conv(3, 16, 3, 2), conv(16, 32, 3, 2)
        self.c2f1 = C2f(32, 32, 1)
        self.down2 = conv(32, 64, 3, 2)
        self.c2f2 = C2f(64, 64, 2)
        self.fuse = C2f(96, 32, 1, shortcut=False)
        self.head = nn.Conv2d(32, 10, 1)

    def forward(self, x):
        low = self.c2f1(self.down1(self.stem(x)))
        high = self.c2f2(self.down2(low))
        return self.head(
            self.fuse(torch.cat([functional.interpolate(high, scale_factor=2), low], 1))
        )


class Gated(nn.Module):
    """A gated unit on tokens: chunked along the last axis."""

    def __init__(self):
        super().__init__()
        self.value, self.out = nn.Linear(48, 128), nn.Linear(64, 48)
        self.norm, self.head = nn.LayerNorm(48), nn.Linear(48, 10)

    def forward(self, x):
        a, b = self.value(self.norm(x)).chunk(2, -1)
        return self.head(x + self.out(a * b.sigmoid()))


class Beside(nn.Module):
    """The model's own input before what was computed of it."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(35, 24, 1)
        self.head = nn.Conv2d(24, 4, 1)

    def forward(self, x):
        return self.head(self.second(torch.cat([x, self.first(x).relu()], 1)).relu())


class Half(nn.Module):
    """Slices whose ends follow the shape."""

    def __init__(self):
        super().__init__()
        self.first, self.inner = nn.Conv2d(3, 64, 1), nn.Conv2d(32, 32, 3, padding=1)
        self.second, self.head = nn.Conv2d(64, 32, 1), nn.Conv2d(32, 4, 1)

    def forward(self, x):
        y = self.first(x).relu()
        half = y.shape[1] // 2
        mixed = torch.cat([y[:, :half], y[:, half:] + self.inner(y[:, half:])], 1)
        return self.head(self.second(mixed).relu())


class Fixed(Half):
    """The same with numbers: the code itself says 32."""

    def forward(self, x):
        a, b = self.first(x).relu().split((32, 32), 1)
        return self.head(self.second(torch.cat([a, self.inner(b)], 1)).relu())


class Shuffle(nn.Module):
    """ShuffleNet's: channels change places in a view."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 48, 1), nn.Conv2d(48, 32, 1)
        self.head = nn.Conv2d(32, 4, 1)

    def forward(self, x):
        y = self.first(x).relu()
        y = y.view(y.shape[0], 2, 24, *y.shape[2:]).transpose(1, 2).flatten(1, 2)
        return self.head(self.second(y).relu())


class Language(nn.Module):
    """A head that is the embedding."""

    def __init__(self):
        super().__init__()
        self.tokens, self.inner = nn.Embedding(500, 64), nn.Linear(64, 256)
        self.outer, self.norm = nn.Linear(256, 64), nn.LayerNorm(64)
        self.head = nn.Linear(64, 500, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids):
        x = self.tokens(ids)
        return self.head(self.norm(x + self.outer(self.inner(x).relu())))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(96, 4, 384, batch_first=True)
        self.embed, self.head = nn.Linear(40, 96), nn.Linear(96, 10)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x)).mean(1))


PICTURE, TOKENS = torch.randn(1, 3, 64, 64), torch.randn(2, 12, 48)
FEATURES, IDS = torch.randn(2, 16, 40), torch.randint(0, 500, (2, 12))


def built(kind):
    torch.manual_seed(0)
    return kind().eval()


def prune(model, x, **options):
    options = {"ratio": 0.5, "scope": "layer", **options}
    return edgeopt.prune(model, x, calibration_data=[x], **options)


def silence(model, x):
    """Makes half of each site's units say nothing; returns how many sites there are."""
    sites = [s for s in find_sites(model, as_call(x)) if not s.reason]
    with torch.no_grad():
        for site in sites:
            gone = {c for unit in site.units[::2] for c in unit}
            for member in site.members:
                rows = [i for i, r in zip(member.indices, member.roots, strict=True) if r in gone]
                if member.role == "out" and hasattr(member.layer, "weight"):
                    member.layer.weight[rows] = 0
                    if member.layer.bias is not None:
                        member.layer.bias[rows] = 0
    return len(sites)


@pytest.mark.parametrize(
    ("kind", "x", "count"),
    [(Backbone, PICTURE, 14), (Gated, TOKENS, 2), (Beside, PICTURE, 2), (Half, PICTURE, 2)],
)
def test_dead_channels_behind_a_join_go_without_a_trace(kind, x, count):
    model = built(kind)
    assert silence(model, x) == count
    result = prune(model, x)
    layers = [layer for layer in result.report.layers if not layer.reason]
    assert [layer.after * 2 for layer in layers] == [layer.before for layer in layers]
    torch.testing.assert_close(result.module(x), model(x), atol=1e-5, rtol=1e-4)


def test_the_pieces_of_a_chunk_lose_the_same():
    module = prune(built(Backbone), PICTURE, ratio=0.25).module
    assert module.c2f2.cv1[0].out_channels == 48
    assert module.c2f2.m[0].cv2[0].out_channels == module.c2f2.m[1].cv1[0].in_channels == 24
    assert module.c2f2.cv2[0].in_channels == 4 * 24


@pytest.mark.parametrize(
    ("kind", "layer", "said"),
    [
        (Fixed, "first", "the model's own forward would not run: RuntimeError: split_with_sizes"),
        (Shuffle, "first", "own forward would not run: RuntimeError: shape"),
    ],
)
def test_what_the_code_fixes_stays_and_the_report_names_it(kind, layer, said):
    model = built(kind)
    result = prune(model, PICTURE)
    reasons = {one.name: one.reason for one in result.report.layers}
    assert said in reasons[layer]
    assert reasons["second"] == ""
    assert result.module.second.out_channels == 16
    with pytest.raises(InputError, match="cannot be pruned") as caught:
        prune(model, PICTURE, ratio={layer: 0.5})
    assert caught.value.where == layer


def test_a_head_that_is_the_embedding_stays_one_with_it(tmp_path):
    model = built(Language)
    result = prune(model, IDS)
    small = result.module
    assert small.head.weight is small.tokens.weight
    assert small.head.weight.shape == (500, 32)
    assert small(IDS).shape == (2, 12, 500)
    again = edgeopt.load_pruned(result.save(tmp_path / "small"), Language)
    assert again.head.weight is again.tokens.weight
    torch.testing.assert_close(again(IDS), small(IDS))


def test_a_weight_that_would_go_in_one_of_its_two_places_stays():
    class Half(Language):
        def forward(self, ids):
            x = self.tokens(ids)
            return self.head(self.norm(self.outer(self.inner(x).relu())))

    result = prune(built(Half), IDS)
    reasons = {one.name: one.reason for one in result.report.layers}
    assert '"tokens.weight" and "head.weight" are one weight' in reasons["outer"]
    assert result.module.inner.out_features == 128


def test_the_residual_width_of_torchs_own_transformer_stays():
    result = prune(built(Encoder), FEATURES)
    reasons = {one.name: one.reason for one in result.report.layers}
    assert "residual_width=True" in reasons["embed"]
    assert result.module.embed.out_features == 96
    assert [x.linear1.out_features for x in result.module.encoder.layers] == [192] * 3


def test_residual_width_takes_the_same_of_each_head():
    module = prune(built(Encoder), FEATURES, ratio=0.3, residual_width=True).module
    assert module.embed.out_features == 4 * 17
    assert module.encoder.layers[0].self_attn.head_dim == 17
    with torch.no_grad():
        torch.testing.assert_close(module(FEATURES), _slow(module, FEATURES), atol=1e-5, rtol=1e-4)


def _slow(module, x):
    """Without torch's fused transformer."""
    with torch.enable_grad():
        return module(x).detach()
