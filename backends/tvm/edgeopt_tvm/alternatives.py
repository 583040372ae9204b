"""What to write in place of operators that TVM has no kernel for."""

from __future__ import annotations

from typing import Any

__all__ = ["advice"]

_SORTED = "x.sort(dim) gives all numbers in order"
_INSTEAD = {
    "aten::masked_scatter": "torch.where takes what is aligned; indices take what is not",
    "aten::mode": _SORTED,
    "aten::nanmedian": "x.median(dim) where nothing is NaN",
    "aten::upsample_nearest3d": "resize slices with a two-dimensional interpolate, then the depth",
    "aten::upsample_trilinear3d": "resize slices with a two-dimensional interpolate, then the depth",
    "aten::bucketize": "(x[..., None] > boundaries).sum(-1)",
    "aten::searchsorted": "(values[..., None] > boundaries).sum(-1)",
    "aten::cdist": "(a[..., :, None, :] - b[..., None, :, :]).norm(dim=-1)",
    "aten::fft_fft": "a matrix product with the factors, real and imaginary part apart",
    "aten::stft": "a conv1d with the factors as its weight",
    "aten::histc": "(x[:, None] >= edges[:-1]) & (x[:, None] < edges[1:]), summed",
    "aten::bincount": "torch.nn.functional.one_hot(x, count).sum(0)",
}
"""Name of an operator to other ones that compute the same."""


def advice(operator: Any) -> str:
    """Returns the end of a sentence about an operator without a kernel; empty where nothing is known."""
    instead = (
        _INSTEAD.get(str(operator.name()).partition(".")[0]) if hasattr(operator, "name") else None
    )
    return f"; write it otherwise: {instead}" if instead else ""
