"""Operators of numbers at the same place: by table, by a verified integer form, or in float."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgeopt.contracts.storage import INT8
from edgeopt.ir import ops
from edgeopt.lowering import NoRuleError
from edgeopt_micro.fixed_point import Affine, fitted
from edgeopt_micro.loops import pointwise
from edgeopt_micro.operator_rules import rule
from edgeopt_micro.operators.common import (
    EVERY,
    best_order,
    between,
    fused_ends,
    is_value,
    moved_to,
    operand,
    require_float,
    require_float_or_end,
)
from edgeopt_micro.scalars import literal, real, stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt_micro.emitter import Emitter
    from edgeopt_micro.values import Value

aten = torch.ops.aten

_UNARY = {
    aten.abs.default: "edgeopt_absolute({x})",
    aten.ceil.default: "edgeopt_ceil({x})",
    aten.cos.default: "edgeopt_cos({x})",
    aten.erf.default: "edgeopt_erf({x})",
    aten.exp.default: "edgeopt_exp({x})",
    aten.exp2.default: "edgeopt_exp({x} * 0.693147181f)",
    aten.expm1.default: "edgeopt_expm1({x})",
    aten.floor.default: "edgeopt_floor({x})",
    aten.hardswish.default: "{x} * edgeopt_minimum(edgeopt_maximum({x} + 3.0f, 0.0f), 6.0f) / 6.0f",
    aten.log.default: "edgeopt_log({x})",
    aten.log10.default: "edgeopt_log({x}) * 0.434294482f",
    aten.log2.default: "edgeopt_log({x}) * 1.44269504f",
    aten.log_sigmoid.default: (
        "edgeopt_minimum({x}, 0.0f) - edgeopt_log(1.0f + edgeopt_exp(-edgeopt_absolute({x})))"
    ),
    aten.neg.default: "-{x}",
    aten.reciprocal.default: "1.0f / {x}",
    aten.relu.default: "edgeopt_maximum({x}, 0.0f)",
    aten.round.default: "edgeopt_round({x})",
    aten.rsqrt.default: "1.0f / edgeopt_sqrt({x})",
    aten.sigmoid.default: "edgeopt_sigmoid({x})",
    aten.sign.default: "(float)(({x} > 0.0f) - ({x} < 0.0f))",
    aten.sin.default: "edgeopt_sin({x})",
    aten.sqrt.default: "edgeopt_sqrt({x})",
    aten.tanh.default: "edgeopt_tanh({x})",
}
"""What torch computes, in C; ``{x}`` is a name."""

_BINARY = {
    aten.add.Tensor: "({a} + {b})",
    aten.sub.Tensor: "({a} - {b})",
    aten.mul.Tensor: "({a} * {b})",
    aten.div.Tensor: "({a} / {b})",
    aten.maximum.default: "edgeopt_maximum({a}, {b})",
    aten.minimum.default: "edgeopt_minimum({a}, {b})",
    aten.pow.Tensor_Tensor: "edgeopt_pow({a}, {b})",
}
_EXTREMES = (aten.maximum.default, aten.minimum.default)
_WHOLE = {
    aten.add.Tensor: "{a} + {b}",
    aten.sub.Tensor: "{a} - {b}",
    aten.mul.Tensor: "{a} * {b}",
    aten.maximum.default: "{a} > {b} ? {a} : {b}",
    aten.minimum.default: "{a} < {b} ? {a} : {b}",
    aten.bitwise_and.Tensor: "{a} & {b}",
    aten.bitwise_or.Tensor: "{a} | {b}",
    aten.bitwise_xor.Tensor: "{a} ^ {b}",
    aten.logical_and.default: "{a} && {b}",
    aten.logical_or.default: "{a} || {b}",
    aten.logical_xor.default: "!{a} != !{b}",
}


# -- one input --------------------------------------------------------------------------------------


@rule(aten.alias.default)
def _alias(e: Emitter, node: Any) -> Value:
    x = e.value(node.args[0])
    return e.view(node, x, x.order)


def _by_table(e: Emitter, node: Any, last: Any, x: Value, output: Value) -> Value:
    """Writes a function of int8 as the table of its 256 results, which torch computes."""
    table = simulated(e, node, last, [EVERY])
    call = pointwise(output, [x], lambda a: f"table[{a} + 128]", {"table": table}, name="table")
    return e.call(call, [x], output)


_OF_WHOLE = {
    aten.abs.default: "{x} < 0 ? -{x} : {x}",
    aten.neg.default: "-{x}",
    aten.relu.default: "{x} < 0 ? 0 : {x}",
    aten.sign.default: "({x} > 0) - ({x} < 0)",
}
"""What is computed of numbers that are whole in the model itself."""


def _in_float(e: Emitter, node: Any, x: Value, output: Value) -> Value:
    if x.grid is None and output.grid is None and output.dtype != "float32":
        whole = _OF_WHOLE.get(node.target, "")
        if not whole or x.dtype != output.dtype:
            raise NoRuleError(f"from {x.dtype} to {output.dtype}")
        return e.call(pointwise(output, [x], lambda a: whole.format(x=a)), [x], output)
    require_float(e, node)
    text = _UNARY[node.target] if node.target in _UNARY else _FORMULAS[node.target](node)
    call = pointwise(output, [x], lambda a: stored(output, text.format(x=real(x, a))))
    return e.call(call, [x], output)


def _clamp(node: Any) -> str:
    return between("{x}", *ops.activation_bounds(node))


def _gelu(node: Any) -> str:
    if node.kwargs.get("approximate", "none") == "none":
        return "0.5f * {x} * (1.0f + edgeopt_erf({x} * 0.707106781f))"
    bent = "0.797884561f * ({x} + 0.044715f * {x} * {x} * {x})"
    return f"0.5f * {{x}} * (1.0f + edgeopt_tanh({bent}))"


def _leaky_relu(node: Any) -> str:
    return f"{{x}} > 0.0f ? {{x}} : {literal(float((*node.args[1:], 0.01)[0]))} * {{x}}"


def _elu(node: Any) -> str:
    settings = node.args[1:]
    alpha, scale, inside = (float(v) for v in (*settings, *(1.0, 1.0, 1.0)[len(settings) :]))
    negative = f"{literal(alpha * scale)} * edgeopt_expm1({literal(inside)} * {{x}})"
    return f"{{x}} > 0.0f ? {literal(scale)} * {{x}} : {negative}"


def _power(node: Any) -> str:
    if node.args[1] == 2:  # noqa: PLR2004 (a square)
        return "{x} * {x}"
    return f"edgeopt_pow({{x}}, {literal(float(node.args[1]))})"


_FORMULAS = {
    aten.clamp.default: _clamp,
    aten.elu.default: _elu,
    aten.gelu.default: _gelu,
    aten.leaky_relu.default: _leaky_relu,
    aten.pow.Tensor_Scalar: _power,
}
"""What makes the C formula of an operator with settings."""


@rule(*_UNARY, *_FORMULAS)
def _unary(e: Emitter, node: Any) -> Value:
    x = e.value(node.args[0])
    output = e.described(node, x.order)
    if x.grid is not None and output.grid is not None:
        return _by_table(e, node, node, x, output)
    return _in_float(e, node, x, output)


# -- two inputs -------------------------------------------------------------------------------------


@rule(*_BINARY, *(target for target in _WHOLE if target not in _BINARY))
def _binary(e: Emitter, node: Any) -> Value:
    a, b = (operand(e, argument) for argument in node.args[:2])
    last = ops.fused_activation(node) or node
    output = e.described(last, best_order(e, node))
    varying = [one for one in dict.fromkeys((a, b)) if one.count > 1 or one.buffer.array is None]
    if len(varying) == 1 and varying[0].grid is not None and output.grid is not None:
        result = _by_table(e, node, last, varying[0], output)
    elif a.grid is not None and b.grid is not None and output.grid is not None:
        result = _on_grids(e, node, last, (a, b), output)
    elif output.dtype == "float32" or output.grid is not None:
        result = _of_floats(e, node, (a, b), output)
    else:
        text = _scaled_by_alpha(node, _WHOLE[node.target]) if node.target in _WHOLE else ""
        if not text:
            raise NoRuleError(f"of {output.dtype}")
        call = pointwise(output, [a, b], lambda x, y: text.format(a=f"({x})", b=f"({y})"))
        result = e.call(call, [a, b], output)
    if last is not node:
        e.fuse(last, result)
    return result


def _scaled_by_alpha(node: Any, text: str) -> str:
    alpha = node.kwargs.get("alpha", 1)
    return text if alpha == 1 else text.replace("{b}", f"({alpha} * {{b}})")


def _on_grids(
    e: Emitter, node: Any, last: Any, operands: tuple[Value, Value], output: Value
) -> Value:
    """Writes an operator of two int8 values: in the integer form that is right for all pairs."""
    a, b = operands
    assert output.grid is not None  # noqa: S101 (asked by the caller)
    pairs = EVERY.reshape(-1, 1), EVERY.reshape(1, -1)
    results = simulated(e, node, last, pairs)
    if node.target in _EXTREMES:
        return _of_tables(e, node, operands, output, results)
    form = _form(node, operands, output, pairs, results)
    if form is None:
        return _of_floats(e, node, operands, output)
    product = len(form.multipliers) == 1
    numbers: dict[str, Any] = {f"m{k}": m for k, m in enumerate(form.multipliers)}
    numbers |= {"c": form.constant, "low": int(results.min()), "high": int(results.max())}

    def expression(x: str, y: str) -> str:
        total = f"m0 * {x} + m1 * {y} + c"
        if product:
            zeros = [one.grid.zero for one in operands if one.grid is not None]
            total = f"m0 * (({x} - ({zeros[0]})) * ({y} - ({zeros[1]}))) + c"
        return f"(int8_t)edgeopt_clamped(({total}) >> {form.shift}, low, high)"

    return e.call(pointwise(output, [a, b], expression, numbers, name="integers"), [a, b], output)


def _of_tables(
    e: Emitter, node: Any, operands: tuple[Value, Value], output: Value, wanted: np.ndarray
) -> Value:
    """Writes the larger or smaller of two int8 values: each is looked up on the output's grid, then compared.

    Rounding keeps the order of numbers; every pair is tried all the same.
    """
    a, b = (
        moved_to(one, output, name) for one, name in zip(operands, ("of_a", "of_b"), strict=True)
    )
    choose = np.maximum if node.target is aten.maximum.default else np.minimum
    ends = int(wanted.min()), int(wanted.max())
    got = np.clip(choose(a.integers.reshape(-1, 1), b.integers.reshape(1, -1)), *ends)
    if not np.array_equal(got, wanted):
        return _of_floats(e, node, operands, output)
    numbers: dict[str, Any] = {**a.numbers, **b.numbers, "low": ends[0], "high": ends[1]}

    def expression(x: str, y: str) -> str:
        chosen = _WHOLE[node.target].format(a=a.read(x), b=b.read(y))
        return f"(int8_t)edgeopt_clamped({chosen}, low, high)"

    inputs = [operands[0], operands[1]]
    return e.call(pointwise(output, inputs, expression, numbers, name="extreme"), inputs, output)


def _form(
    node: Any,
    operands: tuple[Value, Value],
    output: Value,
    pairs: tuple[np.ndarray, np.ndarray],
    wanted: np.ndarray,
) -> Affine | None:
    a, b, goal = operands[0].grid, operands[1].grid, output.grid
    assert a is not None  # noqa: S101 (asked by the caller)
    assert b is not None  # noqa: S101
    assert goal is not None  # noqa: S101
    ends = int(wanted.min()), int(wanted.max())
    if node.target is aten.mul.Tensor:
        x, y = (one.astype(np.int64) for one in pairs)
        product = (x - a.zero) * (y - b.zero)
        return fitted([(product, a.scale * b.scale / goal.scale)], wanted, *ends)
    if node.target in (aten.add.Tensor, aten.sub.Tensor):
        sign = node.kwargs.get("alpha", 1) * (1 if node.target is aten.add.Tensor else -1)
        terms = [(pairs[0], a.scale / goal.scale), (pairs[1], sign * b.scale / goal.scale)]
        return fitted(terms, wanted, *ends)
    return None


def _of_floats(e: Emitter, node: Any, operands: tuple[Value, Value], output: Value) -> Value:
    if output.grid is None and node.target in _EXTREMES:
        require_float_or_end(e, node, operands)
    elif output.grid is None:  # else soft floats, where there is no FPU: right, and slow
        require_float(e, node)
    a, b = operands
    text = _scaled_by_alpha(node, _BINARY.get(node.target, ""))
    if not text:
        raise NoRuleError("of real numbers")
    ends = fused_ends(node)

    def expression(x: str, y: str) -> str:
        return stored(output, between(text.format(a=_as_float(a, x), b=_as_float(b, y)), *ends))

    return e.call(pointwise(output, [a, b], expression), [a, b], output)


def _as_float(value: Value, expression: str) -> str:
    if value.grid is not None or value.dtype == "float32":
        return real(value, expression)
    return f"(float){expression}"


# -- types ---------------------------------------------------------------------------------------


@rule(aten._to_copy.default, aten.to.dtype)  # noqa: SLF001 (torch's name)
def _converted(e: Emitter, node: Any) -> Value:
    x = e.value(node.args[0])
    output = e.described(node, x.order)
    if x.dtype == output.dtype and x.grid == output.grid:
        return e.view(node, x, x.order)
    if x.grid is not None or output.grid is not None:
        require_float(e, node)

    def expression(a: str) -> str:
        if output.dtype == "bool":
            return f"{real(x, a)} != 0"
        if output.grid is not None:
            return stored(output, _as_float(x, a))
        return f"({output.c_type}){real(x, a)}"

    return e.call(pointwise(output, [x], expression), [x], output)


# -- what torch computes ----------------------------------------------------------------------------


def simulated(e: Emitter, node: Any, last: Any, integers: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the integers that the reference makes of every combination of ``integers``.

    Args:
        e: Where the program is.
        node: An operator of as many tensors, number by number.
        last: It, or the activation that is fused into it.
        integers: Of each tensor, of shapes that broadcast.
    """
    quant, constants = e.program.quant, e.program.constants
    tensors = dict.fromkeys(argument for argument in node.args if is_value(argument))
    varying = [t for t in tensors if t.name not in constants or constants[t.name].numel() > 1]
    values = {one: constants[one.name] for one in tensors if one not in varying}
    for source, whole in zip(varying, integers, strict=True):
        values[source] = quant[source.name].dequantize(torch.from_numpy(whole))

    def replaced(argument: Any) -> Any:
        return values[argument] if is_value(argument) else argument

    result = node.target(*map(replaced, node.args), **node.kwargs)
    if last is not node:
        result = last.target(result, *last.args[1:])
    stored: np.ndarray = quant[last.name].quantize(quant[last.name].fake(result)).numpy()
    return stored.astype(INT8.name)
