"""Keyword spotting, recognition, separation, pitch, vocoders: what hears."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from _any_model.entry import Catalogue, noise, numbers, sampled

OWN = Catalogue("own")
_mel = sampled(noise(1, 1, 40, 101))
_wave = sampled(noise(1, 4000))


@OWN.takes(_mel)
class KeywordDSCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 32, (10, 4), (2, 2), (5, 1), bias=False), nn.BatchNorm2d(32), nn.ReLU()
        )
        self.blocks = nn.Sequential(
            *[
                nn.Sequential(
                    nn.Conv2d(32, 32, 3, 1, 1, groups=32, bias=False),
                    nn.BatchNorm2d(32),
                    nn.ReLU(),
                    nn.Conv2d(32, 32, 1, bias=False),
                    nn.BatchNorm2d(32),
                    nn.ReLU(),
                )
                for _ in range(3)
            ]
        )
        self.fc = nn.Linear(32, 12)

    def forward(self, x):
        x = self.blocks(self.conv(x))
        x = F.avg_pool2d(x, kernel_size=x.size()[2:])
        return self.fc(torch.squeeze(torch.squeeze(x, 3), 2))


@OWN.takes(_mel)
class BCResNet(nn.Module):
    """Broadcasted residuals: mean over frequency, one-dimensional path, added to every row."""

    def __init__(self, c=16):
        super().__init__()
        self.inp = nn.Conv2d(1, c, 5, (2, 1), 2)
        self.f2 = nn.Sequential(
            nn.Conv2d(c, c, (3, 1), padding=(1, 0), groups=c), nn.BatchNorm2d(c * 4)
        )
        self.f2[1] = nn.BatchNorm2d(c)
        self.f1 = nn.Sequential(
            nn.Conv2d(c, c, (1, 3), padding=(0, 2), dilation=(1, 2), groups=c),
            nn.BatchNorm2d(c),
            nn.SiLU(),
            nn.Conv2d(c, c, 1),
            nn.Dropout2d(0.1),
        )
        self.out = nn.Conv2d(c, 12, 1)

    def forward(self, x):
        x = self.inp(x)
        aux = self.f2(x)
        y = self.f1(aux.mean(2, keepdim=True))
        x = F.relu(x + y + aux)
        return self.out(x.mean((2, 3), keepdim=True)).view(-1, 12)


@OWN.takes(sampled(noise(1, 1, 4000)))
class M5(nn.Module):
    """Raw waves through strided convolutions."""

    def __init__(self, c=16):
        super().__init__()
        self.conv1, self.bn1, self.pool1 = (
            nn.Conv1d(1, c, 80, stride=16),
            nn.BatchNorm1d(c),
            nn.MaxPool1d(4),
        )
        self.conv2, self.bn2, self.pool2 = (
            nn.Conv1d(c, c * 2, 3),
            nn.BatchNorm1d(c * 2),
            nn.MaxPool1d(4),
        )
        self.fc1 = nn.Linear(c * 2, 10)

    def forward(self, x):
        x = self.pool1(F.relu(self.bn1(self.conv1(x))))
        x = self.pool2(F.relu(self.bn2(self.conv2(x))))
        x = F.avg_pool1d(x, x.shape[-1])
        return F.log_softmax(self.fc1(x.permute(0, 2, 1)), dim=2)


def mel_filters(n_freqs, n_mels):
    points = torch.linspace(0, n_freqs - 1, n_mels + 2)
    bins = torch.arange(n_freqs).float()[:, None]
    up, down = (
        (bins - points[:-2]) / (points[1:-1] - points[:-2]),
        (points[2:] - bins) / (points[2:] - points[1:-1]),
    )
    return torch.clamp(torch.min(up, down), min=0)


@OWN.takes(_wave)
class MelFrontEnd(nn.Module):
    """The spectrogram is part of the model: torch.stft, power, mel, logarithm."""

    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(256))
        self.register_buffer("fb", mel_filters(129, 32))
        self.conv, self.fc = nn.Conv2d(1, 8, 3, 2), nn.Linear(8, 5)

    def forward(self, wav):
        spec = torch.stft(
            wav, 256, hop_length=128, window=self.window, center=True, return_complex=True
        )
        mel = torch.matmul(spec.abs().pow(2).transpose(1, 2), self.fb)
        log = torch.log(mel + 1e-6)
        log = (log - log.mean(1, keepdim=True)) / (log.std(1, keepdim=True) + 1e-5)
        return self.fc(F.relu(self.conv(log.unsqueeze(1))).mean((2, 3)))


@OWN.takes(_wave)
class FramedRfft(nn.Module):
    """Frames by unfold, spectrum by rfft, cepstra by a fixed matrix."""

    def __init__(self):
        super().__init__()
        n = torch.arange(20).float()
        self.register_buffer("dct", torch.cos(math.pi / 20 * (n + 0.5)[None] * n[:13, None]))
        self.register_buffer("fb", mel_filters(129, 20))
        self.gru = nn.GRU(13, 16, batch_first=True)

    def forward(self, x):
        x = torch.cat([x[:, :1], x[:, 1:] - 0.97 * x[:, :-1]], dim=1)
        frames = x.unfold(-1, 256, 160) * torch.hamming_window(256)
        power = torch.fft.rfft(frames, n=256).abs() ** 2
        mfcc = (power @ self.fb).clamp(min=1e-8).log() @ self.dct.t()
        return self.gru(mfcc)[0][:, -1]


@OWN.takes(_wave)
class StftByConv(nn.Module):
    def __init__(self, n=128):
        super().__init__()
        t = torch.arange(n).float()
        k = torch.arange(n // 2 + 1).float()[:, None]
        w = torch.hann_window(n)
        self.register_buffer("re", (torch.cos(2 * math.pi * k * t / n) * w)[:, None])
        self.register_buffer("im", (-torch.sin(2 * math.pi * k * t / n) * w)[:, None])
        self.out = nn.Conv1d(65, 4, 1)

    def forward(self, x):
        x = F.pad(x[:, None], (64, 64), mode="reflect")
        re, im = F.conv1d(x, self.re, stride=64), F.conv1d(x, self.im, stride=64)
        mag, phase = torch.sqrt(re**2 + im**2 + 1e-9), torch.atan2(im, re)
        return self.out(10 * torch.log10(mag)), phase


@OWN.takes(_wave)
class SpectralMask(nn.Module):
    """Speech enhancement: stft, a mask, istft."""

    def __init__(self):
        super().__init__()
        self.register_buffer("win", torch.hann_window(256))
        self.lstm, self.fc = nn.LSTM(129, 32, batch_first=True), nn.Linear(32, 129)

    def forward(self, x):
        s = torch.stft(x, 256, 64, window=self.win, return_complex=True)
        m = torch.sigmoid(self.fc(self.lstm(s.abs().transpose(1, 2))[0])).transpose(1, 2)
        return torch.istft(s * m, 256, 64, window=self.win, length=x.shape[-1])


@OWN.takes(sampled(noise(1, 1, 161, 60)))
class DeepSpeech(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 8, (41, 11), (2, 2), (20, 5)), nn.BatchNorm2d(8), nn.Hardtanh(0, 20, inplace=True),
            nn.Conv2d(8, 8, (21, 11), (2, 1), (10, 5)), nn.BatchNorm2d(8), nn.Hardtanh(0, 20, inplace=True),
        )  # fmt: skip
        self.rnn = nn.GRU(8 * 41, 32, bidirectional=True, bias=True)
        self.fc = nn.Sequential(nn.BatchNorm1d(32), nn.Linear(32, 29, bias=False))

    def forward(self, x):
        x = self.conv(x)
        n, c, d, t = x.size()
        x = x.view(n, c * d, t).transpose(1, 2).transpose(0, 1).contiguous()
        x, _ = self.rnn(x)
        x = x.view(x.size(0), x.size(1), 2, -1).sum(2).view(x.size(0), x.size(1), -1)
        t, n = x.size(0), x.size(1)
        x = self.fc(x.view(t * n, -1)).view(t, n, -1).transpose(0, 1)
        return F.softmax(x, dim=-1)


@OWN.takes(sampled(noise(1, 80, 64)))
class QuartzNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.prologue = nn.Conv1d(80, 32, 33, stride=2, padding=16)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(32, 32, k, padding=k // 2, groups=32),
                nn.Conv1d(32, 32, 1),
                nn.BatchNorm1d(32),
            )
            for k in (33, 39)
        )
        self.out = nn.Conv1d(32, 29, 1)

    def forward(self, x):
        x = F.relu(self.prologue(x))
        for b in self.blocks:
            x = F.relu(b(x) + x)
        return self.out(x).log_softmax(1)


@OWN.takes(sampled(noise(1, 64, 40)))
class Conformer(nn.Module):
    """Half steps, GLU, depthwise convolution, relative shift of positions."""

    def __init__(self, d=32, h=4):
        super().__init__()
        self.sub, self.h = (
            nn.Sequential(nn.Conv2d(1, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU()),
            h,
        )
        self.lin = nn.Linear(8 * 9, d)
        self.ff = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 64), nn.SiLU(), nn.Linear(64, d))
        self.q, self.k, self.v, self.p = (nn.Linear(d, d) for _ in range(4))
        self.u, self.w = nn.Parameter(torch.zeros(h, d // h)), nn.Parameter(torch.zeros(h, d // h))
        self.pw, self.dw, self.bn = (
            nn.Conv1d(d, 2 * d, 1),
            nn.Conv1d(d, d, 15, padding=7, groups=d),
            nn.BatchNorm1d(d),
        )
        self.norm = nn.LayerNorm(d)

    def shift(self, x):
        zero = torch.zeros((x.size(0), x.size(1), x.size(2), 1), device=x.device, dtype=x.dtype)
        padded = torch.cat([zero, x], dim=-1).view(x.size(0), x.size(1), x.size(3) + 1, x.size(2))
        return padded[:, :, 1:].view_as(x)[:, :, :, : x.size(-1) // 2 + 1]

    def forward(self, x):
        x = self.sub(x.unsqueeze(1))
        b, c, t, f = x.size()
        x = self.lin(x.transpose(1, 2).contiguous().view(b, t, c * f))
        x = x + 0.5 * self.ff(x)
        y = self.norm(x)
        q = self.q(y).view(b, t, self.h, -1)
        k, v = (m(y).view(b, t, self.h, -1).transpose(1, 2) for m in (self.k, self.v))
        pos = torch.arange(t - 1, -t, -1.0)[:, None] / torch.arange(1, 33).float()
        p = self.p(torch.sin(pos))[None].view(1, -1, self.h, q.size(-1)).transpose(1, 2)
        ac = ((q + self.u).transpose(1, 2)) @ k.transpose(-2, -1)
        bd = self.shift((q + self.w).transpose(1, 2) @ p.transpose(-2, -1))
        a = ((ac + bd) / math.sqrt(q.size(-1))).softmax(-1)
        x = x + (a @ v).transpose(1, 2).reshape(b, t, -1)
        y = F.glu(self.pw(self.norm(x).transpose(1, 2)), dim=1)
        x = x + F.silu(self.bn(self.dw(y))).transpose(1, 2)
        return x + 0.5 * self.ff(x)


@OWN.takes(sampled(numbers(256, 1, 200)))
class WaveNet(nn.Module):
    def __init__(self, c=16, layers=6):
        super().__init__()
        self.emb = nn.Embedding(256, c)
        self.dil = nn.ModuleList(nn.Conv1d(c, 2 * c, 2, dilation=2**i) for i in range(layers))
        self.res, self.skip = (
            nn.ModuleList(nn.Conv1d(c, c, 1) for _ in range(layers)),
            nn.ModuleList(nn.Conv1d(c, c, 1) for _ in range(layers)),
        )
        self.end1, self.end2 = nn.Conv1d(c, c, 1), nn.Conv1d(c, 256, 1)

    def forward(self, x):
        x, skip = self.emb(x).transpose(1, 2), 0
        for d, r, s in zip(self.dil, self.res, self.skip):
            f, g = d(x).chunk(2, 1)
            z = torch.tanh(f) * torch.sigmoid(g)
            sk = s(z)
            skip = sk if isinstance(skip, int) else skip[:, :, -sk.size(2) :] + sk
            x = r(z) + x[:, :, -z.size(2) :]
        return self.end2(F.relu(self.end1(F.relu(skip))))


@OWN.takes(sampled(noise(1, 20, 16)))
class HiFiGAN(nn.Module):
    def __init__(self):
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        self.pre = norm(nn.Conv1d(20, 32, 7, 1, 3))
        self.ups = nn.ModuleList(
            [norm(nn.ConvTranspose1d(32, 16, 16, 8, 4)), norm(nn.ConvTranspose1d(16, 8, 4, 2, 1))]
        )
        self.res = nn.ModuleList(
            [
                norm(nn.Conv1d(16, 16, 3, dilation=3, padding=3)),
                norm(nn.Conv1d(8, 8, 3, dilation=3, padding=3)),
            ]
        )
        self.post = norm(nn.Conv1d(8, 1, 7, 1, 3))

    def forward(self, x):
        x = self.pre(x)
        for up, res in zip(self.ups, self.res):
            x = up(F.leaky_relu(x, 0.1))
            x = x + res(F.leaky_relu(x, 0.1))
        return torch.tanh(self.post(F.leaky_relu(x)))


@OWN.takes(sampled(noise(1, 1, 2000)))
class ConvTasNet(nn.Module):
    """Separation: learned frames, global norms, masks, overlap and add."""

    def __init__(self):
        super().__init__()
        self.enc, self.norm = nn.Conv1d(1, 32, 16, 8, bias=False), nn.GroupNorm(1, 32, eps=1e-8)
        self.net = nn.Sequential(
            nn.Conv1d(32, 32, 1),
            nn.PReLU(),
            nn.GroupNorm(1, 32),
            nn.Conv1d(32, 32, 3, padding=4, dilation=4, groups=32),
            nn.PReLU(),
            nn.Conv1d(32, 64, 1),
        )
        self.dec = nn.ConvTranspose1d(32, 1, 16, 8, bias=False)

    def forward(self, x):
        w = F.relu(self.enc(x))
        m = torch.sigmoid(self.net(self.norm(w))).view(x.shape[0], 2, 32, -1)
        s = (w.unsqueeze(1) * m).view(x.shape[0] * 2, 32, -1)
        out = self.dec(s).view(x.shape[0], 2, -1)
        return F.pad(out, (0, x.shape[-1] - out.shape[-1]))


@OWN.takes(sampled(noise(1, 1, 1024)))
class PitchCREPE(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.b1 = (
            nn.Conv2d(1, 16, (512, 1), (4, 1)),
            nn.BatchNorm2d(16, eps=0.0010000000474974513, momentum=0.0),
        )
        self.c2, self.b2 = nn.Conv2d(16, 16, (64, 1), 1), nn.BatchNorm2d(16)
        self.fc = nn.Linear(16 * 32, 36)

    def forward(self, x):
        x = x[:, :, :, None]
        x = F.pad(x, (0, 0, 254, 254))
        x = F.max_pool2d(self.b1(F.relu(self.c1(x))), (2, 1), (2, 1))
        x = F.pad(x, (0, 0, 31, 32))
        x = F.max_pool2d(self.b2(F.relu(self.c2(x))), (4, 1), (4, 1))
        x = x[:, :, :32].permute(0, 2, 1, 3).reshape(-1, 16 * 32)
        return torch.sigmoid(self.fc(x))


@OWN.takes(sampled(noise(1, 1, 512), noise(2, 1, 32)))
class VoiceActivity(nn.Module):
    """Streaming: the state goes in and comes out."""

    def __init__(self):
        super().__init__()
        self.conv, self.lstm, self.out = (
            nn.Conv1d(1, 32, 64, 32),
            nn.LSTM(32, 32, 2),
            nn.Conv1d(32, 1, 1),
        )

    def forward(self, x, h):
        x = F.relu(self.conv(x)).permute(2, 0, 1)
        y, (hn, cn) = self.lstm(x, (h, torch.zeros_like(h)))
        return torch.sigmoid(self.out(F.relu(y).permute(1, 2, 0))).mean(2), hn


@OWN.takes(sampled(noise(1, 24, 100)))
class SpeakerXVector(nn.Module):
    """Statistics pooling, and a margin by cosine."""

    def __init__(self):
        super().__init__()
        self.tdnn = nn.Sequential(
            nn.Conv1d(24, 32, 5, dilation=1),
            nn.ReLU(),
            nn.BatchNorm1d(32),
            nn.Conv1d(32, 32, 3, dilation=2),
            nn.ReLU(),
            nn.BatchNorm1d(32),
        )
        self.att = nn.Sequential(
            nn.Conv1d(32, 16, 1), nn.Tanh(), nn.Conv1d(16, 32, 1), nn.Softmax(dim=2)
        )
        self.fc = nn.Linear(64, 32)

    def forward(self, x):
        x = self.tdnn(x)
        w = self.att(x)
        mu = torch.sum(x * w, dim=2)
        sg = torch.sqrt((torch.sum((x**2) * w, dim=2) - mu**2).clamp(min=1e-5))
        return F.normalize(self.fc(torch.cat((mu, sg), 1)))


@OWN.takes(sampled(numbers(40, 1, 12)))
class FastSpeech(nn.Module):
    """Durations decide how often each sound is repeated: a length that depends on values."""

    def __init__(self):
        super().__init__()
        self.emb, self.dur, self.out = nn.Embedding(40, 16), nn.Linear(16, 1), nn.Linear(16, 20)

    def forward(self, x):
        h = self.emb(x)
        d = torch.clamp(torch.round(torch.exp(self.dur(h).squeeze(-1))), min=1).long()
        expanded = torch.repeat_interleave(h[0], d[0], dim=0)
        return self.out(expanded).unsqueeze(0)
