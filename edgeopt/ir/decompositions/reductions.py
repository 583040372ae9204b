"""Reductions with several results, and of all elements."""

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


@RULES(aten.max.dim)
def max_dim(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:  # noqa: FBT001, FBT002
    """Returns the largest values along an axis and where the first of each is."""
    return x.amax(dim, keepdim), x.argmax(dim, keepdim)


@RULES(aten.min.dim)
def min_dim(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:  # noqa: FBT001, FBT002
    """Returns the smallest values along an axis and where the first of each is."""
    return x.amin(dim, keepdim), x.argmin(dim, keepdim)


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


@RULES(aten.var_mean.correction)
def var_mean(
    x: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    """Returns variance and mean."""
    axes = list(range(x.ndim)) if not dim else dim
    return x.var(axes, correction=_bessel(correction), keepdim=keepdim), x.mean(axes, keepdim)


@RULES(aten.std_mean.correction)
def std_mean(
    x: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    """Returns standard deviation and mean."""
    axes = list(range(x.ndim)) if not dim else dim
    return x.std(axes, correction=_bessel(correction), keepdim=keepdim), x.mean(axes, keepdim)


@RULES(aten.linalg_vector_norm.default)
def vector_norm(
    x: Tensor,
    ord: Any = 2,  # noqa: A002 (torch's name)
    dim: Any = None,
    keepdim: bool = False,  # noqa: FBT001, FBT002
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


def _bessel(correction: Any) -> Any:
    return 1 if correction is None else correction


def _cast(x: Tensor, dtype: torch.dtype | None) -> Tensor:
    return x if dtype is None else x.to(dtype)
