"""Classifiers, segmentation, restoration, generation: what sees pictures."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from _any_model.entry import Catalogue, images, noise, sampled

OWN = Catalogue("own")
_picture = sampled(images(3, 64, 64))
_large = sampled(images(3, 128, 128))
_gray = sampled(images(1, 28, 28))


@OWN.takes(_gray)
class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.max_pool2d(torch.tanh(self.conv2(x)), (2, 2))
        x = x.view(-1, self.num_flat_features(x))
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return F.log_softmax(self.fc3(x), dim=1)

    def num_flat_features(self, x):
        num = 1
        for s in x.size()[1:]:
            num *= s
        return num


class DoubleConv(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(cin, cout, 3, padding=1, bias=False),
            nn.BatchNorm2d(cout),
            nn.ReLU(inplace=True),
            nn.Conv2d(cout, cout, 3, padding=1, bias=False),
            nn.BatchNorm2d(cout),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.net(x)


class Up(nn.Module):
    def __init__(self, cin, cout, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = DoubleConv(cin, cout)
        else:
            self.up = nn.ConvTranspose2d(cin // 3 * 2, cin // 3 * 2, 2, stride=2)
            self.conv = DoubleConv(cin, cout)

    def forward(self, x1, x2):
        x1 = self.up(x1)
        dy, dx = x2.size()[2] - x1.size()[2], x2.size()[3] - x1.size()[3]
        x1 = F.pad(x1, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.conv(torch.cat([x2, x1], dim=1))


@OWN.takes(sampled(images(3, 100, 100)))
class UNet(nn.Module):
    """Odd sizes on the way down, so that the way up pads."""

    def __init__(self, bilinear=True, base=16):
        super().__init__()
        self.inc = DoubleConv(3, base)
        self.downs = nn.ModuleList([DoubleConv(base * 2**i, base * 2 ** (i + 1)) for i in range(3)])
        self.ups = nn.ModuleList(
            [Up(base * 3 * 2**i, base * 2**i, bilinear) for i in reversed(range(3))]
        )
        self.outc = nn.Conv2d(base, 2, 1)

    def forward(self, x):
        xs = [self.inc(x)]
        for down in self.downs:
            xs.append(down(F.max_pool2d(xs[-1], 2)))
        x = xs.pop()
        for up in self.ups:
            x = up(x, xs.pop())
        return self.outc(x)


@OWN.takes(_picture)
class UNetTransposed(UNet):
    def __init__(self):
        super().__init__(bilinear=False)

    def forward(self, x):
        return torch.sigmoid(super().forward(x))


@OWN.takes(_picture)
class AttentionUNet(nn.Module):
    def __init__(self, base=16):
        super().__init__()
        self.e1, self.e2, self.e3 = DoubleConv(3, base), DoubleConv(base, 32), DoubleConv(32, 64)
        self.pool = nn.MaxPool2d(2, 2)
        self.g2, self.x2, self.p2 = nn.Conv2d(64, 16, 1), nn.Conv2d(32, 16, 1), nn.Conv2d(16, 1, 1)
        self.d2, self.d1 = DoubleConv(96, 32), DoubleConv(48, 16)
        self.out = nn.Conv2d(16, 1, 1)

    def gate(self, g, x):
        a = torch.sigmoid(self.p2(F.relu(self.g2(g) + self.x2(x))))
        return x * a

    def forward(self, x):
        e1 = self.e1(x)
        e2 = self.e2(self.pool(e1))
        e3 = self.e3(self.pool(e2))
        up = F.interpolate(e3, scale_factor=2, mode="nearest")
        d2 = self.d2(torch.cat((up, self.gate(up, e2)), 1))
        up = F.interpolate(d2, size=e1.shape[-2:], mode="bilinear", align_corners=False)
        return self.out(self.d1(torch.cat((up, e1), 1))).squeeze(1)


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.shortcut = nn.Sequential()
        if stride != 1 or cin != cout:
            self.shortcut = nn.Sequential(
                nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout)
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


@OWN.takes(sampled(images(3, 32, 32)))
class ResNetCifar(nn.Module):
    def __init__(self, blocks=(2, 2, 2)):
        super().__init__()
        self.in_planes = 16
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._make_layer(16, blocks[0], 1)
        self.layer2 = self._make_layer(32, blocks[1], 2)
        self.layer3 = self._make_layer(64, blocks[2], 2)
        self.linear = nn.Linear(64, 10)

    def _make_layer(self, planes, n, stride):
        layers = []
        for s in [stride] + [1] * (n - 1):
            layers.append(BasicBlock(self.in_planes, planes, s))
            self.in_planes = planes
        return nn.Sequential(*layers)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        out = F.avg_pool2d(out, out.size()[3])
        out = out.view(out.size(0), -1)
        return self.linear(out)


class SELayer(nn.Module):
    def __init__(self, channel, reduction=4):
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(channel, channel // reduction, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(channel // reduction, channel, bias=False),
            nn.Hardsigmoid(),
        )

    def forward(self, x):
        b, c, _, _ = x.size()
        y = self.avg_pool(x).view(b, c)
        y = self.fc(y).view(b, c, 1, 1)
        return x * y.expand_as(x)


class InvertedResidual(nn.Module):
    def __init__(self, cin, cout, k, stride, expand, use_se, act):
        super().__init__()
        hidden = cin * expand
        self.use_res = stride == 1 and cin == cout
        self.conv = nn.Sequential(
            nn.Conv2d(cin, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            act(inplace=True),
            nn.Conv2d(hidden, hidden, k, stride, k // 2, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            SELayer(hidden) if use_se else nn.Identity(),
            act(inplace=True),
            nn.Conv2d(hidden, cout, 1, bias=False),
            nn.BatchNorm2d(cout),
        )

    def forward(self, x):
        return x + self.conv(x) if self.use_res else self.conv(x)


@OWN.takes(_picture)
class MobileNetV3ByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.Hardswish(),
            InvertedResidual(16, 16, 3, 2, 1, True, nn.ReLU),
            InvertedResidual(16, 24, 3, 2, 4, False, nn.ReLU6),
            InvertedResidual(24, 24, 5, 1, 4, True, nn.Hardswish),
            nn.Conv2d(24, 96, 1, bias=False),
            nn.BatchNorm2d(96),
            nn.Hardswish(),
        )
        self.classifier = nn.Sequential(
            nn.Linear(96, 128), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(128, 10)
        )

    def forward(self, x):
        x = self.features(x)
        x = x.mean([2, 3])
        return self.classifier(x)


def channel_shuffle(x, groups):
    b, c, h, w = x.data.size()
    x = x.view(b, groups, c // groups, h, w)
    x = torch.transpose(x, 1, 2).contiguous()
    return x.view(b, -1, h, w)


@OWN.takes(_picture)
class ShuffleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU())
        self.branch = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(12, 12, 1), nn.BatchNorm2d(12), nn.ReLU(),
                nn.Conv2d(12, 12, 3, 1, 1, groups=12), nn.BatchNorm2d(12),
                nn.Conv2d(12, 12, 1), nn.BatchNorm2d(12), nn.ReLU(),
            )
            for _ in range(3)
        )  # fmt: skip
        self.fc = nn.Linear(24, 10)

    def forward(self, x):
        x = self.stem(x)
        for branch in self.branch:
            x1, x2 = x.chunk(2, dim=1)
            x = channel_shuffle(torch.cat((x1, branch(x2)), dim=1), 2)
        return self.fc(x.mean(3).mean(2))


@OWN.takes(_picture)
class Ghost(nn.Module):
    def __init__(self):
        super().__init__()
        self.primary = nn.Conv2d(3, 12, 3, 2, 1)
        self.cheap = nn.Conv2d(12, 12, 3, 1, 1, groups=12)
        self.slope = nn.PReLU(21)
        self.head = nn.Conv2d(21, 5, 1)

    def forward(self, x):
        a = self.primary(x)
        out = torch.cat([a, self.cheap(a)], dim=1)[:, :21, :, :]
        return self.head(self.slope(out)).flatten(2).max(dim=-1)[0]


class ChannelAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.fc = nn.Sequential(
            nn.Conv2d(c, c // 4, 1, bias=False), nn.ReLU(), nn.Conv2d(c // 4, c, 1, bias=False)
        )

    def forward(self, x):
        return torch.sigmoid(
            self.fc(F.adaptive_avg_pool2d(x, 1)) + self.fc(F.adaptive_max_pool2d(x, 1))
        )


@OWN.takes(_picture)
class CBAM(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 32, 3, 2, 1)
        self.ca = ChannelAttention(32)
        self.sa = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        x = F.leaky_relu(self.conv(x), 0.1)
        x = self.ca(x) * x
        avg = torch.mean(x, dim=1, keepdim=True)
        mx, _ = torch.max(x, dim=1, keepdim=True)
        x = torch.sigmoid(self.sa(torch.cat([avg, mx], dim=1))) * x
        return self.fc(F.adaptive_avg_pool2d(x, (1, 1)).squeeze(-1).squeeze(-1))


@OWN.takes(_gray)
class SpatialTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.loc = nn.Sequential(
            nn.Conv2d(1, 8, 7), nn.MaxPool2d(2, 2), nn.ReLU(True),
            nn.Conv2d(8, 10, 5), nn.MaxPool2d(2, 2), nn.ReLU(True),
        )  # fmt: skip
        self.fc_loc = nn.Sequential(nn.Linear(10 * 3 * 3, 32), nn.ReLU(True), nn.Linear(32, 6))
        self.fc_loc[2].weight.data.zero_()
        self.fc_loc[2].bias.data.copy_(torch.tensor([1, 0, 0, 0, 1, 0], dtype=torch.float))
        self.conv = nn.Conv2d(1, 10, 5)
        self.fc = nn.Linear(1440, 10)

    def forward(self, x):
        theta = self.fc_loc(self.loc(x).view(-1, 90)).view(-1, 2, 3)
        grid = F.affine_grid(theta, x.size(), align_corners=False)
        x = F.grid_sample(x, grid, align_corners=False)
        return self.fc(F.relu(F.max_pool2d(self.conv(x), 2)).flatten(1))


@OWN.takes(_picture)
class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.ELU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ELU()
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(32, 16, 3, 2, 1, output_padding=1), nn.ELU(),
            nn.ConvTranspose2d(16, 3, 3, 2, 1, output_padding=1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x):
        return self.decoder(self.encoder(x))


@OWN.takes(_gray)
class VAE(nn.Module):
    """Reparameterizes in training only, as is usual."""

    def __init__(self):
        super().__init__()
        self.fc1, self.mu, self.logvar = nn.Linear(784, 128), nn.Linear(128, 16), nn.Linear(128, 16)
        self.fc3, self.fc4 = nn.Linear(16, 128), nn.Linear(128, 784)

    def reparameterize(self, mu, logvar):
        if not self.training:
            return mu
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def forward(self, x):
        h = F.relu(self.fc1(x.view(-1, 784)))
        mu, logvar = self.mu(h), self.logvar(h)
        z = self.reparameterize(mu, logvar)
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar


@OWN.takes(_gray)
class VQVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 8, 4, 2, 1))
        self.codes = nn.Embedding(32, 8)
        self.dec = nn.Sequential(
            nn.ConvTranspose2d(8, 16, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(16, 1, 4, 2, 1)
        )

    def forward(self, x):
        z = self.enc(x)
        flat = z.permute(0, 2, 3, 1).reshape(-1, 8)
        d = (
            flat.pow(2).sum(1, keepdim=True)
            - 2 * flat @ self.codes.weight.t()
            + self.codes.weight.pow(2).sum(1)
        )
        idx = d.argmin(1)
        q = self.codes(idx).view(z.shape[0], z.shape[2], z.shape[3], 8).permute(0, 3, 1, 2)
        return self.dec(q), idx.view(z.shape[0], -1)


@OWN.takes(sampled(noise(1, 64)))
class DCGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(64, 64, 4, 1, 0, bias=False), nn.BatchNorm2d(64), nn.ReLU(True),
            nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(True),
            nn.ConvTranspose2d(32, 3, 4, 2, 1, bias=False), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z):
        return self.main(z[:, :, None, None])


@OWN.takes(sampled(images(3, 48, 48)))
class ESPCN(nn.Module):
    def __init__(self, scale=3):
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(3, 32, 5, padding=2), nn.Tanh(), nn.Conv2d(32, 16, 3, padding=1), nn.Tanh()
        )
        self.last = nn.Sequential(nn.Conv2d(16, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))

    def forward(self, x):
        return self.last(self.first(x)).clamp(0.0, 1.0)


@OWN.takes(sampled(images(3, 48, 48)))
class EDSR(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1))
        self.head = nn.Conv2d(3, 24, 3, padding=1)
        self.body = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(True), nn.Conv2d(24, 24, 3, padding=1)
            )
            for _ in range(4)
        )
        self.tail = nn.Sequential(
            nn.Conv2d(24, 96, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(24, 3, 3, padding=1)
        )

    def forward(self, x):
        x = self.head(x - self.mean)
        res = x
        for block in self.body:
            res = res + block(res).mul(0.1)
        return self.tail(res + x) + self.mean


@OWN.takes(sampled(images(3, 64, 64)))
class DenoiserDnCNN(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(4):
            layers += [
                nn.Conv2d(32, 32, 3, padding=1, bias=False),
                nn.BatchNorm2d(32, eps=1e-4, momentum=0.95),
                nn.ReLU(inplace=True),
            ]
        self.net = nn.Sequential(*layers, nn.Conv2d(32, 3, 3, padding=1))

    def forward(self, x):
        return x - self.net(x)


@OWN.takes(sampled(images(3, 64, 64)))
class StyleTransfer(nn.Module):
    def __init__(self):
        super().__init__()
        self.pad = nn.ReflectionPad2d(4)
        self.c1, self.n1 = nn.Conv2d(3, 16, 9, 1), nn.InstanceNorm2d(16, affine=True)
        self.c2, self.n2 = nn.Conv2d(16, 32, 3, 2), nn.InstanceNorm2d(32, affine=True)
        self.c3, self.n3 = nn.Conv2d(32, 16, 3, 1), nn.InstanceNorm2d(16)
        self.out = nn.Conv2d(16, 3, 9)

    def forward(self, x):
        y = F.relu(self.n1(self.c1(self.pad(x))))
        y = F.relu(self.n2(self.c2(F.pad(y, (1, 1, 1, 1), mode="reflect"))))
        y = F.interpolate(y, mode="nearest", scale_factor=2)
        y = F.relu(self.n3(self.c3(F.pad(y, (1, 1, 1, 1), mode="replicate"))))
        return torch.tanh(self.out(self.pad(y))) * 150 + 255.0 / 2


@OWN.takes(sampled(images(3, 64, 64)))
class ZeroDCE(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(3 if i == 0 else 16, 16, 3, 1, 1) for i in range(3)])
        self.last = nn.Conv2d(16, 12, 3, 1, 1)

    def forward(self, x):
        h = x
        for conv in self.convs:
            h = F.relu(conv(h), inplace=True)
        for r in torch.split(torch.tanh(self.last(h)), 3, dim=1):
            x = x + r * (torch.pow(x, 2) - x)
        return x


@OWN.takes(_large)
class DepthNet(nn.Module):
    """Disparities at several scales, nearest upsampling and padding by reflection."""

    def __init__(self):
        super().__init__()
        self.e = nn.ModuleList(
            [nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 32, 3, 2, 1), nn.Conv2d(32, 64, 3, 2, 1)]
        )
        self.d = nn.ModuleDict({"up2": nn.Conv2d(64, 32, 3), "up1": nn.Conv2d(64, 16, 3)})
        self.disp = nn.ModuleDict(
            {"2": nn.Conv2d(32, 1, 3, padding=1), "1": nn.Conv2d(16, 1, 3, padding=1)}
        )

    def forward(self, x):
        feats = []
        for conv in self.e:
            x = F.elu(conv(x))
            feats.append(x)
        out = {}
        x = F.elu(
            self.d["up2"](F.pad(F.interpolate(x, scale_factor=2), (1, 1, 1, 1), mode="reflect"))
        )
        out[("disp", 2)] = torch.sigmoid(self.disp["2"](x))
        x = torch.cat([x, feats[1]], 1)
        x = F.elu(self.d["up1"](F.pad(x, (1, 1, 1, 1), mode="reflect")))
        out[("disp", 1)] = torch.sigmoid(self.disp["1"](x))
        return 1 / (0.01 + (10 - 0.01) * out[("disp", 2)]), 1 / (0.01 + 9.99 * out[("disp", 1)])


@OWN.takes(_large)
class PyramidPooling(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = nn.Sequential(
            nn.Conv2d(3, 32, 3, 4, 1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, 2, 2, dilation=2),
        )
        self.stages = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(s), nn.Conv2d(32, 8, 1), nn.ReLU())
            for s in (1, 2, 3, 6)
        )
        self.head = nn.Conv2d(64, 5, 3, padding=1)

    def forward(self, x):
        size = x.shape[2:]
        f = self.base(x)
        ys = [f] + [
            F.interpolate(s(f), f.shape[2:], mode="bilinear", align_corners=False)
            for s in self.stages
        ]
        return F.interpolate(
            self.head(torch.cat(ys, 1)), size, mode="bilinear", align_corners=False
        ).argmax(1)


@OWN.takes(_large)
class ASPP(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 8, 1)
        self.rates = nn.ModuleList(
            nn.Conv2d(32, 16, 3, padding=r, dilation=r, bias=False) for r in (1, 2, 6)
        )
        self.pool = nn.Conv2d(32, 16, 1)
        self.norm = nn.GroupNorm(4, 64)
        self.head = nn.Conv2d(64, 4, 1)

    def forward(self, x):
        f = F.silu(self.stem(x))
        g = F.interpolate(
            self.pool(f.mean((2, 3), keepdim=True)), size=f.shape[-2:], mode="bilinear"
        )
        y = self.norm(torch.cat([c(f) for c in self.rates] + [g], 1))
        return {
            "out": F.interpolate(self.head(F.relu(y)), scale_factor=8.0, mode="bicubic"),
            "aux": g.flatten(1),
        }


@OWN.takes(_picture)
class CenterNetHead(nn.Module):
    """Peaks of a heat map by max pooling, and the best of them."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU()
        )
        self.hm, self.wh = nn.Conv2d(32, 4, 1), nn.Conv2d(32, 2, 1)

    def forward(self, x):
        f = self.body(x)
        heat = self.hm(f).sigmoid_()
        keep = (F.max_pool2d(heat, 3, stride=1, padding=1) == heat).float()
        heat = heat * keep
        scores, inds = torch.topk(heat.view(heat.size(0), -1), 10)
        hw = heat.size(2) * heat.size(3)
        classes = torch.div(inds, hw, rounding_mode="floor")
        inds = inds % hw
        ys, xs = (inds // heat.size(3)).float(), (inds % heat.size(3)).float()
        wh = self.wh(f).view(f.size(0), 2, -1).permute(0, 2, 1).contiguous()
        wh = wh.gather(1, inds.unsqueeze(2).expand(-1, -1, 2))
        boxes = torch.stack(
            [xs - wh[..., 0] / 2, ys - wh[..., 1] / 2, xs + wh[..., 0] / 2, ys + wh[..., 1] / 2], 2
        )
        return boxes, scores, classes


class Conv(nn.Module):
    def __init__(self, c1, c2, k=1, s=1):
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2, bias=False)
        self.bn = nn.BatchNorm2d(c2, eps=0.001, momentum=0.03)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class CSP(nn.Module):
    """Two halves, each step of one is kept and joined."""

    def __init__(self, c, n):
        super().__init__()
        self.c = c // 2
        self.cv1, self.cv2 = Conv(c, c), Conv((2 + n) * self.c, c)
        self.m = nn.ModuleList(
            nn.Sequential(Conv(self.c, self.c, 3), Conv(self.c, self.c, 3)) for _ in range(n)
        )

    def forward(self, x):
        y = list(self.cv1(x).split((self.c, self.c), 1))
        y.extend(y[-1] + m(y[-1]) for m in self.m)
        return self.cv2(torch.cat(y, 1))


class SPPF(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.cv1, self.cv2, self.m = Conv(c, c // 2), Conv(c * 2, c), nn.MaxPool2d(5, 1, 2)

    def forward(self, x):
        y = [self.cv1(x)]
        y.extend(self.m(y[-1]) for _ in range(3))
        return self.cv2(torch.cat(y, 1))


@OWN.takes(sampled(images(3, 96, 96)))
class OwnYolo(nn.Module):
    """Anchors are computed where the shape of the input changes, and remembered in the module."""

    shape = None

    def __init__(self, nc=5, reg_max=8):
        super().__init__()
        self.nc, self.reg_max = nc, reg_max
        self.p3 = nn.Sequential(
            Conv(3, 16, 3, 2), Conv(16, 32, 3, 2), Conv(32, 32, 3, 2), CSP(32, 1)
        )
        self.p4 = nn.Sequential(Conv(32, 64, 3, 2), SPPF(64))
        self.up = nn.Upsample(None, 2, "nearest")
        self.merge = CSP(96, 1)
        self.box = nn.ModuleList([nn.Conv2d(96, 4 * reg_max, 1), nn.Conv2d(64, 4 * reg_max, 1)])
        self.cls = nn.ModuleList([nn.Conv2d(96, nc, 1), nn.Conv2d(64, nc, 1)])
        self.register_buffer("proj", torch.arange(reg_max, dtype=torch.float))
        self.stride = torch.tensor([8.0, 16.0])
        self.anchors, self.strides = torch.empty(0), torch.empty(0)

    def make_anchors(self, feats, offset=0.5):
        points, strides = [], []
        for i, stride in enumerate(self.stride):
            h, w = feats[i].shape[2:]
            sx = torch.arange(end=w, device=feats[i].device, dtype=feats[i].dtype) + offset
            sy = torch.arange(end=h, device=feats[i].device, dtype=feats[i].dtype) + offset
            sy, sx = torch.meshgrid(sy, sx, indexing="ij")
            points.append(torch.stack((sx, sy), -1).view(-1, 2))
            strides.append(torch.full((h * w, 1), stride, dtype=feats[i].dtype))
        return torch.cat(points), torch.cat(strides)

    def forward(self, x):
        p3 = self.p3(x)
        p4 = self.p4(p3)
        feats = [self.merge(torch.cat([self.up(p4), p3], 1)), p4]
        outs = [torch.cat((self.box[i](f), self.cls[i](f)), 1) for i, f in enumerate(feats)]
        shape = outs[0].shape
        if self.shape != shape:
            self.anchors, self.strides = (t.transpose(0, 1) for t in self.make_anchors(outs))
            self.shape = shape
        y = torch.cat([o.view(shape[0], self.nc + 4 * self.reg_max, -1) for o in outs], 2)
        box, cls = y.split((4 * self.reg_max, self.nc), 1)
        b, _, a = box.shape
        dist = box.view(b, 4, self.reg_max, a).softmax(2)
        dist = torch.einsum("bkra,r->bka", dist, self.proj)
        lt, rb = dist.chunk(2, 1)
        x1y1, x2y2 = self.anchors.unsqueeze(0) - lt, self.anchors.unsqueeze(0) + rb
        dbox = torch.cat(((x1y1 + x2y2) / 2, x2y2 - x1y1), 1) * self.strides
        return torch.cat((dbox, cls.sigmoid()), 1)


@OWN.takes(sampled(images(3, 96, 96)))
class OldYoloLayer(nn.Module):
    """Grids built in forward, results written into slices of the prediction."""

    def __init__(self, nc=3):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, 4, 1), nn.LeakyReLU(0.1), nn.Conv2d(16, 3 * (5 + nc), 3, 4, 1)
        )
        self.anchors = [(10, 13), (16, 30), (33, 23)]
        self.na, self.no = 3, nc + 5
        self.grid = [torch.zeros(1)]

    @staticmethod
    def _make_grid(nx, ny):
        yv, xv = torch.meshgrid([torch.arange(ny), torch.arange(nx)], indexing="ij")
        return torch.stack((xv, yv), 2).view((1, 1, ny, nx, 2)).float()

    def forward(self, x):
        x = self.body(x)
        bs, _, ny, nx = x.shape
        x = x.view(bs, self.na, self.no, ny, nx).permute(0, 1, 3, 4, 2).contiguous()
        if self.grid[0].shape[2:4] != x.shape[2:4]:
            self.grid[0] = self._make_grid(nx, ny).to(x.device)
        anchor_grid = torch.tensor(self.anchors).float().view(1, self.na, 1, 1, 2)
        y = x.sigmoid()
        y[..., 0:2] = (y[..., 0:2] * 2.0 - 0.5 + self.grid[0]) * 16
        y[..., 2:4] = (y[..., 2:4] * 2) ** 2 * anchor_grid
        return y.view(bs, -1, self.no)


@OWN.takes(sampled(images(3, 64, 64), images(3, 64, 64)))
class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(3, 16, 5, 2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 64),
        )

    def forward(self, a, b):
        a, b = F.normalize(self.cnn(a), p=2, dim=1), F.normalize(self.cnn(b), p=2, dim=1)
        return F.pairwise_distance(a, b), F.cosine_similarity(a, b)


@OWN.takes(sampled(images(3, 112, 112)))
class ArcFace(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1, bias=False),
            nn.BatchNorm2d(32),
            nn.PReLU(32),
            nn.Conv2d(32, 64, 3, 2, 1, groups=32),
            nn.BatchNorm2d(64),
            nn.PReLU(64),
        )
        self.gdc = nn.Conv2d(64, 64, 28, groups=64, bias=False)
        self.fc, self.bn = nn.Linear(64, 32, bias=False), nn.BatchNorm1d(32)
        self.weight = nn.Parameter(torch.randn(20, 32))

    def forward(self, x):
        e = self.bn(self.fc(self.gdc(self.conv(x)).view(x.size(0), -1)))
        e = e / e.norm(dim=1, keepdim=True)
        return e, F.linear(e, F.normalize(self.weight)) * 32.0


@OWN.takes(sampled(images(3, 96, 96)))
class HandPose(nn.Module):
    """Heat maps, and where their mass lies: soft argmax."""

    def __init__(self, joints=7):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, joints, 4, 2, 1),
        )

    def forward(self, x):
        hm = self.net(x)
        n, k, h, w = hm.shape
        p = F.softmax(hm.reshape(n, k, -1), dim=2).view(n, k, h, w)
        xs, ys = torch.linspace(-1, 1, w), torch.linspace(-1, 1, h)
        return torch.stack(((p.sum(2) * xs).sum(-1), (p.sum(3) * ys).sum(-1)), dim=-1)


@OWN.takes(_picture)
class PatchTransformer(nn.Module):
    """A vision transformer by hand: class token, positions, heads by view and transpose."""

    def __init__(self, dim=48, heads=4, depth=2, patch=8):
        super().__init__()
        self.heads, self.scale = heads, (dim // heads) ** -0.5
        self.patch = nn.Conv2d(3, dim, patch, patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos = nn.Parameter(torch.randn(1, 65, dim) * 0.02)
        self.qkv = nn.ModuleList(nn.Linear(dim, dim * 3) for _ in range(depth))
        self.proj = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth))
        self.mlp = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 96), nn.GELU(), nn.Linear(96, dim))
            for _ in range(depth)
        )
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, 10)

    def forward(self, x):
        b = x.shape[0]
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls.expand(b, -1, -1), x), dim=1) + self.pos
        for qkv, proj, mlp in zip(self.qkv, self.proj, self.mlp):
            n, c = x.shape[1:]
            q, k, v = (
                qkv(self.norm(x))
                .reshape(b, n, 3, self.heads, c // self.heads)
                .permute(2, 0, 3, 1, 4)
                .unbind(0)
            )
            attn = (q @ k.transpose(-2, -1) * self.scale).softmax(dim=-1)
            x = x + proj((attn @ v).transpose(1, 2).reshape(b, n, c))
            x = x + mlp(x)
        return self.head(x[:, 0])


@OWN.takes(_picture)
class MLPMixerByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.channels = (
            nn.Sequential(nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 64)),
            nn.Sequential(nn.Linear(192, 64), nn.GELU(), nn.Linear(64, 192)),
        )
        self.n1, self.n2, self.head = nn.LayerNorm(192), nn.LayerNorm(192), nn.Linear(192, 10)

    def forward(self, x):
        x = F.unfold(x, 8, stride=8).permute(0, 2, 1)
        x = x + self.tokens(self.n1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.n2(x))
        return self.head(x.mean(dim=1))


@OWN.takes(
    sampled(images(3, 64, 64), lambda chance: torch.randint(0, 1000, (1,), generator=chance))
)
class Diffusion(nn.Module):
    """One step of denoising: sinusoidal embedding of time, scale and shift of features."""

    def __init__(self, ch=32):
        super().__init__()
        self.ch = ch
        self.time = nn.Sequential(nn.Linear(ch, ch * 2), nn.SiLU(), nn.Linear(ch * 2, ch * 2))
        self.inp, self.n1, self.c1 = (
            nn.Conv2d(3, ch, 3, padding=1),
            nn.GroupNorm(8, ch),
            nn.Conv2d(ch, ch, 3, padding=1),
        )
        self.down, self.up = nn.Conv2d(ch, ch, 3, 2, 1), nn.ConvTranspose2d(ch, ch, 4, 2, 1)
        self.qkv, self.out = nn.Conv1d(ch, ch * 3, 1), nn.Conv2d(ch, 3, 3, padding=1)

    def embed(self, t):
        half = self.ch // 2
        freqs = torch.exp(-math.log(10000) * torch.arange(0, half, dtype=torch.float32) / half).to(
            t.device
        )
        args = t[:, None].float() * freqs[None]
        return torch.cat([torch.cos(args), torch.sin(args)], dim=-1)

    def forward(self, x, t):
        scale, shift = self.time(self.embed(t))[:, :, None, None].chunk(2, dim=1)
        h = self.inp(x)
        h = h + self.c1(F.silu(self.n1(h) * (1 + scale) + shift))
        d = self.down(self.down(self.down(h)))
        b, c, hh, ww = d.shape
        q, k, v = self.qkv(d.reshape(b, c, -1)).chunk(3, dim=1)
        w = torch.einsum("bct,bcs->bts", q * c**-0.25, k * c**-0.25).softmax(-1)
        d = d + torch.einsum("bts,bcs->bct", w, v).reshape(b, c, hh, ww)
        return self.out(self.up(self.up(self.up(d))) + h)


@OWN.takes(sampled(images(1, 16, 32, 32)))
class MedicalUNet3D(nn.Module):
    def __init__(self):
        super().__init__()
        self.e1 = nn.Sequential(
            nn.Conv3d(1, 8, 3, padding=1),
            nn.InstanceNorm3d(8, affine=True),
            nn.LeakyReLU(0.01, True),
        )
        self.e2 = nn.Sequential(
            nn.Conv3d(8, 16, 3, 2, 1), nn.InstanceNorm3d(16), nn.LeakyReLU(0.01, True)
        )
        self.up = nn.ConvTranspose3d(16, 8, 2, 2)
        self.out = nn.Conv3d(16, 2, 1)

    def forward(self, x):
        a = self.e1(x)
        b = self.up(self.e2(a))
        return self.out(torch.cat([a, b], dim=1)).softmax(1)


@OWN.takes(sampled(images(3, 8, 32, 32)))
class C3D(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv3d(3, 8, (3, 3, 3), padding=1), nn.Conv3d(8, 16, 3, padding=1)
        self.bn, self.fc = nn.BatchNorm3d(8), nn.Linear(16 * 2 * 8 * 8, 6)

    def forward(self, x):
        x = F.max_pool3d(F.relu(self.bn(self.c1(x))), (1, 2, 2), (1, 2, 2))
        x = F.max_pool3d(F.relu(self.c2(x)), (4, 2, 2), stride=(4, 2, 2))
        return self.fc(x.view(x.shape[0], -1))


@OWN.takes(sampled(noise(1, 8, 3, 32, 32)))
class CnnLstm(nn.Module):
    """Frames through a network one by one, then over time."""

    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, 2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
        )
        self.lstm, self.fc = nn.LSTM(64, 32, batch_first=True), nn.Linear(32, 4)

    def forward(self, x):
        b, t, c, h, w = x.shape
        f = self.cnn(x.view(b * t, c, h, w)).view(b, t, -1)
        out, (h_n, c_n) = self.lstm(f)
        return self.fc(out[:, -1, :])


class ConvLSTMCell(nn.Module):
    def __init__(self, cin, hidden):
        super().__init__()
        self.hidden = hidden
        self.conv = nn.Conv2d(cin + hidden, 4 * hidden, 3, padding=1)

    def forward(self, x, state):
        h, c = state
        i, f, o, g = torch.split(self.conv(torch.cat([x, h], dim=1)), self.hidden, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def init_hidden(self, b, size):
        h, w = size
        return torch.zeros(b, self.hidden, h, w, device=self.conv.weight.device), torch.zeros(
            b, self.hidden, h, w
        )


@OWN.takes(sampled(noise(1, 5, 1, 16, 16)))
class ConvLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = ConvLSTMCell(1, 8), nn.Conv2d(8, 1, 1)

    def forward(self, x):
        b, t, _, h, w = x.size()
        state = self.cell.init_hidden(b, (h, w))
        outs = []
        for i in range(t):
            state = self.cell(x[:, i], state)
            outs.append(self.out(state[0]))
        return torch.stack(outs, dim=1)


@OWN.takes(sampled(images(3, 64, 64)))
class LaplacianPyramid(nn.Module):
    """A fixed blur as a buffer, repeated for each channel."""

    def __init__(self):
        super().__init__()
        k = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0])
        self.register_buffer("kernel", torch.outer(k, k) / 256.0)
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        pyr = []
        for _ in range(2):
            blurred = F.conv2d(
                F.pad(x, (2, 2, 2, 2), mode="reflect"), self.kernel.expand(3, 1, 5, 5), groups=3
            )
            down = blurred[:, :, ::2, ::2]
            up = torch.zeros_like(x)
            up[:, :, ::2, ::2] = down * 4
            up = F.conv2d(
                F.pad(up, (2, 2, 2, 2), mode="reflect"), self.kernel.repeat(3, 1, 1, 1), groups=3
            )
            pyr.append(self.conv(x - up))
            x = down
        return [*pyr, x]


@OWN.takes(sampled(images(3, 64, 64), images(3, 64, 64)))
class CostVolume(nn.Module):
    """Stereo: features of one side shifted under the other, written into a volume."""

    def __init__(self, maxdisp=8):
        super().__init__()
        self.maxdisp = maxdisp
        self.feat = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1))
        self.agg = nn.Conv3d(16, 1, 3, padding=1)

    def forward(self, left, right):
        l, r = self.feat(left), self.feat(right)
        b, c, h, w = l.size()
        cost = l.new_zeros(b, c * 2, self.maxdisp, h, w)
        for i in range(self.maxdisp):
            if i > 0:
                cost[:, :c, i, :, i:] = l[:, :, :, i:]
                cost[:, c:, i, :, i:] = r[:, :, :, :-i]
            else:
                cost[:, :c, i], cost[:, c:, i] = l, r
        cost = self.agg(cost.contiguous()).squeeze(1)
        prob = F.softmax(-cost, dim=1)
        disp = torch.arange(0, self.maxdisp, dtype=prob.dtype).view(1, -1, 1, 1)
        return torch.sum(prob * disp, 1)
