"""Recurrent networks, attention by hand, translation: what reads sequences of words or numbers."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from _any_model.entry import Catalogue, images, noise, numbers, sampled

OWN = Catalogue("own")
WORDS, LENGTH = 100, 20
_words = sampled(numbers(WORDS, 1, LENGTH))


@OWN.takes(_words)
class TextCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 32, padding_idx=0)
        self.convs = nn.ModuleList([nn.Conv2d(1, 16, (k, 32)) for k in (3, 4, 5)])
        self.fc = nn.Linear(48, 4)

    def forward(self, x):
        x = self.embedding(x).unsqueeze(1)
        xs = [F.relu(conv(x)).squeeze(3) for conv in self.convs]
        xs = [F.max_pool1d(i, i.size(2)).squeeze(2) for i in xs]
        return self.fc(torch.cat(xs, 1))


@OWN.takes(_words)
class LSTMClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 32)
        self.lstm = nn.LSTM(32, 24, num_layers=2, bidirectional=True, batch_first=True, dropout=0.3)
        self.fc = nn.Linear(48, 3)

    def forward(self, text):
        out, (hidden, _) = self.lstm(self.embedding(text))
        return self.fc(torch.cat((hidden[-2, :, :], hidden[-1, :, :]), dim=1))


@OWN.takes(sampled(noise(1, 30, 6)))
class GRUForecast(nn.Module):
    """The first state is made in forward, and time comes first."""

    def __init__(self):
        super().__init__()
        self.gru, self.fc = nn.GRU(6, 16, 2), nn.Linear(16, 1)

    def forward(self, x):
        x = x.permute(1, 0, 2)
        h0 = torch.zeros(2, x.size(1), 16).to(x.device)
        out, _ = self.gru(x, h0.detach())
        return self.fc(out[-1])


@OWN.takes(sampled(noise(1, 12, 4)))
class CellLoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.cell2, self.out = nn.LSTMCell(4, 16), nn.GRUCell(16, 8), nn.Linear(8, 2)

    def forward(self, x):
        hx, cx, h2 = x.new_zeros(x.size(0), 16), x.new_zeros(x.size(0), 16), None
        outputs = []
        for x_t in x.chunk(x.size(1), dim=1):
            hx, cx = self.cell(x_t.squeeze(1), (hx, cx))
            h2 = self.cell2(hx, h2)
            outputs += [self.out(h2)]
        return torch.stack(outputs, 1).squeeze()


@OWN.takes(_words)
class AttentionLSTM(nn.Module):
    """Padding is masked out of the attention."""

    def __init__(self):
        super().__init__()
        self.emb, self.rnn = (
            nn.Embedding(WORDS, 24),
            nn.LSTM(24, 16, bidirectional=True, batch_first=True),
        )
        self.w = nn.Parameter(torch.randn(32))
        self.fc = nn.Linear(32, 2)

    def forward(self, x):
        mask = x != 0
        h, _ = self.rnn(self.emb(x))
        score = torch.tanh(h) @ self.w
        score = score.masked_fill(~mask, float("-inf"))
        alpha = F.softmax(score, dim=1).unsqueeze(-1)
        return self.fc(torch.relu(torch.sum(h * alpha, 1)))


class MultiHead(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.d_k, self.h = d // h, h
        self.linears = nn.ModuleList([nn.Linear(d, d) for _ in range(4)])

    def forward(self, q, k, v, mask=None):
        n = q.size(0)
        q, k, v = [
            lin(x).view(n, -1, self.h, self.d_k).transpose(1, 2)
            for lin, x in zip(self.linears, (q, k, v))
        ]
        scores = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(self.d_k)
        if mask is not None:
            scores = scores.masked_fill(mask == 0, -1e9)
        x = torch.matmul(F.softmax(scores, dim=-1), v)
        return self.linears[-1](x.transpose(1, 2).contiguous().view(n, -1, self.h * self.d_k))


class Positions(nn.Module):
    def __init__(self, d, max_len=64):
        super().__init__()
        pe = torch.zeros(max_len, d)
        position = torch.arange(0, max_len).unsqueeze(1)
        div = torch.exp(torch.arange(0, d, 2) * -(math.log(10000.0) / d))
        pe[:, 0::2], pe[:, 1::2] = torch.sin(position * div), torch.cos(position * div)
        self.register_buffer("pe", pe.unsqueeze(0))

    def forward(self, x):
        return x + self.pe[:, : x.size(1)].requires_grad_(False)


class Norm(nn.Module):
    def __init__(self, d, eps=1e-6):
        super().__init__()
        self.a, self.b, self.eps = nn.Parameter(torch.ones(d)), nn.Parameter(torch.zeros(d)), eps

    def forward(self, x):
        mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        return self.a * (x - mean) / (std + self.eps) + self.b


@OWN.takes(sampled(numbers(WORDS, 1, LENGTH), numbers(WORDS, 1, 12)))
class TransformerByHand(nn.Module):
    """Encoder and decoder, with a mask of what comes later."""

    def __init__(self, d=32):
        super().__init__()
        self.src, self.tgt, self.pos = nn.Embedding(WORDS, d), nn.Embedding(WORDS, d), Positions(d)
        self.enc, self.dec, self.cross = MultiHead(d, 4), MultiHead(d, 4), MultiHead(d, 4)
        self.ff, self.n1, self.n2 = (
            nn.Sequential(nn.Linear(d, 64), nn.ReLU(), nn.Linear(64, d)),
            Norm(d),
            Norm(d),
        )
        self.out, self.d = nn.Linear(d, WORDS), d

    def subsequent(self, size):
        return torch.triu(torch.ones(1, size, size), diagonal=1).type(torch.uint8) == 0

    def forward(self, src, tgt):
        src_mask = (src != 0).unsqueeze(-2).unsqueeze(1)
        tgt_mask = ((tgt != 0).unsqueeze(-2) & self.subsequent(tgt.size(-1))).unsqueeze(1)
        m = self.pos(self.src(src) * math.sqrt(self.d))
        m = m + self.enc(self.n1(m), self.n1(m), self.n1(m), src_mask)
        m = self.n2(m + self.ff(m))
        x = self.pos(self.tgt(tgt) * math.sqrt(self.d))
        x = x + self.dec(self.n1(x), self.n1(x), self.n1(x), tgt_mask)
        x = x + self.cross(x, m, m, src_mask)
        return F.log_softmax(self.out(self.n2(x + self.ff(x))), dim=-1)


@OWN.takes(_words)
class TorchEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(WORDS, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(32, 5)

    def forward(self, x):
        h = self.encoder(self.emb(x), src_key_padding_mask=x.eq(0))
        return self.head(h.mean(1))


@OWN.takes(sampled(numbers(WORDS, 15, 1), numbers(WORDS, 9, 1)))
class TorchTransformer(nn.Module):
    """nn.Transformer, time first."""

    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(WORDS, 32)
        self.net = nn.Transformer(32, 4, 2, 2, 64)
        self.out = nn.Linear(32, WORDS)

    def forward(self, src, tgt):
        mask = nn.Transformer.generate_square_subsequent_mask(tgt.size(0))
        return self.out(self.net(self.emb(src), self.emb(tgt), tgt_mask=mask))


def rotate_half(x):
    x1, x2 = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    return torch.cat((-x2, x1), dim=-1)


class RMSNorm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


@OWN.takes(_words)
class NanoLlama(nn.Module):
    """Rotary positions by complex numbers, grouped keys and values, SwiGLU, tied head."""

    def __init__(self, d=32, heads=4, kv=2):
        super().__init__()
        self.h, self.kv, self.hd = heads, kv, d // heads
        self.emb = nn.Embedding(WORDS, d)
        self.wq, self.wk, self.wv, self.wo = (
            nn.Linear(d, d, False),
            nn.Linear(d, kv * self.hd, False),
            nn.Linear(d, kv * self.hd, False),
            nn.Linear(d, d, False),
        )
        self.w1, self.w2, self.w3 = (
            nn.Linear(d, 64, False),
            nn.Linear(64, d, False),
            nn.Linear(d, 64, False),
        )
        self.norm, self.norm2 = RMSNorm(d), RMSNorm(d)
        self.head = nn.Linear(d, WORDS, bias=False)
        self.head.weight = self.emb.weight
        freqs = 1.0 / (10000.0 ** (torch.arange(0, self.hd, 2).float() / self.hd))
        angles = torch.outer(torch.arange(64).float(), freqs)
        self.freqs_cis = torch.polar(torch.ones_like(angles), angles)

    def rotary(self, x, freqs):
        xc = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
        return torch.view_as_real(xc * freqs[None, :, None]).flatten(3).type_as(x)

    def forward(self, tokens):
        b, t = tokens.shape
        x = self.emb(tokens)
        freqs = self.freqs_cis[:t]
        y = self.norm(x)
        q, k, v = (
            self.wq(y).view(b, t, self.h, self.hd),
            self.wk(y).view(b, t, self.kv, self.hd),
            self.wv(y).view(b, t, self.kv, self.hd),
        )
        q, k = self.rotary(q, freqs), self.rotary(k, freqs)
        k = (
            k[:, :, :, None, :]
            .expand(b, t, self.kv, self.h // self.kv, self.hd)
            .reshape(b, t, self.h, self.hd)
        )
        v = torch.repeat_interleave(v, dim=2, repeats=self.h // self.kv)
        mask = torch.full((t, t), float("-inf"))
        mask = torch.triu(mask, diagonal=1)
        scores = torch.einsum("bthd,bshd->bhts", q, k) / math.sqrt(self.hd) + mask
        o = torch.einsum("bhts,bshd->bthd", F.softmax(scores.float(), dim=-1).type_as(q), v)
        x = x + self.wo(o.reshape(b, t, -1))
        y = self.norm2(x)
        return self.head(x + self.w2(F.silu(self.w1(y)) * self.w3(y)))[:, -1]


@OWN.takes(_words)
class NanoGPT(nn.Module):
    def __init__(self, d=32, heads=4):
        super().__init__()
        self.wte, self.wpe, self.heads = nn.Embedding(WORDS, d), nn.Embedding(64, d), heads
        self.attn, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.fc, self.out, self.ln = nn.Linear(d, 4 * d), nn.Linear(4 * d, d), nn.LayerNorm(d)
        self.register_buffer("bias", torch.tril(torch.ones(64, 64)).view(1, 1, 64, 64))

    def forward(self, idx):
        b, t = idx.size()
        pos = torch.arange(0, t, dtype=torch.long, device=idx.device)
        x = self.wte(idx) + self.wpe(pos)
        q, k, v = self.attn(self.ln(x)).split(x.size(-1), dim=2)
        q, k, v = (z.view(b, t, self.heads, -1).transpose(1, 2) for z in (q, k, v))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :t, :t] == 0, float("-inf")).softmax(-1)
        x = x + self.proj((att @ v).transpose(1, 2).contiguous().view(b, t, -1))
        x = x + self.out(F.gelu(self.fc(x), approximate="tanh"))
        return F.linear(x[:, [-1], :], self.wte.weight)


@OWN.takes(sampled(images(1, 32, 100)))
class CRNN(nn.Module):
    """Optical character recognition: columns of a picture through an LSTM."""

    def __init__(self, classes=37):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 16, 3, 1, 1), nn.ReLU(True), nn.MaxPool2d(2, 2),
            nn.Conv2d(16, 32, 3, 1, 1), nn.ReLU(True), nn.MaxPool2d(2, 2),
            nn.Conv2d(32, 32, 3, 1, 1), nn.BatchNorm2d(32), nn.ReLU(True), nn.MaxPool2d((2, 2), (2, 1), (0, 1)),
            nn.Conv2d(32, 48, (4, 2), 1, 0), nn.ReLU(True),
        )  # fmt: skip
        self.rnn1, self.l1 = nn.LSTM(48, 24, bidirectional=True), nn.Linear(48, 24)
        self.rnn2, self.l2 = nn.LSTM(24, 24, bidirectional=True), nn.Linear(48, classes)

    def forward(self, x):
        conv = self.cnn(x)
        b, c, h, w = conv.size()
        assert h == 1, "the height of conv must be 1"
        conv = conv.squeeze(2).permute(2, 0, 1)
        r, _ = self.rnn1(conv)
        t, b, h = r.size()
        r = self.l1(r.view(t * b, h)).view(t, b, -1)
        r, _ = self.rnn2(r)
        return self.l2(r).log_softmax(2)


@OWN.takes(sampled(noise(1, 3, 64)))
class TCN(nn.Module):
    """Dilated causal convolutions, weight-normed, padding cut off behind."""

    def __init__(self):
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        self.convs = nn.ModuleList(
            norm(nn.Conv1d(3 if i == 0 else 16, 16, 3, padding=2 * 2**i, dilation=2**i))
            for i in range(4)
        )
        self.down, self.fc = nn.Conv1d(3, 16, 1), nn.Linear(16, 2)

    def forward(self, x):
        for i, conv in enumerate(self.convs):
            out = F.relu(conv(x)[:, :, : -2 * 2**i].contiguous())
            x = F.relu(out + (self.down(x) if i == 0 else x))
        return self.fc(x[:, :, -1])


@OWN.takes(sampled(noise(1, 32, 7)))
class DLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.avg = nn.AvgPool1d(5, stride=1, padding=0)
        self.seasonal, self.trend = nn.Linear(32, 8), nn.Linear(32, 8)

    def forward(self, x):
        front, end = x[:, 0:1, :].repeat(1, 2, 1), x[:, -1:, :].repeat(1, 2, 1)
        trend = self.avg(torch.cat([front, x, end], dim=1).permute(0, 2, 1))
        seasonal = x.permute(0, 2, 1) - trend
        return (self.seasonal(seasonal) + self.trend(trend)).permute(0, 2, 1)


@OWN.takes(sampled(noise(1, 24, 5)))
class Autocorrelation(nn.Module):
    """Series decomposed by their spectrum; the strongest delays are gathered."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.out = (
            nn.Linear(5, 8),
            nn.Linear(5, 8),
            nn.Linear(5, 8),
            nn.Linear(8, 1),
        )

    def forward(self, x):
        q, k, v = self.q(x).transpose(1, 2), self.k(x).transpose(1, 2), self.v(x).transpose(1, 2)
        corr = torch.fft.irfft(
            torch.fft.rfft(q, dim=-1) * torch.conj(torch.fft.rfft(k, dim=-1)), n=24, dim=-1
        )
        weights, delay = torch.topk(corr.mean(1), 3, dim=-1)
        weights = torch.softmax(weights, dim=-1)
        agg = torch.zeros_like(v)
        doubled = v.repeat(1, 1, 2)
        index = torch.arange(24).view(1, 1, -1).expand_as(v)
        for i in range(3):
            pattern = torch.gather(doubled, -1, index + delay[:, i].view(-1, 1, 1))
            agg = agg + pattern * weights[:, i].view(-1, 1, 1)
        return self.out(agg.transpose(1, 2))


@OWN.takes(sampled(numbers(50, 1, 8), noise(1, 13)))
class ClickThrough(nn.Module):
    """Factorization machine and deep part over features of categories."""

    def __init__(self, fields=8, dim=8):
        super().__init__()
        self.register_buffer("offsets", torch.arange(fields) * 50)
        self.emb, self.lin = (
            nn.Embedding(fields * 50, dim),
            nn.EmbeddingBag(fields * 50, 1, mode="sum"),
        )
        self.mlp = nn.Sequential(
            nn.Linear(fields * dim + 13, 32),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(32, 1),
        )

    def forward(self, cat, num):
        idx = cat + self.offsets
        e = self.emb(idx)
        fm = 0.5 * (e.sum(dim=1).pow(2) - e.pow(2).sum(dim=1)).sum(1, keepdim=True)
        deep = self.mlp(torch.cat([e.flatten(1), torch.log1p(num.abs())], dim=1))
        return torch.sigmoid(self.lin(idx) + fm + deep).squeeze(-1)


@OWN.takes(sampled(numbers(200, 1, 10), lambda chance: torch.tensor([7])))
class PackedLSTM(nn.Module):
    """Lengths go in with the words, and the sequence is packed."""

    def __init__(self):
        super().__init__()
        self.emb, self.lstm, self.fc = (
            nn.Embedding(200, 16),
            nn.LSTM(16, 16, batch_first=True),
            nn.Linear(16, 2),
        )

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(
            self.emb(x), lengths, batch_first=True, enforce_sorted=False
        )
        _, (h, _) = self.lstm(packed)
        return self.fc(h[-1])


@OWN.takes(sampled(noise(1, 10, 4)))
class EarlyExit(nn.Module):
    """Leaves early where the first head is sure: a branch on a value."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.head = nn.Linear(40, 16), nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x):
        h = torch.relu(self.a(x.flatten(1)))
        first = self.head(h).softmax(-1)
        if first.max() > 0.9:
            return first
        return self.head(torch.relu(self.b(h))).softmax(-1)


@OWN.takes(sampled(noise(1, 16)))
class Gaussian(nn.Module):
    """A policy that returns a distribution's parts, and clamps what it may."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.mean, self.log_std, self.value = nn.Linear(32, 4), nn.Linear(32, 4), nn.Linear(32, 1)

    def forward(self, obs):
        h = self.net(obs)
        mean, log_std = self.mean(h), torch.clamp(self.log_std(h), min=-20, max=2)
        dist = torch.distributions.Normal(mean, log_std.exp())
        action = torch.tanh(dist.mean)
        log_prob = dist.log_prob(mean) - torch.log(1 - action.pow(2) + 1e-6)
        return action, log_prob.sum(1, keepdim=True), self.value(h)


@OWN.takes(sampled(images(4, 84, 84)))
class DuelingDQN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(4, 16, 8, 4), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU()
        )
        self.adv, self.val = nn.Linear(32 * 9 * 9, 6), nn.Linear(32 * 9 * 9, 1)

    def forward(self, x):
        x = self.conv(x / 255.0).view(x.size(0), -1)
        adv, val = self.adv(x), self.val(x).expand(x.size(0), 6)
        q = val + adv - adv.mean(1).unsqueeze(1).expand(x.size(0), 6)
        return q.max(1)[1].view(1, 1), q
