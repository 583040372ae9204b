"""MobileNetV3, small and large, after Howard et al. 2019 (arXiv:1905.02244), tables 1 and 2; seeded."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["MobileNetV3"]

# kernel, expanded, out, squeeze-and-excitation, hard swish, stride
SMALL = (
    (3, 16, 16, 1, 0, 2), (3, 72, 24, 0, 0, 2), (3, 88, 24, 0, 0, 1), (5, 96, 40, 1, 1, 2),
    (5, 240, 40, 1, 1, 1), (5, 240, 40, 1, 1, 1), (5, 120, 48, 1, 1, 1), (5, 144, 48, 1, 1, 1),
    (5, 288, 96, 1, 1, 2), (5, 576, 96, 1, 1, 1), (5, 576, 96, 1, 1, 1),
)  # fmt: skip
LARGE = (
    (3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2),
    (5, 120, 40, 1, 0, 1), (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1),
    (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1),
    (5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1),
)  # fmt: skip


class MobileNetV3(nn.Module):
    """A classifier of 1000 classes for pictures of shape (1, 3, 224, 224)."""

    def __init__(self, *, large: bool) -> None:
        super().__init__()
        rows, wide = (LARGE, 1280) if large else (SMALL, 1024)
        blocks = [_unit(3, 16, 3, 2, nn.Hardswish())]
        before = 16
        for kernel, expanded, out, squeezed, swish, stride in rows:
            blocks.append(_Block(before, kernel, expanded, out, squeezed, swish, stride))
            before = out
        self.features = nn.Sequential(*blocks, _unit(before, 6 * before, 1, 1, nn.Hardswish()))
        self.head = nn.Sequential(
            nn.Linear(6 * before, wide), nn.Hardswish(), nn.Linear(wide, 1000)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns scores of shape (1, 1000)."""
        scores: torch.Tensor = self.head(self.features(x).mean((2, 3)))
        return scores


class _Block(nn.Module):
    def __init__(  # noqa: PLR0913, PLR0917 (a row of the paper's table)
        self,
        before: int,
        kernel: int,
        expanded: int,
        out: int,
        squeezed: int,
        swish: int,
        stride: int,
    ) -> None:
        super().__init__()
        activation = nn.Hardswish() if swish else nn.ReLU()
        parts: list[nn.Module] = []
        if expanded != before:
            parts.append(_unit(before, expanded, 1, 1, activation))
        parts.append(_unit(expanded, expanded, kernel, stride, activation, expanded))
        if squeezed:
            parts.append(_Squeeze(expanded))
        parts.append(_unit(expanded, out, 1, 1, nn.Identity()))
        self.parts = nn.Sequential(*parts)
        self.joins = stride == 1 and before == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.parts(x)
        return x + made if self.joins else made


class _Squeeze(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = (channels // 4 + 4) // 8 * 8
        self.down, self.up = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        factor = nn.functional.adaptive_avg_pool2d(x, 1)
        return x * nn.functional.hardsigmoid(self.up(self.down(factor).relu()))


def _unit(
    before: int, out: int, kernel: int, stride: int, activation: nn.Module, groups: int = 1
) -> nn.Sequential:
    convolution = nn.Conv2d(before, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), activation)
