"""Habits of code that was not written for export: state in modules, writes in place, results in classes, shapes in Python."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from _any_model.entry import Catalogue, images, noise, numbers, sampled, together

OWN = Catalogue("own")
_picture = sampled(images(3, 32, 32))


@OWN.takes(_picture)
class CachedMask(nn.Module):
    """A buffer is made in the first call, and used in the later ones."""

    def __init__(self):
        super().__init__()
        self.conv, self.mask = nn.Conv2d(3, 4, 3, padding=1), None

    def forward(self, x):
        if self.mask is None or self.mask.shape[-1] != x.shape[-1]:
            r = torch.linspace(-1, 1, x.shape[-1], device=x.device)
            self.mask = (r[None] ** 2 + r[:, None] ** 2 < 1).float()
        return self.conv(x) * self.mask


@OWN.takes(_picture)
class Hooked(nn.Module):
    """Features are taken out by hooks."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU())
        self.features = []
        for layer in (self.net[1], self.net[3]):
            layer.register_forward_hook(lambda m, i, o: self.features.append(o))

    def forward(self, x):
        self.features.clear()
        y = self.net(x)
        return y.mean((2, 3)), self.features[0].amax((2, 3))


@OWN.takes(_picture)
class Normalizes(nn.Module):
    """Takes pixels, divides, subtracts constants that come from numpy."""

    def __init__(self):
        super().__init__()
        self.mean = np.array([0.485, 0.456, 0.406], dtype=np.float32)
        self.std = np.array([0.229, 0.224, 0.225], dtype=np.float32)
        self.conv = nn.Conv2d(3, 6, 3, 2)

    def forward(self, x):
        mean, std = (
            torch.from_numpy(self.mean)[:, None, None],
            torch.as_tensor(self.std).reshape(3, 1, 1),
        )
        return self.conv((x - mean) / std).flatten(1).std(dim=1, unbiased=False)


@OWN.takes(
    sampled(
        lambda chance: torch.randint(0, 256, (1, 32, 32, 3), generator=chance, dtype=torch.uint8)
    )
)
class TakesBytes(nn.Module):
    """Pictures as cameras give them: bytes, channels last."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3, 2), nn.Linear(8, 4)

    def forward(self, img):
        x = img.permute(0, 3, 1, 2).to(torch.float32).div(255.0).sub(0.5).mul(2)
        return self.fc(F.relu(self.conv(x)).mean((-1, -2)))


@OWN.takes(_picture)
class WritesInPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        y = self.conv(x)
        y[:, 0].mul_(2).add_(1)
        y[:, 1:3, ::2] = 0
        y[y < 0] = 0.1 * y[y < 0]
        y[..., -1] += y[..., 0]
        y.clamp_(max=3)
        return y


@OWN.takes(sampled(noise(1, 6, 8)))
class IndexesBooleans(nn.Module):
    """Assignments by a mask of booleans, as numpy has them."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        y = self.fc(x)
        mask = y > 0.5
        y[mask] = 0
        out = torch.zeros_like(y)
        out[:, [0, 2, 4]] = y[:, [1, 3, 5]]
        return out, torch.masked_fill(y, ~mask, -1.0).sum(-1)


@OWN.takes(sampled(noise(1, 12, 4)))
class SelectsByMask(nn.Module):
    """Only the rows that are sure: a result whose shape depends on values."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        scores = self.fc(x)[0].softmax(-1)
        keep = scores.max(-1).values > 0.4
        return scores[keep]


Result = namedtuple("Result", ["scores", "boxes"])


class Typed(NamedTuple):
    logits: torch.Tensor
    hidden: tuple[torch.Tensor, torch.Tensor]


@dataclass
class Output:
    logits: torch.Tensor
    features: list
    loss: torch.Tensor | None = None


@OWN.takes(_picture)
class ReturnsTuples(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 8, 3)

    def forward(self, x):
        a, b = self.a(x), self.b(x)
        return Result(a.flatten(1).sigmoid(), [b, {"max": b.amax(), "x": x}])


@OWN.takes(_picture)
class ReturnsDataclass(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        a = self.a(x)
        return Output(a.mean((2, 3)), [a, a.relu()])


@OWN.takes(sampled(noise(1, 5, 8)))
class ReturnsNested(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(8, 6, batch_first=True)

    def forward(self, x):
        y, state = self.rnn(x)
        return Typed(y, state)


@OWN.takes(together(image=images(3, 32, 32), meta=noise(1, 4)))
class TakesNames(nn.Module):
    """Two inputs by name, one with a default left out, and flags."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3, 2), nn.Linear(12, 3)

    def forward(self, image, meta, *, prior=None, return_features=False, **kwargs):
        f = self.conv(image).relu().mean((2, 3))
        y = self.fc(torch.cat([f, meta], dim=-1))
        if prior is not None:
            y = y + prior
        return (y, f) if return_features else y


class Holder(nn.Module):
    """A model that takes a list of tensors, as fusion modules do."""

    def __init__(self):
        super().__init__()
        self.weights, self.convs = (
            nn.Parameter(torch.ones(2)),
            nn.ModuleList([nn.Conv2d(4, 4, 3, padding=1) for _ in range(2)]),
        )

    def forward(self, feats):
        w = F.relu(self.weights)
        w = w / (torch.sum(w, dim=0) + 1e-4)
        return sum(w[i] * c(f) for i, (c, f) in enumerate(zip(self.convs, feats)))


@OWN.takes(_picture)
class TakesLists(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.fuse = nn.Conv2d(3, 4, 3, 1, 1), nn.Conv2d(3, 4, 3, 2, 1), Holder()

    def forward(self, x):
        return self.fuse(
            [self.a(x), F.interpolate(self.b(x), size=list(x.shape[-2:]), mode="nearest")]
        )


@OWN.takes(_picture)
class ShapeArithmetic(nn.Module):
    """Sizes through Python: windows, padding to a multiple, numpy and item()."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x):
        b, c, h, w = map(int, x.shape)
        win = 5
        x = F.pad(self.conv(x), (0, (win - w % win) % win, 0, (win - h % win) % win))
        hp, wp = x.shape[2], x.shape[3]
        x = x.view(b, 8, hp // win, win, wp // win, win).permute(0, 2, 4, 3, 5, 1).contiguous()
        x = x.view(-1, win * win, 8)
        x = x - x.mean(dim=1, keepdim=True)
        n = int(np.ceil(hp / win)) * int(np.prod([wp // win]))
        return x.view(b, n, win * win * 8)[:, : torch.tensor(9).item()]


@OWN.takes(_picture)
class EndsWithNumpy(nn.Module):
    """Leaves the graph: the result is brought to numpy within the model."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        y = self.conv(x).mean((2, 3))
        best = int(y.argmax().item())
        return y[:, best]


@OWN.takes(_picture)
class RandomDepth(nn.Module):
    """Drops at random also where it is not trained: dropout without the flag."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3072, 10)

    def forward(self, x):
        return self.fc(F.dropout(x.flatten(1), 0.1))


@OWN.takes(_picture)
class Counts(nn.Module):
    """Counts its calls in a buffer, and keeps a running mean."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        y = self.conv(x)
        self.calls += 1
        self.mean.mul_(0.9).add_(y.mean((0, 2, 3)), alpha=0.1)
        return y - self.mean[:, None, None]


@OWN.takes(sampled(noise(1, 4, 16)))
class Checkpointed(nn.Module):
    """Recomputes in training, through torch.utils.checkpoint."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(16, 16), nn.Linear(16, 16)

    def block(self, x):
        return x + self.b(F.mish(self.a(x)))

    def forward(self, x):
        x = torch.utils.checkpoint.checkpoint(self.block, x, use_reentrant=False)
        return self.block(x)


@OWN.takes(sampled(images(3, 32, 32)))
class Scripted(nn.Module):
    """A part was written for TorchScript."""

    def __init__(self):
        super().__init__()
        self.conv, self.part = (
            nn.Conv2d(3, 4, 3),
            torch.jit.script(nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())),
        )

    def forward(self, x):
        return self.part(self.conv(x)).mean((2, 3))


@OWN.takes(_picture)
class SpectralNormed(nn.Module):
    """Spectral norm by the older function, weight norm by the older function."""

    def __init__(self):
        super().__init__()
        self.a = nn.utils.spectral_norm(nn.Conv2d(3, 8, 4, 2, 1))
        self.b = nn.utils.weight_norm(nn.Conv2d(8, 8, 4, 2, 1))
        self.c = nn.Linear(8 * 8 * 8, 1)

    def forward(self, x):
        x = F.leaky_relu(self.b(F.leaky_relu(self.a(x), 0.2)), 0.2)
        return self.c(x.view(-1, 512))


@OWN.takes(_picture)
class OwnFunction(nn.Module):
    """An autograd function of its own: swish with its own gradient."""

    class Swish(torch.autograd.Function):
        @staticmethod
        def forward(ctx, i):
            ctx.save_for_backward(i)
            return i * torch.sigmoid(i)

        @staticmethod
        def backward(ctx, grad):
            (i,) = ctx.saved_tensors
            s = torch.sigmoid(i)
            return grad * (s * (1 + i * (1 - s)))

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)

    def forward(self, x):
        return self.Swish.apply(self.conv(x)).amax((2, 3))


@OWN.takes(_picture)
class MixtureOfExperts(nn.Module):
    """The best two of four experts, as code that runs each only where it is asked for."""

    def __init__(self):
        super().__init__()
        self.stem, self.gate = nn.Conv2d(3, 16, 8, 8), nn.Linear(16, 4)
        self.experts = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))

    def forward(self, x):
        t = self.stem(x).flatten(2).transpose(1, 2).reshape(-1, 16)
        w, idx = torch.topk(self.gate(t).softmax(-1), 2, dim=-1)
        w = w / w.sum(-1, keepdim=True)
        out = torch.zeros_like(t)
        for i, expert in enumerate(self.experts):
            rows, k = torch.where(idx == i)
            out[rows] += w[rows, k, None] * expert(t[rows])
        return out


@OWN.takes(_picture)
class DenseExperts(nn.Module):
    """The same with every expert, weighted by a scatter."""

    def __init__(self):
        super().__init__()
        self.stem, self.gate = nn.Conv2d(3, 16, 8, 8), nn.Linear(16, 4)
        self.w = nn.Parameter(torch.randn(4, 16, 16) * 0.2)

    def forward(self, x):
        t = self.stem(x).flatten(2).transpose(1, 2)
        w, idx = torch.topk(self.gate(t).softmax(-1), 2, dim=-1)
        full = torch.zeros(*t.shape[:-1], 4).scatter(-1, idx, w)
        return torch.einsum("btd,edf,bte->btf", t, self.w, full)


@OWN.takes(sampled(numbers(64, 1, 16), noise(2, 1, 2, 8, 8), noise(2, 1, 2, 8, 8)))
class KeyValueCache(nn.Module):
    """One step of generation: the past goes in, and comes out longer."""

    def __init__(self):
        super().__init__()
        self.emb, self.qkv, self.out = nn.Embedding(64, 16), nn.Linear(16, 48), nn.Linear(16, 64)

    def forward(self, ids, keys, values):
        x = self.emb(ids)
        b, t, d = x.shape
        q, k, v = (p.view(b, t, 2, 8).transpose(1, 2) for p in self.qkv(x).chunk(3, -1))
        k, v = torch.cat([keys[0], k], dim=2), torch.cat([values[0], v], dim=2)
        mask = torch.ones(t, k.size(2)).tril(diagonal=k.size(2) - t).bool()
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return (
            self.out(y.transpose(1, 2).reshape(b, t, d)),
            torch.stack([k, keys[1].repeat(1, 1, 3, 1)]),
            v,
        )


@OWN.takes(_picture)
class ExponentialMoving(nn.Module):
    """Parameters computed in forward: softmax of architecture weights, standardized kernels."""

    def __init__(self):
        super().__init__()
        self.alpha, self.weight = (
            nn.Parameter(torch.randn(3)),
            nn.Parameter(torch.randn(8, 3, 3, 3)),
        )
        self.ops = nn.ModuleList(
            [nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 5, padding=2, groups=8), nn.Identity()]
        )

    def forward(self, x):
        w = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        w = w / (w.flatten(1).std(1).view(-1, 1, 1, 1) + 1e-5)
        x = F.conv2d(x, w, padding=1)
        return sum(a * op(x) for a, op in zip(F.softmax(self.alpha, 0), self.ops))


@OWN.takes(_picture)
class DynamicConv(nn.Module):
    """The kernel is a mixture that the picture chooses, applied with groups."""

    def __init__(self):
        super().__init__()
        self.att, self.weight = nn.Linear(3, 4), nn.Parameter(torch.randn(4, 8, 3, 3, 3) * 0.3)

    def forward(self, x):
        b = x.size(0)
        a = F.softmax(self.att(x.mean((2, 3))) / 30, dim=1)
        w = torch.mm(a, self.weight.view(4, -1)).view(b * 8, 3, 3, 3)
        return F.conv2d(x.view(1, -1, x.size(2), x.size(3)), w, padding=1, groups=b).view(
            b, 8, x.size(2), x.size(3)
        )
