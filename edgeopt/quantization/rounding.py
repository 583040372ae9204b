"""Rounds a layer's weights so that its output changes least.

Rounding each weight to the nearest point is not best for the layer: errors of weights whose inputs
are correlated can cancel (Nagel et al., "Up or Down? Adaptive Rounding", 2020). The quadratic problem
min ‖(W − Ŵ) X‖² is solved one column at a time, each column's error pushed onto those that are still
free: Frantar et al., "GPTQ", 2023, in closed form from H = X Xᵀ, with no training loop. X are the
inputs as the integer program sees them, so errors of earlier layers count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)

from edgeopt.errors import CalibrationError
from edgeopt.ir import ops
from edgeopt.ir.rounding import round_and_clip
from edgeopt.ir.source import source_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.ir.quant import QuantSpec

__all__ = ["input_moments", "overflow_error", "round_adaptively"]

DAMPING = 0.05
BLOCK = 64
MOST_COLUMNS = 16000
"""Columns of X that are used at most."""


def input_moments(
    node: torch.fx.Node, inputs: Sequence[torch.Tensor], *, centred: bool = True
) -> torch.Tensor:
    """Returns the covariance of a weighted operator's inputs, float64 (groups, taps, taps).

    Args:
        node: A convolution or linear with written-out arguments.
        inputs: Its input for each sample.
        centred: Whether their mean is taken off, as where a bias takes up the mean error.

    Raises:
        CalibrationError: An input is NaN or infinite.
    """
    share = max(1, MOST_COLUMNS // len(inputs))
    total: torch.Tensor | None = None
    mean: torch.Tensor | None = None
    shift: torch.Tensor | None = None
    count = 0
    for x in inputs:
        columns = _thinned(_columns(node, x), share).double()
        if centred:  # squares of a mean far from 0 would cancel to less than nothing
            shift = columns.mean(dim=2, keepdim=True) if shift is None else shift
            columns = columns - shift
        product = columns @ columns.transpose(1, 2)
        sums = columns.sum(dim=2)
        total = product if total is None else total + product
        mean = sums if mean is None else mean + sums
        count += columns.shape[2]
    if total is None or mean is None:
        raise ValueError("no inputs")
    if not total.isfinite().all():
        raise overflow_error(ops.weighted_parts(node)[0])
    if not centred:
        return total / count
    mean = mean / count
    return total / count - mean[:, :, None] * mean[:, None, :]


def overflow_error(node: torch.fx.Node) -> CalibrationError:
    """Returns the error of a value that is not finite on calibration data."""
    return CalibrationError(
        f"{node.name} becomes NaN or infinite in the float model",
        where=source_line(node) or node.name,
        hint="the model overflows on this data; keep_float the module or check the data",
    )


def _thinned(columns: torch.Tensor, share: int) -> torch.Tensor:
    step = max(1, -(-columns.shape[2] // share))
    return columns[:, :, ::step]


def _columns(node: torch.fx.Node, x: torch.Tensor) -> torch.Tensor:
    """Returns the input of each output position as a column: (groups, taps, positions)."""
    if node.target is ops.aten.linear.default:
        return x.reshape(-1, x.shape[-1]).t()[None]
    weight = node.args[1].meta["val"]  # type: ignore[union-attr]
    stride, padding, dilation, groups = node.args[3:7]
    if weight.ndim == 3:  # noqa: PLR2004 (conv1d is a conv2d of height 1)
        x, kernel = x[:, :, None], (1, weight.shape[2])
        stride, padding, dilation = [1, *stride], [0, *padding], [1, *dilation]  # type: ignore[misc]
    else:
        kernel = tuple(weight.shape[2:])
    unfolded = F.unfold(x, kernel, dilation, padding, stride)  # type: ignore[arg-type]
    rows = unfolded.transpose(0, 1).reshape(unfolded.shape[1], -1)
    return rows.reshape(groups, -1, rows.shape[1])  # type: ignore[arg-type]


def round_adaptively(weight: torch.Tensor, spec: QuantSpec, moments: torch.Tensor) -> torch.Tensor:
    """Returns ``weight`` on the grid of ``spec``, float32, of its shape.

    Args:
        weight: (out, in / groups, …), float32.
        spec: Grid with its channels on axis 0: one step each, or one for each group of its inputs.
        moments: What `input_moments` gave.
    """
    groups, taps = moments.shape[:2]
    w = weight.double().reshape(groups, -1, taps)
    scale, zero = (
        spec.spread(t, weight.ndim).double().expand_as(weight).reshape(w.shape)
        for t in (spec.scale, spec.zero_point)
    )
    order = torch.diagonal(moments, dim1=1, dim2=2).argsort(dim=1, descending=True)
    factor = _inverse_factor(moments, order)
    rows = order[:, None, :].expand_as(w)
    w, scale, zero = (torch.gather(t, 2, rows) for t in (w, scale, zero))
    rounded = _column_by_column(w, scale, zero, factor, (spec.q_min, spec.q_max))
    back = torch.gather(rounded, 2, order.argsort(dim=1)[:, None, :].expand_as(w))
    return spec.fake(back.reshape(weight.shape).float())


def _inverse_factor(moments: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Returns the upper Cholesky factor of the inverse of the damped, reordered moments."""
    h = torch.gather(moments, 1, order[:, :, None].expand_as(moments))
    h = torch.gather(h, 2, order[:, None, :].expand_as(h))
    diagonal = torch.diagonal(h, dim1=1, dim2=2)
    damping = DAMPING * diagonal.mean(dim=1, keepdim=True) + 1e-9
    h = h + torch.diag_embed(damping.expand_as(diagonal))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(h))
    upper: torch.Tensor = torch.linalg.cholesky(inverse, upper=True)
    return upper


def _column_by_column(
    w: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor,
    factor: torch.Tensor,
    limits: tuple[int, int],
) -> torch.Tensor:
    """Rounds columns left to right in blocks; later blocks take up a block's error at once."""
    taps = w.shape[2]
    rounded = torch.zeros_like(w)
    for start in range(0, taps, BLOCK):
        stop = min(start + BLOCK, taps)
        errors = torch.zeros_like(w[:, :, start:stop])
        for i in range(start, stop):
            column, step, shift = w[:, :, i], scale[:, :, i], zero[:, :, i]
            q = (round_and_clip(column, step, shift, *limits) - shift) * step
            rounded[:, :, i] = q
            error = (column - q) / factor[:, i, i][:, None]
            w[:, :, i + 1 : stop] -= error[:, :, None] * factor[:, i, i + 1 : stop][:, None, :]
            errors[:, :, i - start] = error
        w[:, :, stop:] -= errors @ factor[:, start:stop, stop:]
    return rounded
