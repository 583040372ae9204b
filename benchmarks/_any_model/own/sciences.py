"""Graphs, points, fields, sequences of life, sensors: what people outside vision and speech deploy."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from _any_model.entry import Catalogue, images, noise, numbers, sampled

OWN = Catalogue("own")


def one_hot(*shape):
    def draw(chance):
        idx = torch.randint(0, 4, (1, shape[-1]), generator=chance)
        return F.one_hot(idx, 4).float().transpose(1, 2)

    return draw


def ring(n):
    a = torch.zeros(n, n)
    i = torch.arange(n)
    a[i, (i + 1) % n] = a[i, (i - 1) % n] = 1.0
    a[i, i] = 1.0
    return a


@OWN.takes(sampled(noise(1, 10, 3)))
class GCN(nn.Module):
    """A fixed graph, normalized in the constructor."""

    def __init__(self):
        super().__init__()
        a = ring(10)
        d = a.sum(1).pow(-0.5)
        self.register_buffer("adj", d[:, None] * a * d[None])
        self.w1, self.w2 = (
            nn.Parameter(torch.randn(3, 16) * 0.4),
            nn.Parameter(torch.randn(16, 4) * 0.3),
        )

    def forward(self, x):
        x = F.relu(torch.matmul(self.adj, torch.matmul(x, self.w1)))
        x = torch.matmul(self.adj, x @ self.w2)
        return F.log_softmax(x.mean(1), dim=-1)


@OWN.takes(sampled(noise(1, 10, 8)))
class GAT(nn.Module):
    """Every pair of nodes, pairs without an edge masked out."""

    def __init__(self):
        super().__init__()
        self.w, self.a = nn.Linear(8, 8, bias=False), nn.Parameter(torch.randn(16, 1))
        self.register_buffer("adj", ring(10))

    def forward(self, h):
        h = self.w(h)
        n = h.size(1)
        pairs = torch.cat([h.repeat(1, 1, n).view(1, n * n, -1), h.repeat(1, n, 1)], dim=2).view(
            1, n, n, 16
        )
        e = F.leaky_relu(torch.matmul(pairs, self.a).squeeze(3), 0.2)
        att = torch.where(self.adj > 0, e, -9e15 * torch.ones_like(e))
        return F.elu(torch.bmm(F.softmax(att, dim=2), h))


@OWN.takes(sampled(noise(20, 6), lambda chance: torch.randint(0, 20, (2, 60), generator=chance)))
class MessagePassing(nn.Module):
    """Edges are an input: gather, then scatter and add, and a mean by degree."""

    def __init__(self):
        super().__init__()
        self.msg, self.upd, self.out = nn.Linear(12, 16), nn.GRUCell(16, 6), nn.Linear(6, 2)

    def forward(self, x, edge_index):
        src, dst = edge_index
        m = F.relu(self.msg(torch.cat([x[src], x[dst]], dim=-1)))
        agg = torch.zeros(x.size(0), 16).index_add_(0, dst, m)
        deg = torch.zeros(x.size(0)).scatter_add_(0, dst, torch.ones(dst.size(0)))
        x = self.upd(agg / deg.clamp(min=1).unsqueeze(-1), x)
        return self.out(x.max(dim=0).values)


@OWN.takes(sampled(noise(1, 3, 30, 25)))
class SkeletonSTGCN(nn.Module):
    """Joints by einsum over partitions of the graph, then time."""

    def __init__(self):
        super().__init__()
        self.register_buffer("A", torch.stack([torch.eye(25), ring(25) / 3]))
        self.importance = nn.Parameter(torch.ones(2, 25, 25))
        self.data_bn = nn.BatchNorm1d(75)
        self.conv, self.tcn = (
            nn.Conv2d(3, 32, 1),
            nn.Sequential(nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, (9, 1), 1, (4, 0))),
        )
        self.fc = nn.Conv2d(16, 6, 1)

    def forward(self, x):
        n, c, t, v = x.size()
        x = x.permute(0, 3, 1, 2).contiguous().view(n, v * c, t)
        x = self.data_bn(x).view(n, v, c, t).permute(0, 2, 3, 1).contiguous()
        x = self.conv(x).view(n, 2, 16, t, v)
        x = torch.einsum("nkctv,kvw->nctw", (x, self.A * self.importance))
        x = self.tcn(x.contiguous())
        return self.fc(F.avg_pool2d(x, x.size()[2:])).view(n, -1)


@OWN.takes(sampled(noise(1, 3, 128)))
class PointNet(nn.Module):
    """A learnt rotation, shared perceptrons, a maximum over all points."""

    def __init__(self):
        super().__init__()
        self.t1, self.t2 = (
            nn.Sequential(nn.Conv1d(3, 16, 1), nn.BatchNorm1d(16), nn.ReLU()),
            nn.Linear(16, 9),
        )
        self.mlp = nn.Sequential(
            nn.Conv1d(3, 32, 1), nn.BatchNorm1d(32), nn.ReLU(), nn.Conv1d(32, 64, 1)
        )
        self.seg = nn.Conv1d(96, 4, 1)

    def forward(self, x):
        t = self.t2(torch.max(self.t1(x), 2, keepdim=True)[0].view(-1, 16))
        iden = torch.eye(3).flatten().view(1, 9).repeat(x.size(0), 1)
        x = torch.bmm(x.transpose(2, 1), (t + iden).view(-1, 3, 3)).transpose(2, 1)
        local = self.mlp[:3](x)
        g = torch.max(self.mlp[3](local), 2, keepdim=True)[0].repeat(1, 1, x.size(2))
        return self.seg(torch.cat([local, g], 1)).transpose(2, 1).log_softmax(-1)


@OWN.takes(sampled(noise(1, 3, 64)))
class DGCNN(nn.Module):
    """The nearest neighbours of every point: topk of distances, and a gather by flat indices."""

    def __init__(self, k=8):
        super().__init__()
        self.k, self.conv = (
            k,
            nn.Sequential(nn.Conv2d(6, 32, 1, bias=False), nn.BatchNorm2d(32), nn.LeakyReLU(0.2)),
        )
        self.fc = nn.Linear(64, 5)

    def forward(self, x):
        b, c, n = x.size()
        inner = -2 * torch.matmul(x.transpose(2, 1), x)
        xx = torch.sum(x**2, dim=1, keepdim=True)
        idx = (-xx - inner - xx.transpose(2, 1)).topk(k=self.k, dim=-1)[1]
        idx = (idx + torch.arange(0, b).view(-1, 1, 1) * n).view(-1)
        pts = x.transpose(2, 1).contiguous()
        feat = pts.view(b * n, -1)[idx, :].view(b, n, self.k, c)
        center = pts.view(b, n, 1, c).repeat(1, 1, self.k, 1)
        x = self.conv(
            torch.cat((feat - center, center), dim=3).permute(0, 3, 1, 2).contiguous()
        ).max(dim=-1)[0]
        return self.fc(
            torch.cat(
                (F.adaptive_max_pool1d(x, 1).view(b, -1), F.adaptive_avg_pool1d(x, 1).view(b, -1)),
                1,
            )
        )


@OWN.takes(sampled(noise(64, 3), noise(64, 3)))
class NeRF(nn.Module):
    """Fourier features, a skip, and the sum along each ray."""

    def __init__(self, w=64):
        super().__init__()
        self.register_buffer("freqs", 2.0 ** torch.linspace(0.0, 5.0, 6))
        self.a, self.b = nn.Linear(39, w), nn.Linear(w + 39, w)
        self.sigma, self.rgb = nn.Linear(w, 1), nn.Linear(w + 39, 3)

    def encode(self, x):
        return torch.cat([x] + [fn(x * f) for f in self.freqs for fn in (torch.sin, torch.cos)], -1)

    def forward(self, points, dirs):
        x = self.encode(points)
        h = F.relu(self.b(torch.cat([F.relu(self.a(x)), x], -1)))
        sigma = F.softplus(self.sigma(h)).view(4, 16)
        rgb = torch.sigmoid(
            self.rgb(torch.cat([h, self.encode(dirs / torch.norm(dirs, dim=-1, keepdim=True))], -1))
        ).view(4, 16, 3)
        alpha = 1.0 - torch.exp(-sigma * 0.1)
        trans = torch.cumprod(torch.cat([torch.ones((4, 1)), 1.0 - alpha + 1e-10], -1), -1)[:, :-1]
        weights = alpha * trans
        return torch.sum(weights[..., None] * rgb, -2), torch.sum(
            weights * torch.linspace(0, 1, 16), -1
        )


@OWN.takes(sampled(noise(256, 2)))
class SIREN(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 32), nn.Linear(32, 32), nn.Linear(32, 1)])

    def forward(self, coords):
        x = coords.clone().detach().requires_grad_(True)
        for layer in self.layers[:-1]:
            x = torch.sin(30 * layer(x))
        return self.layers[-1](x), coords


@OWN.takes(sampled(noise(1, 32, 32, 1)))
class FourierNeuralOperator(nn.Module):
    """Weights for the low frequencies, complex, written into an empty spectrum."""

    def __init__(self, width=8, modes=6):
        super().__init__()
        self.modes = modes
        self.w1 = nn.Parameter(torch.rand(width, width, modes, modes, 2) / width)
        self.w2 = nn.Parameter(torch.rand(width, width, modes, modes, 2) / width)
        self.p, self.w, self.q = (
            nn.Linear(3, width),
            nn.Conv2d(width, width, 1),
            nn.Linear(width, 1),
        )

    def forward(self, x):
        b, h, w, _ = x.shape
        gx = torch.linspace(0, 1, h).reshape(1, h, 1, 1).repeat([b, 1, w, 1])
        gy = torch.linspace(0, 1, w).reshape(1, 1, w, 1).repeat([b, h, 1, 1])
        x = self.p(torch.cat((x, gx, gy), dim=-1)).permute(0, 3, 1, 2)
        ft = torch.fft.rfft2(x)
        m = self.modes
        out = torch.zeros(b, 8, h, w // 2 + 1, dtype=torch.cfloat)
        out[:, :, :m, :m] = torch.einsum(
            "bixy,ioxy->boxy", ft[:, :, :m, :m], torch.view_as_complex(self.w1)
        )
        out[:, :, -m:, :m] = torch.einsum(
            "bixy,ioxy->boxy", ft[:, :, -m:, :m], torch.view_as_complex(self.w2)
        )
        x = F.gelu(torch.fft.irfft2(out, s=(h, w)) + self.w(x))
        return self.q(x.permute(0, 2, 3, 1))


@OWN.takes(sampled(one_hot(4, 200)))
class DeepSEA(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(4, 32, 8),
            nn.ReLU(),
            nn.MaxPool1d(4, 4),
            nn.Dropout(0.2),
            nn.Conv1d(32, 48, 8),
            nn.ReLU(),
            nn.MaxPool1d(4, 4),
            nn.Dropout(0.2),
        )
        self.fc = nn.Sequential(nn.Linear(48 * 10, 64), nn.ReLU(), nn.Linear(64, 19), nn.Sigmoid())

    def forward(self, x):
        return self.fc(self.net(x).view(x.size(0), -1))


@OWN.takes(sampled(one_hot(4, 200)))
class BothStrands(nn.Module):
    """The reverse complement goes through the same network, and the larger answer counts."""

    def __init__(self):
        super().__init__()
        self.conv, self.lstm, self.fc = (
            nn.Conv1d(4, 24, 13),
            nn.LSTM(24, 12, bidirectional=True, batch_first=True),
            nn.Linear(24, 1),
        )

    def one(self, x):
        h = F.max_pool1d(F.relu(self.conv(x)), 6).permute(0, 2, 1)
        return self.fc(self.lstm(h)[0].mean(1))

    def forward(self, x):
        return torch.max(self.one(x), self.one(torch.flip(x, dims=[1, 2])))


@OWN.takes(sampled(one_hot(4, 400)))
class SpliceNet(nn.Module):
    """Dilated residual blocks, skips, cropped to the middle."""

    def __init__(self, c=16):
        super().__init__()
        self.first, self.skip = nn.Conv1d(4, c, 1), nn.Conv1d(4, c, 1)
        self.blocks = nn.ModuleList()
        for w, r in ((11, 1), (11, 4), (21, 6)):
            self.blocks.append(
                nn.Sequential(
                    nn.BatchNorm1d(c),
                    nn.ReLU(),
                    nn.Conv1d(c, c, w, dilation=r, padding=r * (w - 1) // 2),
                    nn.BatchNorm1d(c),
                    nn.ReLU(),
                    nn.Conv1d(c, c, w, dilation=r, padding="same"),
                )
            )
        self.last, self.out = nn.Conv1d(c, c, 1), nn.Conv1d(c, 3, 1)

    def forward(self, x):
        skip, h = self.skip(x), self.first(x)
        for block in self.blocks:
            h = block(h) + h
        skip = skip + self.last(h)
        skip = F.pad(skip, (-100, -100))
        return F.softmax(self.out(skip), dim=1)


@OWN.takes(sampled(numbers(25, 1, 40)))
class ProteinTransformer(nn.Module):
    """Contacts from attention maps, symmetrized and corrected."""

    def __init__(self):
        super().__init__()
        self.emb, self.pos = nn.Embedding(25, 32, padding_idx=1), nn.Embedding(66, 32)
        self.mha, self.ln = nn.MultiheadAttention(32, 4, batch_first=True), nn.LayerNorm(32)
        self.reg = nn.Linear(4, 1)

    def forward(self, tokens):
        mask = tokens.ne(1).int()
        positions = (torch.cumsum(mask, dim=1).type_as(mask) * mask).long() + 1
        x = self.emb(tokens) * math.sqrt(32) + self.pos(positions)
        x = x * mask.unsqueeze(-1).type_as(x)
        y, w = self.mha(
            self.ln(x), self.ln(x), self.ln(x), need_weights=True, average_attn_weights=False
        )
        a = w + w.transpose(-1, -2)
        apc = a.sum(-1, keepdim=True) * a.sum(-2, keepdim=True) / a.sum((-1, -2), keepdim=True)
        return torch.sigmoid(self.reg((a - apc).permute(0, 2, 3, 1)).squeeze(3)), (x + y)[:, 0]


@OWN.takes(sampled(noise(1, 24, 24, 16)))
class TriangleUpdate(nn.Module):
    """Pairs of residues: multiplicative updates along triangles."""

    def __init__(self):
        super().__init__()
        self.ln, self.a, self.b, self.g, self.o = (
            nn.LayerNorm(16),
            nn.Linear(16, 8),
            nn.Linear(16, 8),
            nn.Linear(16, 16),
            nn.Linear(8, 16),
        )

    def forward(self, z):
        y = self.ln(z)
        a, b = torch.sigmoid(self.a(y)), torch.sigmoid(self.b(y))
        out = torch.einsum("...ikc,...jkc->...ijc", a, b)
        inc = torch.einsum("...kic,...kjc->...ijc", a, b)
        return z + torch.sigmoid(self.g(y)) * self.o(out + inc)


@OWN.takes(sampled(noise(1, 2, 128)))
class HeartRate(nn.Module):
    """Inception over an electrocardiogram."""

    def __init__(self):
        super().__init__()
        self.bottle = nn.Conv1d(2, 8, 1, bias=False)
        self.convs = nn.ModuleList(
            [nn.Conv1d(8, 8, k, padding=k // 2, bias=False) for k in (39, 19, 9)]
        )
        self.mp, self.cp = nn.MaxPool1d(3, 1, 1), nn.Conv1d(2, 8, 1, bias=False)
        self.bn, self.fc = nn.BatchNorm1d(32), nn.Linear(32, 5)

    def forward(self, x):
        b = self.bottle(x)
        y = F.relu(self.bn(torch.cat([c(b) for c in self.convs] + [self.cp(self.mp(x))], dim=1)))
        return self.fc(F.adaptive_avg_pool1d(y, 1).squeeze(-1))


@OWN.takes(sampled(noise(1, 1, 22, 256)))
class EEGNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.b1 = nn.Sequential(
            nn.Conv2d(1, 8, (1, 64), padding=(0, 32), bias=False),
            nn.BatchNorm2d(8),
            nn.Conv2d(8, 16, (22, 1), groups=8, bias=False),
            nn.BatchNorm2d(16),
            nn.ELU(),
            nn.AvgPool2d((1, 4)),
            nn.Dropout(0.25),
        )
        self.b2 = nn.Sequential(
            nn.Conv2d(16, 16, (1, 16), padding=(0, 8), groups=16, bias=False),
            nn.Conv2d(16, 16, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.ELU(),
            nn.AvgPool2d((1, 8)),
        )
        self.fc = nn.Linear(16 * 8, 4)

    def forward(self, x):
        return self.fc(self.b2(self.b1(x)).flatten(start_dim=1))


@OWN.takes(sampled(noise(1, 54)))
class TabNet(nn.Module):
    """Steps of attention over columns, with what is left for the next one."""

    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm1d(54)
        self.feat, self.att = (
            nn.ModuleList(nn.Linear(54, 32) for _ in range(3)),
            nn.ModuleList(nn.Linear(16, 54) for _ in range(3)),
        )
        self.out = nn.Linear(16, 7)

    def sparsemax(self, z):
        z = z - z.max(dim=-1, keepdim=True)[0]
        s, _ = torch.sort(z, dim=-1, descending=True)
        k = torch.arange(1, z.size(-1) + 1, dtype=z.dtype)
        cum = s.cumsum(-1)
        support = (1 + k * s > cum).to(z.dtype)
        n = support.sum(-1, keepdim=True)
        tau = (torch.gather(cum, -1, n.long() - 1) - 1) / n
        return torch.clamp(z - tau, min=0)

    def forward(self, x):
        x = self.bn(x)
        prior, total, a = torch.ones_like(x), 0, F.glu(self.feat[0](x))
        for i in range(3):
            mask = self.sparsemax(self.att[i](a) * prior)
            prior = prior * (1.5 - mask)
            a = F.glu(self.feat[i](mask * x))
            total = total + F.relu(a)
        return self.out(total)


@OWN.takes(sampled(noise(1, 12)))
class Forward2DPhysics(nn.Module):
    """A residual of physics by hand: roll, stack, where, cross products."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(12, 32), nn.Softplus(beta=10), nn.Linear(32, 12), nn.Softsign()
        )

    def forward(self, x):
        y = self.net(x)
        lap = torch.roll(y, 1, dims=-1) + torch.roll(y, -1, dims=-1) - 2 * y
        v = y.view(-1, 4, 3)
        c = torch.cross(v, v.roll(1, 1), dim=-1)
        angle = torch.atan2(v[..., 1], v[..., 0])
        return (
            torch.where(lap.abs() > 0.1, lap, torch.zeros_like(lap)),
            c.norm(dim=-1),
            torch.rad2deg(angle),
        )


@OWN.takes(sampled(noise(1, 17, 2)))
class PoseLift(nn.Module):
    """Two dimensions to three, rotations from six numbers by Gram and Schmidt."""

    def __init__(self):
        super().__init__()
        self.fc1, self.bn, self.fc2 = nn.Linear(34, 64), nn.BatchNorm1d(64), nn.Linear(64, 17 * 6)

    def forward(self, x):
        x = F.relu(self.bn(self.fc1(x.reshape(x.shape[0], -1))))
        r = self.fc2(x).view(-1, 17, 3, 2)
        a1, a2 = r[..., 0], r[..., 1]
        b1 = F.normalize(a1, dim=-1)
        b2 = F.normalize(a2 - torch.einsum("bji,bji->bj", b1, a2).unsqueeze(-1) * b1, dim=-1)
        b3 = torch.linalg.cross(b1, b2)
        return torch.stack((b1, b2, b3), dim=-1)


@OWN.takes(sampled(images(3, 64, 64)))
class Selective(nn.Module):
    """A scan over the picture's tokens: a state space by a loop."""

    def __init__(self, d=16, n=4):
        super().__init__()
        self.inp, self.x_proj, self.dt = (
            nn.Conv2d(3, d, 16, 16),
            nn.Linear(d, 2 * n + 1),
            nn.Linear(1, d),
        )
        self.a_log, self.skip, self.head = (
            nn.Parameter(torch.log(torch.arange(1, n + 1).float()).repeat(d, 1)),
            nn.Parameter(torch.ones(d)),
            nn.Linear(d, 5),
        )
        self.n = n

    def forward(self, x):
        u = self.inp(x).flatten(2).transpose(1, 2)
        a = -torch.exp(self.a_log)
        dt, bm, cm = self.x_proj(u).split([1, self.n, self.n], dim=-1)
        dt = F.softplus(self.dt(dt))
        da = torch.exp(torch.einsum("bld,dn->bldn", dt, a))
        db = torch.einsum("bld,bln,bld->bldn", dt, bm, u)
        h, ys = torch.zeros(u.size(0), u.size(2), self.n), []
        for t in range(u.size(1)):
            h = da[:, t] * h + db[:, t]
            ys.append(torch.einsum("bdn,bn->bd", h, cm[:, t]))
        return self.head((torch.stack(ys, 1) + u * self.skip).mean(1))
