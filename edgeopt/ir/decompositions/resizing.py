"""Resizing: along one axis as along two, and by constant matrices where a runtime has no kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir.decompositions.rule_table import Decompositions

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RULES"]

aten = torch.ops.aten

RULES = Decompositions()
Tensor = torch.Tensor


@RULES(aten.upsample_nearest1d.vec)
def nearest1d(x: Tensor, output_size: Any, scale_factors: Any) -> Tensor:
    """Returns resizing of a line: that of a picture of one row."""
    size = None if output_size is None else [1, *output_size]
    scales = None if scale_factors is None else [1.0, *scale_factors]
    return aten.upsample_nearest2d.vec(x.unsqueeze(2), size, scales).squeeze(2)


@RULES(aten.upsample_linear1d.vec)
def linear1d(x: Tensor, output_size: Any, align_corners: bool, scale_factors: Any) -> Tensor:
    """Returns resizing of a line: that of a picture of one row."""
    size = None if output_size is None else [1, *output_size]
    scales = None if scale_factors is None else [1.0, *scale_factors]
    return aten.upsample_bilinear2d.vec(x.unsqueeze(2), size, align_corners, scales).squeeze(2)


@RULES(
    aten._upsample_nearest_exact1d.vec,
    aten._upsample_nearest_exact2d.vec,
    aten._upsample_nearest_exact3d.vec,
)
def nearest_exact(x: Tensor, output_size: Any, scale_factors: Any) -> Tensor:
    """Returns the value whose centre is nearest to that of each new one."""
    for axis, length, factor in _axes(x, output_size, scale_factors):
        size = x.shape[axis]
        ratio = size / length if factor is None else 1 / factor
        place = ((torch.arange(length) + 0.5) * ratio).to(torch.int64).clamp(max=size - 1)
        x = x.index_select(axis, place)
    return x


@RULES(aten.upsample_nearest3d.vec)
def nearest3d(x: Tensor, output_size: Any, scale_factors: Any) -> Tensor:
    """Returns the value at or before each new one."""
    for axis, length, factor in _axes(x, output_size, scale_factors):
        size = x.shape[axis]
        ratio = size / length if factor is None else 1 / factor
        x = x.index_select(axis, (torch.arange(length) * ratio).to(torch.int64).clamp(max=size - 1))
    return x


def _by_matrices(target: Any) -> Callable[..., Tensor]:
    """Returns the rule of an operator that resizes axis by axis, which ``target`` does to pictures.

    Each axis is multiplied with what ``target`` makes of the identity: a constant, which is computed once.
    """

    def resized(x: Tensor, output_size: Any, align_corners: bool, scale_factors: Any) -> Tensor:
        for axis, length, factor in _axes(x, output_size, scale_factors):
            size = x.shape[axis]
            if length == size and factor in (None, 1.0):
                continue
            # Two columns: torch takes a picture of one for channels last, and mixes them (2.13, antialiased).
            identity = torch.eye(size, dtype=x.dtype).reshape(1, size, size, 1).repeat(1, 1, 1, 2)
            sizes = [length, 2] if factor is None else None
            factors = None if factor is None else [factor, 1.0]
            matrix = target(identity, sizes, align_corners, factors)[0, :, :, 0]
            x = (x.movedim(axis, -1) @ matrix).movedim(-1, axis)
        return x

    return resized


RULES |= {
    target: _by_matrices(target)
    for target in (
        aten._upsample_bicubic2d_aa.vec,
        aten._upsample_bilinear2d_aa.vec,
        aten.upsample_bicubic2d.vec,
        aten.upsample_bilinear2d.vec,
    )
}
RULES[aten.upsample_trilinear3d.vec] = RULES[aten.upsample_bilinear2d.vec]


def _axes(x: Tensor, output_size: Any, scale_factors: Any) -> list[tuple[int, int, Any]]:
    """Returns axis, new length and, where it was given, factor of each axis that is resized."""
    rows = []
    for axis in range(2, x.ndim):
        factor: Any = None if scale_factors is None else scale_factors[axis - 2]
        length = int(x.shape[axis] * factor) if output_size is None else int(output_size[axis - 2])
        rows.append((axis, length, factor))
    return rows
