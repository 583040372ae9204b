"""Softmax, normalizations and products of two values; float, but for softmax on a core without float."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgeopt.contracts.storage import INT8
from edgeopt.lowering import NoRuleError
from edgeopt_micro.loops import element, nest
from edgeopt_micro.operator_rules import rule
from edgeopt_micro.operators.common import replaced_index, require_float
from edgeopt_micro.scalars import literal, real, stored
from edgeopt_micro.values import Buffer, Grid

if TYPE_CHECKING:
    from edgeopt_micro.emitter import Emitter
    from edgeopt_micro.values import Value

aten = torch.ops.aten
_FRACTION = 23
"""Bits of an exponential's fixed-point table."""


_SHARES = Grid(scale=2.0**-8, zero=INT8.lowest, low=INT8.lowest, high=INT8.highest)
"""What a core without FPU gives for a softmax that the program keeps in float."""


@rule(aten.softmax.int)
def _softmax(e: Emitter, node: Any) -> Value:
    x = e.value(node.args[0])
    axis = node.args[1] % len(x.shape)
    output = e.described(node, x.order)
    if not e.core.fpu and x.grid is not None:
        shares = replace(output, dtype=INT8.name, grid=output.grid or _SHARES)
        buffer = Buffer("arena", shares.size_bytes, node.name)
        return _whole_softmax(e, x, replace(shares, buffer=buffer), axis)
    require_float(e, node)

    def body(*index: str) -> str:
        read = real(x, element(x, "x0", replaced_index(index, axis, "k")))
        goal = element(output, "y", replaced_index(index, axis, "k"))
        over = f"for (int k = 0; k < {x.shape[axis]}; k++)"
        return "\n".join([
            "float top = edgeopt_float(0xff800000u), sum = 0.0f;",
            f"{over} top = edgeopt_maximum(top, {read});",
            f"{over} sum += edgeopt_exp({read} - top);",
            f"{over} {goal} = {stored(output, f'edgeopt_exp({read} - top) / sum')};",
        ])  # fmt: skip

    rest = [d for d in range(len(x.shape)) if d != axis]
    return e.call(nest(output, [x], body, name="softmax", over=rest), [x], output)


def _whole_softmax(e: Emitter, x: Value, output: Value, axis: int) -> Value:
    """Writes softmax by a table of exponentials in fixed point: within one step of the reference."""
    assert x.grid is not None  # noqa: S101 (asked by the caller)
    assert output.grid is not None  # noqa: S101
    steps = np.arange(256, dtype=np.float64)
    table = np.round(np.exp(-steps * x.grid.scale) * 2.0**_FRACTION).astype(np.int32)
    if x.shape[axis] > 256:  # noqa: PLR2004 (the sum of exponentials is 31 bits)
        raise NoRuleError("over more than 256 numbers")
    factor, zero = round(1 / output.grid.scale), output.grid.zero

    def body(*index: str) -> str:
        read = element(x, "x0", replaced_index(index, axis, "k"))
        goal = element(output, "y", replaced_index(index, axis, "k"))
        over = f"for (int k = 0; k < {x.shape[axis]}; k++)"
        return "\n".join([
            "int32_t top = -128;",
            "uint32_t sum = 0;",
            f"{over} if ({read} > top) top = {read};",
            f"{over} sum += (uint32_t)table[top - {read}];",
            f"{over} {{",
            f"  uint32_t share = (uint32_t)(((uint64_t)(uint32_t)table[top - {read}] * {factor}u + sum / 2u) / sum);",
            f"  {goal} = (int8_t)edgeopt_clamped((int32_t)share + ({zero}), low, high);",
            "}",
        ])  # fmt: skip

    numbers: dict[str, Any] = {
        "table": table,
        "low": output.grid.low,
        "high": output.grid.high,
    }
    rest = [d for d in range(len(x.shape)) if d != axis]
    return e.call(nest(output, [x], body, numbers, name="softmax", over=rest), [x], output)


@rule(aten.layer_norm.default)
def _layer_norm(e: Emitter, node: Any) -> Value:
    require_float(e, node)
    x = e.plain(e.value(node.args[0]))
    width = math.prod(node.args[1])
    output = e.described(node)
    weight, bias = (*node.args[2:4], None, None)[:2]
    epsilon = node.args[4] if len(node.args) > 4 else 1e-5  # noqa: PLR2004 (its place)
    numbers = _affine(e, weight, bias)
    rows = math.prod(x.shape) // width
    return _normalized(e, x, output, numbers, (rows, width, "k", epsilon))


@rule(aten.group_norm.default)
def _group_norm(e: Emitter, node: Any) -> Value:
    require_float(e, node)
    x = e.plain(e.value(node.args[0]))
    groups = int(node.args[1])
    output = e.described(node)
    weight, bias = (*node.args[2:4], None, None)[:2]
    epsilon = node.args[4] if len(node.args) > 4 else 1e-5  # noqa: PLR2004 (its place)
    channels = x.shape[1]
    width = math.prod(x.shape[1:]) // groups
    each = math.prod(x.shape[2:])
    place = f"(row % {groups} * {channels // groups} + k / {each})"
    numbers = _affine(e, weight, bias)
    return _normalized(e, x, output, numbers, (x.shape[0] * groups, width, place, epsilon))


def _affine(e: Emitter, weight: Any, bias: Any) -> dict[str, Any]:
    numbers = {}
    for name, node in (("weight", weight), ("bias", bias)):
        if node is None:
            continue
        if node.name not in e.program.constants:
            raise NoRuleError(f"a {name} that is computed")
        tensor = e.program.constants[node.name].detach().float()
        numbers[name] = np.ascontiguousarray(tensor.numpy().reshape(-1))
    return numbers


def _normalized(
    e: Emitter,
    x: Value,
    output: Value,
    numbers: dict[str, Any],
    rows: tuple[int, int, str, float],
) -> Value:
    """Writes a normalization of each of ``rows[0]`` rows of ``rows[1]`` numbers in plain memory."""
    count, width, place, epsilon = rows

    def body(*_: str) -> str:
        read = real(x, f"x0[row * {width} + k]")
        over = f"  for (int k = 0; k < {width}; k++)"
        result = f"({read} - mean) * factor"
        result += f" * weight[{place}]" if "weight" in numbers else ""
        result += f" + bias[{place}]" if "bias" in numbers else ""
        return "\n".join([
            f"for (int row = 0; row < {count}; row++) {{",
            "  float mean = 0.0f, spread = 0.0f;",
            f"{over} mean += {read};",
            f"  mean /= {float(width)!r}f;",
            f"{over} {{ float d = {read} - mean; spread += d * d; }}",
            f"  float factor = 1.0f / edgeopt_sqrt(spread / {float(width)!r}f + {literal(float(epsilon))});",
            f"{over} y[row * {width} + k] = {stored(output, result)};",
            "}",
        ])  # fmt: skip

    return e.call(nest(output, [x], body, numbers, name="normalize", over=()), [x], output)


@rule(aten.matmul.default)
def _matmul(e: Emitter, node: Any) -> Value:
    a, b = (e.value(one) for one in node.args[:2])
    if min(len(a.shape), len(b.shape)) < 2:  # noqa: PLR2004 (matrices)
        raise NoRuleError("of vectors")
    require_float(e, node)
    output = e.described(node)
    common = a.shape[-1]

    def read(value: Value, name: str, rows: tuple[str, ...]) -> str:
        places = rows[len(rows) - len(value.shape) :]
        own = ["0" if n == 1 else i for n, i in zip(value.shape, places, strict=True)]
        return real(value, element(value, name, own))

    def body(*index: str) -> str:
        left = read(a, "x0", (*index[:-1], "k"))
        right = read(b, "x1", (*index[:-2], "k", index[-1]))
        return (
            "float sum = 0.0f;\n"
            f"for (int k = 0; k < {common}; k++) sum += {left} * {right};\n"
            f"{element(output, 'y', index)} = {stored(output, 'sum')};"
        )

    return e.call(nest(output, [a, b], body, name="matmul"), [a, b], output)
