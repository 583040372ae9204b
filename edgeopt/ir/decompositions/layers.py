"""Layers that are another layer in disguise."""

from __future__ import annotations

from typing import Any

import torch

from edgeopt.ir.decompositions.rule_table import Decompositions

__all__ = ["RULES"]

aten = torch.ops.aten

RULES = Decompositions()
Tensor = torch.Tensor


@RULES(aten.instance_norm.default)
def instance_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """Returns a group norm of one channel a group, or a batch norm of statistics that are known."""
    del momentum, cudnn_enabled
    if use_input_stats:
        return torch.group_norm(x, x.shape[1], weight, bias, eps)
    assert running_mean is not None  # noqa: S101 (torch asks for both)
    assert running_var is not None  # noqa: S101
    return torch.nn.functional.batch_norm(x, running_mean, running_var, weight, bias, eps=eps)


@RULES(aten._native_batch_norm_legit.no_stats)
def batch_norm_of_the_batch(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns x with the mean and variance of the batch taken out, and both: so weights are standardized."""
    del training, momentum
    axes = [0, *range(2, x.ndim)]
    shape = [1, -1, *[1] * (x.ndim - 2)]
    mean = x.mean(axes, keepdim=True)
    centred = x - mean
    rate = ((centred * centred).mean(axes, keepdim=True) + eps).rsqrt()
    result = centred * rate
    result = result if weight is None else result * weight.reshape(shape)
    result = result if bias is None else result + bias.reshape(shape)
    return result, mean.reshape(-1), rate.reshape(-1)


@RULES(aten._cdist_forward.default)
def distances(left: Tensor, right: Tensor, p: float, compute_mode: int | None) -> Tensor:
    """Returns the distance of each row from each other, by their differences."""
    del compute_mode
    gap = left.unsqueeze(-2) - right.unsqueeze(-3)
    return torch.linalg.vector_norm(gap, p, -1)


@RULES(aten.conv_transpose3d.input)
def conv_transpose3d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = (1, 1, 1),
    padding: Any = (0, 0, 0),
    output_padding: Any = (0, 0, 0),
    groups: int = 1,
    dilation: Any = (1, 1, 1),
) -> Tensor:
    """Returns the sum over the window's depth of transposed convolutions of planes."""
    volumes = x if x.ndim == 5 else x.unsqueeze(0)  # noqa: PLR2004 (a batch of them)
    stride, padding, extra, dilation = (
        list(v) * 3 if len(v) == 1 else list(v) for v in (stride, padding, output_padding, dilation)
    )
    batch, channels, depth, rows, columns = volumes.shape
    planes = volumes.transpose(1, 2).reshape(batch * depth, channels, rows, columns)
    full = stride[0] * (depth - 1) + dilation[0] * (weight.shape[2] - 1) + 1 + extra[0]
    total = None
    for at in range(weight.shape[2]):
        layer = torch.conv_transpose2d(
            planes, weight[:, :, at], None, stride[1:], padding[1:], extra[1:], groups, dilation[1:]
        )
        layer = layer.reshape(batch, depth, 1, *layer.shape[1:])
        apart = torch.nn.functional.pad(layer, [0, 0] * 3 + [0, stride[0] - 1])
        apart = apart.reshape(batch, depth * stride[0], *layer.shape[3:])
        apart = aten.slice.Tensor(apart, 1, 0, stride[0] * (depth - 1) + 1)
        begin = at * dilation[0]
        placed = torch.nn.functional.pad(apart, [0, 0] * 3 + [begin, full - begin - apart.shape[1]])
        total = placed if total is None else total + placed
    assert total is not None  # noqa: S101 (a window has a depth)
    result = aten.slice.Tensor(total, 1, padding[0], full - padding[0]).transpose(1, 2)
    if bias is not None:
        result = result + bias.reshape(1, -1, 1, 1, 1)
    return result if x.ndim == 5 else result.squeeze(0)  # noqa: PLR2004


@RULES(aten.bilinear.default)
def bilinear(left: Tensor, right: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Returns left · weight · right for each output: a linear, and a product."""
    outputs, inputs, others = weight.shape
    matrix = weight.permute(1, 0, 2).reshape(inputs, outputs * others)
    product = (left @ matrix).reshape(*left.shape[:-1], outputs, others)
    result = (product * right.unsqueeze(-2)).sum(-1)
    return result if bias is None else result + bias


@RULES(aten.addmv.default)
def addmv(x: Tensor, matrix: Tensor, vector: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """Returns beta · x + alpha · matrix · vector."""
    return _sum(x, matrix @ vector, beta, alpha)


@RULES(aten.addbmm.default)
def addbmm(x: Tensor, left: Tensor, right: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """Returns beta · x + alpha · the sum of the products of a batch."""
    return _sum(x, (left @ right).sum(0), beta, alpha)


@RULES(aten.addr.default)
def addr(x: Tensor, left: Tensor, right: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """Returns beta · x + alpha · the outer product of two vectors."""
    return _sum(x, left.unsqueeze(1) * right.unsqueeze(0), beta, alpha)


@RULES(aten.mv.default)
def mv(matrix: Tensor, vector: Tensor) -> Tensor:
    """Returns the product of a matrix and a vector."""
    return (matrix @ vector.unsqueeze(1)).squeeze(1)


@RULES(aten.dot.default, aten.vdot.default)
def dot(left: Tensor, right: Tensor) -> Tensor:
    """Returns the sum of the products of two vectors."""
    return (left * right).sum(0)


@RULES(aten.embedding_bag.default, aten.embedding_bag.padding_idx)
def embedding_bag(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """Returns sums, means or maxima of rows; which row is in which bag follows from the offsets."""
    del scale_grad_by_freq, sparse
    rows = torch.nn.functional.embedding(indices, weight)
    begin = offsets[:-1] if include_last_offset else offsets
    place = torch.arange(indices.shape[0]).unsqueeze(0)
    inside = (begin.unsqueeze(1) <= place) & (_ends(begin, offsets, indices.shape[0], include_last_offset) > place)  # fmt: skip
    if padding_idx is not None:
        inside = inside & (indices != padding_idx).unsqueeze(0)
    share = inside.to(rows.dtype)
    result = _bags(rows, share, inside, mode, per_sample_weights)
    count = inside.sum(1)
    return result, torch.zeros_like(indices), count, count


def _ends(begin: Tensor, offsets: Tensor, size: int, last: bool) -> Tensor:
    ends = offsets[1:] if last else torch.cat([begin[1:], torch.full([1], size, dtype=begin.dtype)])
    return ends.unsqueeze(1)


def _bags(rows: Tensor, share: Tensor, inside: Tensor, mode: int, weights: Tensor | None) -> Tensor:
    if mode == 2:  # noqa: PLR2004 (maximum)
        empty = torch.full([], float("-inf"), dtype=rows.dtype)
        largest = torch.where(inside.unsqueeze(2), rows.unsqueeze(0), empty).amax(1)
        return torch.where(inside.any(1, keepdim=True), largest, torch.zeros([], dtype=rows.dtype))
    if weights is not None:
        share = share * weights.unsqueeze(0)
    total = share @ rows
    return total / share.sum(1, keepdim=True).clamp(min=1) if mode == 1 else total


def _sum(x: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    product = product if alpha == 1 else product * alpha
    if beta == 0:
        return product
    return product + (x if beta == 1 else x * beta)
