"""Functions of one or two numbers that few runtimes have, by those that all of them have."""

from __future__ import annotations

import math
from typing import Any

import torch

from edgeopt.ir.decompositions.rule_table import Decompositions
from edgeopt.ir.series import TWICE_AREA_TANGENT

__all__ = ["RULES"]

aten = torch.ops.aten

QUOTIENT_STEPS = 4
"""Float divisions until the quotient of two 64-bit integers is right to one."""

FLAT = 17
"""From here on softplus is its argument in float32, so that a threshold beyond makes no difference."""

RULES = Decompositions()
Tensor = torch.Tensor


@RULES(aten.log2.default)
def log2(x: Tensor) -> Tensor:
    """Returns the logarithm to base 2."""
    return _real(x).log() * (1 / math.log(2))


@RULES(aten.log10.default)
def log10(x: Tensor) -> Tensor:
    """Returns the logarithm to base 10."""
    return _real(x).log() * (1 / math.log(10))


@RULES(aten.exp2.default)
def exp2(x: Tensor) -> Tensor:
    """Returns 2 to the power of x."""
    return torch.pow(2.0, _real(x))


@RULES(aten.expm1.default)
def expm1(x: Tensor) -> Tensor:
    """Returns exp(x) - 1, by tanh near zero, where the difference would cancel."""
    x = _real(x)
    half = (x.clamp(-1.0, 1.0) * 0.5).tanh()
    return torch.where(x.abs() < 1, 2 * half / (1 - half), x.exp() - 1)


@RULES(aten.log1p.default)
def log1p(x: Tensor) -> Tensor:
    """Returns log(1 + x): next to 1 a runtime's logarithm may be off by 1e-5, so a small x has a series."""
    x = _real(x)
    return torch.where(x.abs() < 0.5, _small_log1p(x), (x + 1).log())  # noqa: PLR2004 (where the series holds)


def _small_log1p(x: Tensor) -> Tensor:
    """Returns log(1 + x) for x in [-1/2, 1], as z · p(z²) with z = x / (2 + x) (`edgeopt.ir.series`)."""
    ratio = x / (x + 2)
    square = ratio * ratio
    highest, *rest = reversed(TWICE_AREA_TANGENT)
    series = square * highest
    for coefficient in rest[:-1]:
        series = (series + coefficient) * square
    return (series + rest[-1]) * ratio


@RULES(aten.softplus.default)
def softplus(x: Tensor, beta: Any = 1, threshold: Any = 20) -> Tensor:
    """Returns max(x, 0) + log(1 + exp(-|x|)), which cannot overflow, and keeps the digits of small results."""
    scaled = x if beta == 1 else x * beta
    soft = scaled.relu() + _small_log1p((-scaled.abs()).exp())
    soft = soft if beta == 1 else soft / beta
    return soft if threshold >= FLAT else torch.where(scaled > threshold, x, soft)


@RULES(aten.mish.default)
def mish(x: Tensor) -> Tensor:
    """Returns x · tanh(softplus(x))."""
    return x * softplus(x).tanh()


@RULES(aten.sinh.default)
def sinh(x: Tensor) -> Tensor:
    """Returns the hyperbolic sine."""
    grown = expm1(_real(x).abs())
    return _real(x).sign() * ((grown + grown / (grown + 1)) * 0.5)


@RULES(aten.cosh.default)
def cosh(x: Tensor) -> Tensor:
    """Returns the hyperbolic cosine."""
    half = (_real(x).abs() - math.log(2)).exp()
    return half + 0.25 / half


@RULES(aten.tan.default)
def tan(x: Tensor) -> Tensor:
    """Returns the tangent."""
    return _real(x).sin() / _real(x).cos()


@RULES(aten.asinh.default)
def asinh(x: Tensor) -> Tensor:
    """Returns the inverse of the hyperbolic sine."""
    x = _real(x)
    size = x.abs()
    return x.sign() * (size + size * size / (1 + (size * size + 1).sqrt())).log1p()


@RULES(aten.acosh.default)
def acosh(x: Tensor) -> Tensor:
    """Returns the inverse of the hyperbolic cosine."""
    x = _real(x)
    return ((x - 1) + ((x - 1) * (x + 1)).sqrt()).log1p()


@RULES(aten.atanh.default)
def atanh(x: Tensor) -> Tensor:
    """Returns the inverse of the hyperbolic tangent."""
    x = _real(x)
    return 0.5 * (x.log1p() - (-x).log1p())


@RULES(aten.erfc.default)
def erfc(x: Tensor) -> Tensor:
    """Returns 1 - erf(x)."""
    return 1 - _real(x).erf()


@RULES(aten.logaddexp.default)
def logaddexp(x: Tensor, y: Tensor) -> Tensor:
    """Returns log(exp(x) + exp(y)), of two infinities alike that infinity."""
    high = torch.maximum(x, y)
    gap = torch.where(x == y, torch.zeros_like(x), (x - y).abs())
    return high + (-gap).exp().log1p()


@RULES(aten.hypot.default)
def hypot(x: Tensor, y: Tensor) -> Tensor:
    """Returns the length of (x, y)."""
    return (x * x + y * y).sqrt()


@RULES(aten.isnan.default)
def isnan(x: Tensor) -> Tensor:
    """Returns where x is no number."""
    if not x.dtype.is_floating_point:
        return torch.zeros_like(x, dtype=torch.bool)
    return torch.logical_not(x.abs() <= math.inf)  # compilers take x != x for false


@RULES(aten.isinf.default)
def isinf(x: Tensor) -> Tensor:
    """Returns where x is infinite."""
    if not x.dtype.is_floating_point:
        return torch.zeros_like(x, dtype=torch.bool)
    return x.abs() == math.inf


@RULES(aten.trunc.default)
def trunc(x: Tensor) -> Tensor:
    """Returns the integer next to zero."""
    if not x.dtype.is_floating_point:
        return x.clone()
    return torch.where(x < 0, x.ceil(), x.floor())


@RULES(aten.fmod.Tensor, aten.fmod.Scalar)
def fmod(x: Tensor, y: Any) -> Tensor:
    """Returns the remainder that has the sign of x."""
    size = y.abs() if isinstance(y, Tensor) else abs(y)
    rest = torch.remainder(x.abs(), size)
    return torch.where(x < 0, -rest, rest)


@RULES(aten.copysign.Tensor, aten.copysign.Scalar)
def copysign(x: Tensor, y: Any) -> Tensor:
    """Returns the size of x with the sign of y; that of zero counts as plus."""
    size = _real(x).abs()
    if not isinstance(y, Tensor):
        return size if math.copysign(1, y) > 0 else -size
    return torch.where(y < 0, -size, size)


@RULES(aten.xlogy.Tensor)
def xlogy(x: Tensor, y: Tensor) -> Tensor:
    """Returns x · log(y), 0 where x is 0."""
    product = x * _real(y).log()
    return torch.where((x == 0) & (y == y), torch.zeros_like(product), product)  # noqa: PLR0124


@RULES(aten.fmax.default)
def fmax(x: Tensor, y: Tensor) -> Tensor:
    """Returns the larger of two, or the one that is a number."""
    return torch.where(isnan(x), y, torch.where(isnan(y), x, torch.maximum(x, y)))


@RULES(aten.fmin.default)
def fmin(x: Tensor, y: Tensor) -> Tensor:
    """Returns the smaller of two, or the one that is a number."""
    return torch.where(isnan(x), y, torch.where(isnan(y), x, torch.minimum(x, y)))


@RULES(aten.clamp.Tensor, aten.clip.Tensor)
def clamp(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Returns x between bounds that are tensors."""
    kind = torch.result_type(x, high if low is None else low)  # type: ignore[arg-type]
    x = x.to(kind)
    x = x if low is None else torch.maximum(x, low.to(kind))
    return x if high is None else torch.minimum(x, high.to(kind))


@RULES(aten.clamp_min.Tensor)
def clamp_min(x: Tensor, low: Tensor) -> Tensor:
    """Returns x and not less than ``low``."""
    return clamp(x, low, None)


@RULES(aten.clamp_max.Tensor)
def clamp_max(x: Tensor, high: Tensor) -> Tensor:
    """Returns x and not more than ``high``."""
    return clamp(x, None, high)


@RULES(aten.round.decimals)
def round_decimals(x: Tensor, *, decimals: int) -> Tensor:
    """Returns x rounded to ``decimals`` digits behind the point, or before it where negative."""
    factor = 10.0 ** abs(decimals)
    return (x * factor).round() / factor if decimals >= 0 else (x / factor).round() * factor


@RULES(aten.lerp.Scalar)
def lerp(x: Tensor, end: Tensor, weight: Any) -> Tensor:
    """Returns a point between two, from the nearer end."""
    if abs(weight) < 0.5:  # noqa: PLR2004 (as torch computes it)
        return x + (end - x) * weight
    return end - (end - x) * (1 - weight)


@RULES(aten.selu.default)
def selu(x: Tensor) -> Tensor:
    """Returns the exponential linear unit with its two numbers (Klambauer et al., 2017)."""
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return aten.elu.default(x, alpha, scale)


@RULES(aten.celu.default)
def celu(x: Tensor, alpha: Any = 1.0) -> Tensor:
    """Returns the exponential linear unit of one slope (Barron, 2017)."""
    return aten.elu.default(x, alpha, 1.0, 1.0 / float(alpha))


@RULES(aten.log_sigmoid.default)
def log_sigmoid(x: Tensor) -> Tensor:
    """Returns -softplus(-x)."""
    return -softplus(-x)


def _real(x: Tensor) -> Tensor:
    return x if x.dtype.is_floating_point else x.to(torch.float32)


@RULES(aten.elu.default)
def elu(x: Tensor, alpha: Any = 1, scale: Any = 1, input_scale: Any = 1) -> Tensor:
    """Returns the exponential linear unit with factors, by the plain one."""
    below = torch.nn.functional.elu(x.clamp(max=0) * input_scale)
    return x.relu() * scale + below * (scale * alpha)


@RULES(aten.rrelu.default)
def rrelu(
    x: Tensor,
    lower: Any = 1 / 8,
    upper: Any = 1 / 3,
    training: bool = False,
    generator: Any = None,
) -> Tensor:
    """Returns the leaky rectifier of the mean slope; in training, of drawn ones."""
    del generator
    if training:
        return torch.where(x < 0, x * (lower + (upper - lower) * torch.rand_like(x)), x)
    return torch.nn.functional.leaky_relu(x, (lower + upper) / 2)


@RULES(aten.atan2.default)
def atan2(y: Tensor, x: Tensor) -> Tensor:
    """Returns the angle of (x, y), of two tensors of one shape."""
    if y.shape == x.shape:
        raise NotImplementedError("atan2 has no parts")
    y, x = torch.broadcast_tensors(_real(y), _real(x))
    return torch.atan2(y, x)


@RULES(aten.atan.default)
def atan(x: Tensor) -> Tensor:
    """Returns the angle whose tangent is x."""
    return torch.atan2(_real(x), torch.ones_like(_real(x)))


@RULES(aten.asin.default)
def asin(x: Tensor) -> Tensor:
    """Returns the angle whose sine is x."""
    x = _real(x)
    return torch.atan2(x, ((1 - x) * (1 + x)).sqrt())


@RULES(aten.acos.default)
def acos(x: Tensor) -> Tensor:
    """Returns the angle whose cosine is x."""
    x = _real(x)
    return torch.atan2(((1 - x) * (1 + x)).sqrt(), x)


@RULES(aten.erf.default)
def erf(x: Tensor) -> Tensor:
    """Returns the error function, by the normal distribution in gelu."""
    x = _real(x)
    small = x.abs() < 1e-3  # noqa: PLR2004 (where x - x³/3 is exact in float32)
    y = torch.where(small, 1.0, x * math.sqrt(2))
    far = 2 * torch.nn.functional.gelu(y) / y - 1
    return torch.where(small, (2 / math.sqrt(math.pi)) * (x - x * x * x / 3), far)


@RULES(aten.div.Tensor_mode, aten.div.Scalar_mode)
def divide(x: Tensor, y: Any, *, rounding_mode: str | None = None) -> Tensor:
    """Returns the quotient, rounded down or towards zero."""
    if rounding_mode is None:
        return x / y
    kind = torch.result_type(x, y)
    x = x.to(kind)
    y = y.to(kind) if isinstance(y, Tensor) else torch.full([], y, dtype=kind)
    if not kind.is_floating_point:
        return _whole_quotient(x, y, down=rounding_mode == "floor")
    if rounding_mode == "trunc":
        return trunc(x / y)
    return ((x - torch.remainder(x, y)) / y).round()


@RULES(aten.floor_divide.default)
def floor_divide(x: Tensor, y: Tensor) -> Tensor:
    """Returns the quotient, rounded down."""
    return divide(x, y, rounding_mode="floor")


def _whole_quotient(x: Tensor, y: Tensor, *, down: bool) -> Tensor:
    """Returns x / y of integers by float division of what is left, of which each step leaves 2⁻²² at most."""
    quotient = torch.zeros_like(x)
    rest = x
    for _ in range(QUOTIENT_STEPS):
        step = (rest.to(torch.float32) / y.to(torch.float32)).floor().to(x.dtype)
        quotient, rest = quotient + step, rest - step * y
    # Rounding up at the end leaves a rest of the other sign.
    over = ((rest < 0) & (y > 0)) | ((rest > 0) & (y < 0))
    quotient, rest = quotient - over.to(x.dtype), torch.where(over, rest + y, rest)
    if down:
        return quotient
    inexact_below_zero = (rest != 0) & ((x < 0) != (y < 0))
    return quotient + inexact_below_zero.to(x.dtype)
