"""Exponentials and their kin as arithmetic, so that they run in vectors and alike on all devices.

A compiler calls the C library for each element else, 3 to 10 times as slow, and C libraries differ.
Sources: exp from Cephes (Moshier), tanh and erf as rational functions from Eigen and XLA. In units in
the last place of the exact result exp is within 1 and sigmoid within 3; tanh and erf are within 4e-7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tvm import tirx
from tvm.tirx import stmt_functor

from edgeopt.contracts.storage import INT32

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["spelt_out"]

_MAGIC, _MAGIC_BITS, _BITS_OF_2_23 = 1.5 * 2.0**23, 0x4B400000, 0x4B000000
"""A float32 whose steps are 1, and its bits; and those of 2**23."""
_LOWEST_POWER = -87.336544
"""Of e, that is a normal float32."""
_EXP = (
    1.9875691500e-4,
    1.3981999507e-3,
    8.3334519073e-3,
    4.1665795894e-2,
    1.6666665459e-1,
    5.0000001201e-1,
)
_TANH = (
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
_TANH_BELOW = (
    1.19825839466702e-06,
    1.18534705686654e-04,
    2.26843463243900e-03,
    4.89352518554385e-03,
)
_ERF = (
    -2.72614225801306e-10,
    2.77068142495902e-08,
    -2.10102402082508e-06,
    -5.69250639462346e-05,
    -7.34990630326855e-04,
    -2.95459980854025e-03,
    -1.60960333262415e-02,
)
_ERF_BELOW = (
    -1.45660718464996e-05,
    -2.13374055278905e-04,
    -1.68282697438203e-03,
    -7.37332916720468e-03,
    -1.42647390514189e-02,
)


def spelt_out(function: Any) -> Any:
    """Returns ``function`` with exp, sigmoid, tanh, erf and roundings of float32 as arithmetic."""

    def replace(node: Any) -> Any:
        if isinstance(node, tirx.Cast):
            return _whole_number(node)
        rule = _RULES.get(getattr(node.op, "name", ""))
        if rule is None or str(getattr(node.ty, "dtype", "")) != "float32":
            return None
        return rule(node.args[0])

    body = stmt_functor.ir_transform(function.body, None, replace, ["ir.Call", "tirx.Cast"])
    return function.with_body(body)


def _number(value: float) -> Any:
    return tirx.const(value, "float32")


def _let(value: Any, body: Callable[[Any], Any], kind: str = "float32") -> Any:
    """Returns ``body`` of a name for ``value``, which is computed once."""
    name = tirx.Var("v", kind)
    return tirx.Let(name, value, body(name))


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """Returns the polynomial, the highest power's coefficient first, by Horner's rule."""
    result = _number(coefficients[0])
    for c in coefficients[1:]:
        result = result * x + _number(c)
    return result


def _clamped(x: Any, low: float, high: float) -> Any:
    return tirx.max(tirx.min(x, _number(high)), _number(low))


def _exp(x: Any) -> Any:
    def of(x: Any) -> Any:
        return _let(_rounded(x * _number(1.44269504088896341)), lambda n: scaled(x, n))

    def scaled(x: Any, n: Any) -> Any:
        rest = x - n * _number(0.693359375) - n * _number(-2.12194440e-4)
        power = tirx.reinterpret("float32", (n.astype("int32") + 127) << 23)
        return _let(rest, lambda r: (_polynomial(r, _EXP) * r * r + r + _number(1.0)) * power)

    def ends(x: Any) -> Any:
        inner = _let(_clamped(x, _LOWEST_POWER, 88.3762626647949), of)
        # What a mask hides is 0 and nothing next to it; and nothing is made of what is no number.
        return tirx.Select(
            x < _number(_LOWEST_POWER), _number(0.0), tirx.Select(_is_nan(x), x, inner)
        )

    return _let(x, ends)


def _is_nan(x: Any) -> Any:
    """Told by the bits, the sign's shifted out: x != x would be simplified."""
    unsigned = tirx.reinterpret("uint32", x) << tirx.const(1, "uint32")
    return unsigned > tirx.const(0xFF000000, "uint32")


def _rounded(x: Any) -> Any:
    """Returns ``x``, of at most 2**22, rounded to the nearest integer, ties to even.

    The sum has no bits for fractions, so the processor rounds it as we want. It is taken off again
    in integers: TVM would cancel the sum and the difference of floats.
    """
    return _steps_of(x + _number(_MAGIC), _MAGIC_BITS).astype("float32")


def _steps_of(moved: Any, bits: int) -> Any:
    return tirx.reinterpret("int32", moved) - tirx.const(bits, "int32")


def _whole_number(cast: Any) -> Any:
    """Returns the integer that a rounded number was made of, where ``cast`` makes it one again."""
    inner = cast.value
    back = str(cast.ty.dtype) == INT32.name and isinstance(inner, tirx.Cast)
    return inner.value if back and str(inner.value.ty.dtype) == INT32.name else None


def _nearbyint(x: Any) -> Any:
    if _is_small(x):
        return _rounded(x)

    def of(x: Any) -> Any:
        size = tirx.Select(x < _number(0.0), _number(0.0) - x, x)
        whole = _steps_of(size + _number(2.0**23), _BITS_OF_2_23).astype("float32")
        signed = tirx.Select(x < _number(0.0), _number(0.0) - whole, whole)
        return tirx.Select(size < _number(2.0**23), signed, x)

    return _let(x, of)


def _is_small(x: Any) -> bool:
    """Returns whether ``x`` is clipped to numbers that `_rounded` can round."""
    bounds = []
    while isinstance(x, (tirx.Min, tirx.Max)) and isinstance(x.b, tirx.FloatImm):
        bounds.append((type(x), abs(float(x.b.value))))
        x = x.a
    kinds = {kind for kind, _ in bounds}
    return kinds == {tirx.Min, tirx.Max} and all(b < 2.0**22 for _, b in bounds)


def _sigmoid(x: Any) -> Any:
    return _number(1.0) / (_number(1.0) + _exp(_number(0.0) - x))


def _rational(x: Any, limit: float, above: Sequence[float], below: Sequence[float]) -> Any:
    def of(x: Any) -> Any:
        return _let(x * x, lambda s: x * _polynomial(s, above) / _polynomial(s, below))

    return _let(_clamped(x, -limit, limit), of)


def _tanh(x: Any) -> Any:
    return _rational(x, 7.90531110763549805, _TANH, _TANH_BELOW)


def _erf(x: Any) -> Any:
    return _rational(x, 4.0, _ERF, _ERF_BELOW)


_RULES = {
    "tirx.nearbyint": _nearbyint,
    "tirx.exp": _exp,
    "tirx.sigmoid": _sigmoid,
    "tirx.tanh": _tanh,
    "tirx.erf": _erf,
}
