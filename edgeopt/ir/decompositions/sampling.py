"""Sampling a picture at places that are computed, by lookups of its pixels."""

from __future__ import annotations

import torch

from edgeopt.ir.decompositions.rule_table import Decompositions

__all__ = ["RULES"]

aten = torch.ops.aten

RULES = Decompositions()
Tensor = torch.Tensor

BILINEAR, NEAREST = 0, 1
ZEROS, BORDER, REFLECTION = 0, 1, 2


@RULES(aten.grid_sampler.default, aten.grid_sampler_2d.default)
def grid_sampler(x: Tensor, grid: Tensor, mode: int, padding: int, align_corners: bool) -> Tensor:
    """Returns the picture ``x`` of (batch, channels, rows, columns) at places from -1 to 1.

    Method: M. Jaderberg et al., "Spatial Transformer Networks", 2015; as torch's `grid_sample`.
    """
    if x.ndim != 4 or mode not in (BILINEAR, NEAREST):  # noqa: PLR2004 (a batch of pictures)
        raise NotImplementedError("grid_sample of volumes, or with cubic weights")
    height, width = x.shape[-2:]
    column = _place(grid[..., 0], width, padding, align_corners=align_corners)
    row = _place(grid[..., 1], height, padding, align_corners=align_corners)
    if mode == NEAREST:
        return _pixel(x, row.round(), column.round())
    top, left = row.floor(), column.floor()
    down, right = (row - top).unsqueeze(1), (column - left).unsqueeze(1)
    upper = _pixel(x, top, left) * (1 - right) + _pixel(x, top, left + 1) * right
    lower = _pixel(x, top + 1, left) * (1 - right) + _pixel(x, top + 1, left + 1) * right
    return upper * (1 - down) + lower * down


def _place(value: Tensor, size: int, padding: int, *, align_corners: bool) -> Tensor:
    """Returns places from -1 to 1 as numbers of pixels, inside the picture where padding says so."""
    place = (value + 1) * ((size - 1) / 2) if align_corners else ((value + 1) * size - 1) * 0.5
    if padding == REFLECTION:
        low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
        if span == 0:
            return torch.zeros_like(place)
        turned = torch.remainder((place - low).abs(), 2 * span)
        place = torch.where(turned > span, 2 * span - turned, turned) + low
    return place.clamp(0.0, size - 1.0) if padding in (BORDER, REFLECTION) else place


def _pixel(x: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Returns the pixels at whole places, 0 outside."""
    batch, channels, height, width = x.shape
    inside = (row >= 0) & (row <= height - 1) & (column >= 0) & (column <= width - 1)
    number = row.clamp(0.0, height - 1.0) * width + column.clamp(0.0, width - 1.0)
    index = number.to(torch.int64).reshape(batch, 1, -1).expand(batch, channels, -1)
    pixels = x.reshape(batch, channels, height * width).gather(2, index)
    return pixels.reshape(batch, channels, *row.shape[1:]) * inside.unsqueeze(1).to(x.dtype)
