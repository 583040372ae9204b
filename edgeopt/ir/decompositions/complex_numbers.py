"""Complex numbers as pairs of real ones, and Fourier transforms as products with constant matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree as pytree

from edgeopt.ir.decompositions.rule_table import Decompositions

__all__ = ["RULES", "Complex", "partwise"]

aten = torch.ops.aten

RULES = Decompositions()
"""Operators that mix real and imaginary parts."""
Tensor = torch.Tensor


@dataclass(frozen=True)
class Complex:
    """A tensor of complex numbers."""

    real: Tensor
    imag: Tensor


def _pair(value: Any) -> Complex:
    """Returns a number or a tensor as one of complex numbers."""
    if isinstance(value, Complex):
        return value
    if isinstance(value, Tensor):
        value = value if value.dtype.is_floating_point else value.to(torch.float32)
        return Complex(value, torch.zeros_like(value))
    number = complex(value)
    return Complex(torch.full([], number.real), torch.full([], number.imag))


def partwise(target: Any, *args: Any, **kwargs: Any) -> Complex:
    """Returns what ``target`` makes of all real parts, and of all imaginary ones; reals have none."""

    def made(name: str) -> Tensor:
        def part(value: Any) -> Any:
            if isinstance(value, complex):
                return getattr(value, name)
            parted = isinstance(value, Complex) or _is_real(value)
            return getattr(_pair(value), name) if parted else value

        whole = {"is_leaf": lambda value: isinstance(value, Complex)}
        own, named = pytree.tree_map(part, (args, kwargs), **whole)
        result: Tensor = target(*own, **named)
        return result

    return Complex(made("real"), made("imag"))


def _is_real(value: Any) -> bool:
    """Whether a tensor among complex ones is one of their kind: no index, and no mask."""
    return isinstance(value, Tensor) and value.dtype.is_floating_point


@RULES(aten.constant_pad_nd.default)
def padded(z: Complex, pad: Any, value: Any = 0) -> Complex:
    """Returns the numbers with one number beside them."""
    number = complex(value)
    return Complex(
        aten.constant_pad_nd.default(z.real, pad, number.real),
        aten.constant_pad_nd.default(z.imag, pad, number.imag),
    )


@RULES(aten.zeros_like.default)
def zeros_like(z: Any, **_: Any) -> Complex:
    """Returns zeros."""
    return full(_pair(z).real.shape, 0)


@RULES(aten.ones_like.default)
def ones_like(z: Any, **_: Any) -> Complex:
    """Returns ones."""
    return full(_pair(z).real.shape, 1)


@RULES(aten.full_like.default)
def full_like(z: Any, value: Any, **_: Any) -> Complex:
    """Returns one number everywhere."""
    return full(_pair(z).real.shape, value)


@RULES(aten.new_zeros.default)
def new_zeros(_: Any, size: Any, **__: Any) -> Complex:
    """Returns zeros."""
    return full(size, 0)


@RULES(aten.pow.Tensor_Scalar)
def power(z: Complex, exponent: Any) -> Complex:
    """Returns a small whole power, as products."""
    if exponent not in (2, 3):
        raise NotImplementedError(f"complex numbers to the power of {exponent}")
    square = multiply(z, z)
    return square if exponent == 2 else multiply(square, z)  # noqa: PLR2004


@RULES(aten.view_as_complex.default)
def view_as_complex(x: Tensor) -> Complex:
    """Returns the last axis as real and imaginary part."""
    return Complex(x.select(-1, 0), x.select(-1, 1))


@RULES(aten.view_as_real.default)
def view_as_real(z: Complex) -> Tensor:
    """Returns real and imaginary part along a new last axis."""
    return torch.stack([z.real, z.imag], -1)


@RULES(aten.real.default)
def real(z: Any) -> Tensor:
    """Returns the real parts."""
    return _pair(z).real


@RULES(aten.imag.default)
def imag(z: Complex) -> Tensor:
    """Returns the imaginary parts."""
    return z.imag


@RULES(aten.complex.default)
def pair(x: Tensor, y: Tensor) -> Complex:
    """Returns x + iy."""
    x, y = torch.broadcast_tensors(x, y)
    return Complex(x, y)


@RULES(aten.polar.default)
def polar(size: Tensor, angle: Tensor) -> Complex:
    """Returns the numbers of a size and an angle."""
    return Complex(size * angle.cos(), size * angle.sin())


@RULES(aten.abs.default)
def absolute(z: Complex) -> Tensor:
    """Returns the sizes."""
    return (z.real * z.real + z.imag * z.imag).sqrt()


@RULES(aten.angle.default)
def angle(z: Any) -> Tensor:
    """Returns the angles."""
    z = _pair(z)
    return torch.atan2(z.imag, z.real)


@RULES(aten._conj.default, aten.conj_physical.default, aten._conj_physical.default)
def conjugate(z: Any) -> Complex:
    """Returns the numbers mirrored at the real axis."""
    z = _pair(z)
    return Complex(z.real, -z.imag)


@RULES(aten.resolve_conj.default, aten.resolve_neg.default)
def resolved(z: Complex) -> Complex:
    """Returns the numbers themselves."""
    return z


@RULES(aten.add.Tensor, aten.add.Scalar)
def add(x: Any, y: Any, *, alpha: Any = 1) -> Complex:
    """Returns x + alpha · y."""
    x, y = _pair(x), _pair(y) if alpha == 1 else multiply(y, alpha)
    return Complex(x.real + y.real, x.imag + y.imag)


@RULES(aten.sub.Tensor, aten.sub.Scalar)
def subtract(x: Any, y: Any, *, alpha: Any = 1) -> Complex:
    """Returns x - alpha · y."""
    x, y = _pair(x), _pair(y) if alpha == 1 else multiply(y, alpha)
    return Complex(x.real - y.real, x.imag - y.imag)


@RULES(aten.mul.Tensor, aten.mul.Scalar)
def multiply(x: Any, y: Any) -> Complex:
    """Returns the product."""
    if not isinstance(y, (Complex, complex)):
        x = _pair(x)
        return Complex(x.real * y, x.imag * y)
    if not isinstance(x, (Complex, complex)):
        return multiply(y, x)
    x, y = _pair(x), _pair(y)
    return Complex(x.real * y.real - x.imag * y.imag, x.real * y.imag + x.imag * y.real)


@RULES(aten.div.Tensor, aten.div.Scalar)
def divide(x: Any, y: Any) -> Complex:
    """Returns the quotient."""
    if not isinstance(y, (Complex, complex)):
        x = _pair(x)
        return Complex(x.real / y, x.imag / y)
    y = _pair(y)
    size = y.real * y.real + y.imag * y.imag
    return divide(multiply(x, conjugate(y)), size)


@RULES(aten.exp.default)
def exponential(z: Complex) -> Complex:
    """Returns e to the power of z."""
    return polar(z.real.exp(), z.imag)


@RULES(aten.matmul.default, aten.mm.default, aten.bmm.default)
def matmul(x: Any, y: Any) -> Complex:
    """Returns the product of matrices."""
    x, y = _pair(x), _pair(y)
    return Complex(x.real @ y.real - x.imag @ y.imag, x.real @ y.imag + x.imag @ y.real)


@RULES(aten._to_copy.default, aten.to.dtype)
def cast(z: Any, kind: Any = None, *_: Any, dtype: Any = None, **__: Any) -> Any:
    """Returns complex numbers, or the real parts of them where a real type is asked for."""
    kind = dtype or kind
    return _pair(z).real if kind is not None and not kind.is_complex else _pair(z)


@RULES(aten.full.default)
def full(size: Any, value: Any, **_: Any) -> Complex:
    """Returns one number everywhere."""
    number = complex(value)
    return Complex(torch.full(size, number.real), torch.full(size, number.imag))


@RULES(aten._fft_r2c.default)
def fft_of_reals(x: Tensor, dim: Any, normalization: int, onesided: bool) -> Complex:
    """Returns the transform of real numbers, of which half is enough."""
    x = _pair(x).real
    *others, last = [int(d) % x.ndim for d in dim]
    size = x.shape[last]
    count = size // 2 + 1 if onesided else size
    turn = _turns(size, count)
    moved = x.movedim(last, -1)
    z = Complex(moved @ turn.real, moved @ turn.imag)
    z = Complex(z.real.movedim(-1, last), z.imag.movedim(-1, last))
    z = _transformed(z, others, forward=True)
    return _scaled(z, normalization, math.prod(x.shape[d] for d in (*others, last)))


@RULES(aten._fft_c2c.default)
def fft(z: Any, dim: Any, normalization: int, forward: bool) -> Complex:
    """Returns the transform of complex numbers."""
    z = _pair(z)
    axes = [int(d) % z.real.ndim for d in dim]
    sizes = [z.real.shape[d] for d in axes]
    return _scaled(_transformed(z, axes, forward=forward), normalization, math.prod(sizes))


@RULES(aten._fft_c2r.default)
def fft_to_reals(z: Any, dim: Any, normalization: int, last_dim_size: int) -> Tensor:
    """Returns the inverse transform to real numbers, of the half that is given."""
    z = _pair(z)
    *others, last = [int(d) % z.real.ndim for d in dim]
    z = _transformed(z, others, forward=False)
    count = last_dim_size // 2 + 1
    turn = _turns(last_dim_size, count)
    place = torch.arange(count)
    # All but the first, and the middle of an even number, stand for two that are conjugate.
    twice = torch.where((place == 0) | (place * 2 == last_dim_size), 1.0, 2.0).unsqueeze(1)
    real, imag = (part.movedim(last, -1)[..., :count] for part in (z.real, z.imag))
    x = real @ (turn.real.t() * twice) + imag @ (turn.imag.t() * twice)
    sizes = [z.real.shape[d] for d in others]
    factor = _factor(normalization, math.prod([*sizes, last_dim_size]))
    return x.movedim(-1, last) * factor


def _transformed(z: Complex, axes: list[int], *, forward: bool) -> Complex:
    for axis in axes:
        size = z.real.shape[axis]
        turn = _turns(size, size)
        sine = turn.imag if forward else -turn.imag
        real, imag = z.real.movedim(axis, -1), z.imag.movedim(axis, -1)
        z = Complex(
            (real @ turn.real - imag @ sine).movedim(-1, axis),
            (real @ sine + imag @ turn.real).movedim(-1, axis),
        )
    return z


def _turns(size: int, count: int) -> Complex:
    """Returns (size, count): e to the power of -2πi · row · column / size."""
    steps = torch.arange(size).unsqueeze(1) * torch.arange(count).unsqueeze(0) % size
    angles = steps.to(torch.float64) * (-2 * math.pi / size)
    return Complex(angles.cos().to(torch.float32), angles.sin().to(torch.float32))


def _factor(normalization: int, count: int) -> float:
    return (1.0, 1 / math.sqrt(count), 1 / count)[normalization]


def _scaled(z: Complex, normalization: int, count: int) -> Complex:
    factor = _factor(normalization, count)
    return z if factor == 1 else Complex(z.real * factor, z.imag * factor)
