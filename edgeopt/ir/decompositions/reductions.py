"""Reductions with several results, and of all elements."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir.decompositions.elementwise import isnan
from edgeopt.ir.decompositions.rule_table import Decompositions

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RULES"]

aten = torch.ops.aten

RULES = Decompositions()
Tensor = torch.Tensor


@RULES(aten.max.dim)
def max_dim(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Returns the largest values along an axis and where the first of each is."""
    return x.amax(dim, keepdim), _ordered(x).argmax(dim, keepdim)


@RULES(aten.min.dim)
def min_dim(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Returns the smallest values along an axis and where the first of each is."""
    return x.amin(dim, keepdim), _ordered(x).argmin(dim, keepdim)


@RULES(aten.max.default)
def max_of_all(x: Tensor) -> Tensor:
    """Returns the largest value."""
    return x.amax(list(range(x.ndim)))


@RULES(aten.min.default)
def min_of_all(x: Tensor) -> Tensor:
    """Returns the smallest value."""
    return x.amin(list(range(x.ndim)))


@RULES(aten.sum.default)
def sum_of_all(x: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
    """Returns the sum of all values."""
    return x.sum(list(range(x.ndim)), dtype=dtype) if x.ndim else _cast(x, dtype)


@RULES(aten.prod.default)
def product_of_all(x: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
    """Returns the product of all values."""
    return x.reshape(-1).prod(0, dtype=dtype)


@RULES(aten.all.default)
def all_of_all(x: Tensor) -> Tensor:
    """Returns whether all values are true."""
    return x.reshape(-1).all(0)


@RULES(aten.any.default)
def any_of_all(x: Tensor) -> Tensor:
    """Returns whether any value is true."""
    return x.reshape(-1).any(0)


@RULES(aten.any.dims)
def any_of_axes(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Returns whether any value along axes is true."""
    for axis in sorted(_all_axes(x, dim), reverse=True):
        x = x.any(axis, keepdim)
    return x


@RULES(aten.all.dims)
def all_of_axes(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Returns whether all values along axes are true."""
    for axis in sorted(_all_axes(x, dim), reverse=True):
        x = x.all(axis, keepdim)
    return x


@RULES(aten.prod.dim_int)
def prod(x: Tensor, dim: int, keepdim: bool = False, *, dtype: torch.dtype | None = None) -> Tensor:
    """Returns the product along an axis, half by half."""
    x = _cast(x, dtype or (None if x.dtype.is_floating_point else torch.int64))
    if not x.ndim:
        return x.clone()
    while (size := x.shape[dim]) > 1:
        half = size // 2
        pairs = x.narrow(dim, 0, half) * x.narrow(dim, half, half)
        x = torch.cat([pairs, x.narrow(dim, 2 * half, 1)], dim) if size % 2 else pairs
    return x if keepdim else x.squeeze(dim)


@RULES(aten.logsumexp.default)
def logsumexp(x: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """Returns the logarithm of the sum of exponentials, of which the largest is 1."""
    axes = [dim] if isinstance(dim, int) else list(dim)
    x = x if x.dtype.is_floating_point else x.to(torch.float32)
    largest = x.amax(axes, keepdim=True)
    largest = torch.where(largest.abs() == float("inf"), 0.0, largest)
    total = (x - largest).exp().sum(axes, keepdim=True).log() + largest
    return total if keepdim else total.squeeze(axes)


@RULES(aten.log_softmax.int)
def log_softmax(x: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """Returns x less the logarithm of the sum of exponentials."""
    x = _cast(x, dtype)
    return x - logsumexp(x, dim, keepdim=True)


@RULES(aten.cosine_similarity.default)
def cosine_similarity(x: Tensor, y: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Returns the product of two vectors of length 1."""
    x, y = torch.broadcast_tensors(x, y)
    sizes = [(v * v).sum(dim, keepdim=True).sqrt().clamp(min=eps) for v in (x, y)]
    return ((x / sizes[0]) * (y / sizes[1])).sum(dim)


@RULES(aten.pairwise_distance.default)
def pairwise_distance(
    x: Tensor,
    y: Tensor,
    p: float = 2,
    eps: float = 1e-6,
    keepdim: bool = False,
) -> Tensor:
    """Returns the norm of a difference."""
    return vector_norm(x - y + eps, p, -1, keepdim)


@RULES(aten.kthvalue.default)
def kthvalue(x: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Returns the value that is smaller than all but ``k``."""
    if not x.ndim:
        return x.clone(), torch.zeros_like(x, dtype=torch.int64)
    values, places = x.topk(k, dim, largest=False, sorted=True)
    last = [part.narrow(dim, k - 1, 1) for part in (values, places)]
    return (last[0], last[1]) if keepdim else (last[0].squeeze(dim), last[1].squeeze(dim))


@RULES(aten.median.dim)
def median(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Returns the lower of the values in the middle."""
    value, place = kthvalue(x, ((x.shape[dim] if x.ndim else 1) + 1) // 2, dim, keepdim)
    if not x.dtype.is_floating_point or not x.ndim:
        return value, place
    none = isnan(x)  # the median of all it stands among
    nan = none.any(dim, keepdim)
    first = none.to(torch.int32).argmax(dim, keepdim)
    return torch.where(nan, float("nan"), value), torch.where(nan, first, place)


@RULES(aten.median.default)
def median_of_all(x: Tensor) -> Tensor:
    """Returns the lower of the values in the middle of all."""
    return median(x.reshape(-1), 0)[0]


@RULES(aten.sort.stable)
def sort_stable(
    x: Tensor,
    *,
    stable: bool | None = None,
    dim: int = -1,
    descending: bool = False,
) -> tuple[Tensor, Tensor]:
    """Returns sorting that takes equal values in their order, as runtimes do."""
    del stable
    return x.sort(dim, descending)


@RULES(aten.sort.default)
def sort(x: Tensor, dim: int = -1, descending: bool = False) -> tuple[Tensor, Tensor]:
    """Returns the largest values, of which as many are asked for as there are."""
    if not x.ndim:
        return x.clone(), torch.zeros_like(x, dtype=torch.int64)
    return x.topk(x.shape[dim], dim, largest=descending, sorted=True)


@RULES(aten.cummax.default)
def cummax(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Returns the largest of all that comes before and with each value, and where it is."""
    return _extremes(x, dim, torch.ge)


@RULES(aten.cummin.default)
def cummin(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Returns the smallest of all that comes before and with each value, and where it is."""
    return _extremes(x, dim, torch.le)


def _extremes(
    x: Tensor, dim: int, at_least: Callable[[Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    if not x.ndim:
        return x.clone(), torch.zeros_like(x, dtype=torch.int64)
    size, shift = x.shape[dim], 1
    along = [1] * x.ndim
    along[dim] = size
    places = torch.arange(size).reshape(along).expand(x.shape)
    while shift < size:
        late, early = (
            (v.narrow(dim, shift, size - shift) for v in (x, places)),
            (v.narrow(dim, 0, size - shift) for v in (x, places)),
        )
        (late_value, late_place), (early_value, early_place) = late, early
        wins = at_least(late_value, early_value)
        if x.dtype.is_floating_point:  # what is no number stays
            wins = wins | isnan(late_value)
        pairs = ((x, late_value, early_value), (places, late_place, early_place))
        x, places = (
            torch.cat([v.narrow(dim, 0, shift), torch.where(wins, a, b)], dim) for v, a, b in pairs
        )
        shift *= 2
    return x, places


@RULES(aten.var_mean.correction)
def var_mean(
    x: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    """Returns variance and mean."""
    axes = dim or list(range(x.ndim))
    return x.var(axes, correction=_bessel(correction), keepdim=keepdim), x.mean(axes, keepdim)


@RULES(aten.std_mean.correction)
def std_mean(
    x: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    """Returns standard deviation and mean."""
    axes = dim or list(range(x.ndim))
    return x.std(axes, correction=_bessel(correction), keepdim=keepdim), x.mean(axes, keepdim)


@RULES(aten.var.correction)
def var(x: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> Tensor:
    """Returns the mean of squared differences from the mean, by one less than there are."""
    axes = _all_axes(x, dim)
    count = math.prod(x.shape[axis] for axis in axes)
    gap = x - x.mean(axes, keepdim=True)
    total = (gap * gap).sum(axes, keepdim)
    return total / max(count - _bessel(correction), 0)


@RULES(aten.std.correction)
def std(x: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> Tensor:
    """Returns the square root of the variance."""
    return var(x, dim, correction=correction, keepdim=keepdim).sqrt()


@RULES(aten.linalg_vector_norm.default)
def vector_norm(
    x: Tensor,
    ord: Any = 2,  # noqa: A002 (torch's name)
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Returns the norm of order ``ord`` along ``dim``."""
    x = _cast(x, dtype)
    axes = list(range(x.ndim)) if dim is None else dim
    if ord == 0:
        return (x != 0).to(x.dtype).sum(axes, keepdim)
    size = x.abs()
    if ord in (float("inf"), float("-inf")):
        return size.amax(axes, keepdim) if ord > 0 else size.amin(axes, keepdim)
    if ord == 1:
        return size.sum(axes, keepdim)
    if ord == 2:  # noqa: PLR2004
        return (x * x).sum(axes, keepdim).sqrt()
    return (size**ord).sum(axes, keepdim) ** (1.0 / ord)


@RULES(aten.cumsum.default)
def cumsum(x: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Tensor:
    """Returns the sums of all that comes before and with each value."""
    whole = None if x.dtype.is_floating_point else torch.int64
    return _scan(_cast(x, dtype or whole), dim, torch.add)


@RULES(aten.cumprod.default)
def cumprod(x: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Tensor:
    """Returns the products of all that comes before and with each value."""
    whole = None if x.dtype.is_floating_point else torch.int64
    return _scan(_cast(x, dtype or whole), dim, torch.mul)


@RULES(aten.logcumsumexp.default)
def logcumsumexp(x: Tensor, dim: int) -> Tensor:
    """Returns the logarithms of the sums of the exponentials of all that comes before and with each value."""
    return _scan(x, dim, torch.logaddexp)


def _scan(x: Tensor, dim: int, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Returns what ``combine`` makes of all before: in as many steps as the length has binary digits.

    Method: W. D. Hillis and G. L. Steele, "Data parallel algorithms", 1986.
    """
    if not x.ndim:
        return x.clone()
    size, shift = x.shape[dim], 1
    while shift < size:
        moved = combine(x.narrow(dim, shift, size - shift), x.narrow(dim, 0, size - shift))
        x = torch.cat([x.narrow(dim, 0, shift), moved], dim)
        shift *= 2
    return x


def _ordered(x: Tensor) -> Tensor:
    """Returns truth values as numbers: argmax takes no others."""
    return x.to(torch.int32) if x.dtype is torch.bool else x


def _all_axes(x: Tensor, dim: Any) -> list[int]:
    axes = range(x.ndim) if dim is None or list(dim) == [] else dim
    return [int(axis) % max(x.ndim, 1) for axis in axes]


def _bessel(correction: Any) -> Any:
    return 1 if correction is None else correction


def _cast(x: Tensor, dtype: torch.dtype | None) -> Tensor:
    return x if dtype is None else x.to(dtype)
