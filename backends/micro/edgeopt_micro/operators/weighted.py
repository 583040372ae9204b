"""Convolutions and linears: on integers by the kernels of the core, in float by loops."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgeopt.contracts.storage import INT8, INT32
from edgeopt.ir import gives_real_sums, kernel_kind, ops, orders
from edgeopt.lowering import NoRuleError
from edgeopt_micro.loops import element, nest
from edgeopt_micro.operator_rules import rule
from edgeopt_micro.operators.common import between, fused, fused_ends, require_float
from edgeopt_micro.scalars import real, stored
from edgeopt_micro.weighted import Geometry, Weights, convolution

if TYPE_CHECKING:
    from edgeopt_micro.emitter import Emitter
    from edgeopt_micro.values import Grid, Value

aten = torch.ops.aten
_CEILING = 2**31 - 1


@rule(aten.conv1d.default, aten.conv2d.default)
def _convolution(e: Emitter, node: Any) -> Value | None:
    x = e.in_order(e.value(node.args[0]), orders.channels_last(len(e.shape(node))))
    if _on_integers(e, node):
        return _integers(e, node, x)
    require_float(e, node)
    return _float_convolution(e, node, x)


@rule(aten.linear.default)
def _linear(e: Emitter, node: Any) -> Value | None:
    x = e.value(node.args[0])
    last = len(x.shape) - 1
    if x.order[-1] != last:
        x = e.in_order(x, orders.with_last(x.order, last))
    if _on_integers(e, node):
        return _integers(e, node, x)
    require_float(e, node)
    return _float_linear(e, node, x)


@rule(aten.conv_transpose2d.input)
def _transposed(e: Emitter, node: Any) -> Value | None:
    x = e.in_order(e.value(node.args[0]), orders.channels_last(4))
    if not _on_integers(e, node):
        require_float(e, node)
    return _scattered(e, node, x)


# -- integers ---------------------------------------------------------------------------------------


def _on_integers(e: Emitter, node: Any) -> bool:
    """Whether its kernel for integers fits: those write integers, no real sums."""
    integer = kernel_kind(e.program, node).kind == "integer"
    return integer and not gives_real_sums(e.program, node)


def _integers(e: Emitter, node: Any, x: Value) -> Value | None:
    """Writes an integer convolution or linear, with the activation behind it."""
    last = ops.fused_activation(node) or node
    output = e.described(last, _result_order(node, x))
    try:
        call = convolution(e.core, _geometry(e, node), _weights(e, node, x, output))
    except ValueError as error:
        raise NoRuleError(str(error)) from error
    return fused(e, node, call, [x], output)


def _result_order(node: Any, x: Value) -> orders.Order:
    linear = node.target is aten.linear.default
    return x.order if linear else orders.channels_last(len(x.shape))


def _geometry(e: Emitter, node: Any) -> Geometry:
    x, y = e.shape(node.args[0]), e.shape(node)
    if node.target is aten.linear.default:
        return Geometry(math.prod(x[:-1]), (1, 1), (1, 1), x[-1], y[-1])
    stride, padding, dilation, groups = node.args[3:7]
    flat = len(x) == 3  # noqa: PLR2004 (batch, channels, length)

    def pair(values: Any, fill: int) -> tuple[int, int]:
        one, *more = (int(v) for v in values)
        return (fill, one) if flat else (one, (more or [one])[0])

    return Geometry(
        batch=x[0],
        in_size=(1, x[2]) if flat else (x[2], x[3]),
        out_size=(1, y[2]) if flat else (y[2], y[3]),
        in_channels=x[1],
        out_channels=y[1],
        kernel=pair(e.shape(node.args[1])[2:], 1),
        stride=pair(stride, 1),
        padding=pair(padding, 0),
        dilation=pair(dilation, 1),
        groups=int(groups),
    )


def _weights(e: Emitter, node: Any, x: Value, output: Value) -> Weights:
    """Returns the numbers of an integer convolution or linear, as `edgeopt.ir.reference` has them."""
    _, weight, _ = ops.weighted_parts(node)
    integers = _integer_weight(e, node)
    flat = integers.reshape(*integers.shape[:2], -1)
    kernel = integers.shape[2:] if integers.ndim == 4 else (1, flat.shape[2])  # noqa: PLR2004
    step = e.program.quant[node.args[0].name].scale * e.program.quant[weight.name].scale
    factor = step / e.program.quant[output.buffer.name].scale
    channels = integers.shape[0]
    assert x.grid is not None  # noqa: S101 (it is an integer operator)
    assert output.grid is not None  # noqa: S101
    low, high = _bounds(node, output.grid)
    return Weights(
        weight=np.ascontiguousarray(flat.transpose(0, 2, 1)).reshape(channels, *kernel, -1),
        bias=_whole_bias(e, node, step),
        factor=factor.expand(channels).numpy().copy(),
        in_zero=x.grid.zero,
        out_zero=output.grid.zero,
        low=low,
        high=high,
    )


def _integer_weight(e: Emitter, node: Any) -> np.ndarray:
    """Returns the int8 weight, the output channels first."""
    _, weight, _ = ops.weighted_parts(node)
    spec = e.program.quant[weight.name]
    if bool(spec.zero_point.any()):
        raise NoRuleError("a weight whose zero is not zero")
    integers: np.ndarray = spec.quantize(e.program.constants[weight.name].detach()).numpy()
    return integers


def _whole_bias(e: Emitter, node: Any, step: torch.Tensor) -> np.ndarray:
    _, _, bias = ops.weighted_parts(node)
    channels = e.shape(node)[ops.result_channel_axis(node)]
    if bias is None:
        return np.zeros(channels, np.int32)
    if bias.name not in e.program.constants:
        raise NoRuleError("a bias that is computed")
    whole = torch.round(e.program.constants[bias.name].detach().double() / step.double())
    if float(whole.abs().max()) > _CEILING:
        raise NoRuleError("its bias exceeds 32 bits")
    return whole.to(getattr(torch, INT32.name)).expand(channels).numpy().copy()


def _bounds(node: Any, grid: Grid) -> tuple[int, int]:
    """Returns the ends of an output's integers, an activation's bounds included."""
    activation = ops.fused_activation(node)
    if activation is None:
        return grid.low, grid.high
    low, high = ops.activation_bounds(activation)
    return _end(low, grid), _end(high, grid)


def _end(bound: float, grid: Grid) -> int:
    """Returns the integer that a bound becomes, as the reference rounds it: the clamped value, in float64."""
    if math.isinf(bound):
        return grid.low if bound < 0 else grid.high
    steps = torch.round(torch.tensor(bound, dtype=torch.float64) / float(grid.scale))
    return int(min(max(int(steps) + grid.zero, grid.low), grid.high))


# -- float ------------------------------------------------------------------------------------------


class _Floats:
    """The weight and bias of a float operator as C expressions; int8 weights stay so in flash."""

    def __init__(self, e: Emitter, node: Any) -> None:
        _, weight, bias = ops.weighted_parts(node)
        spec = e.program.quant.get(weight.name)
        self.numbers: dict[str, Any] = {}
        self.scaled = False
        if weight.name in e.program.constants and spec is not None and spec.storage == INT8:
            if bool(spec.zero_point.any()):
                raise NoRuleError("a weight whose zero is not zero")
            self.weight = e.array_value(weight.name, _integer_weight(e, node))
            self.numbers["scales"] = _by_channel(e, node, spec.scale)
            self.scaled = True
        else:
            self.weight = e.plain(e.value(weight))
        if bias is not None:
            if bias.name not in e.program.constants:
                raise NoRuleError("a bias that is computed")
            self.numbers["bias"] = e.program.constants[bias.name].detach().float().numpy()

    def finished(self, output: Value, channel: str, ends: tuple[float, float]) -> str:
        """Returns the C expression of what is stored of ``sum``."""
        total = f"sum * scales[{channel}]" if self.scaled else "sum"
        if "bias" in self.numbers:
            total = f"{total} + bias[{channel}]"
        return stored(output, between(total, *ends))


def _by_channel(e: Emitter, node: Any, values: torch.Tensor) -> np.ndarray:
    """Returns one number for each output channel; of a transposed convolution each group has the same."""
    channels = e.shape(node)[ops.result_channel_axis(node)]
    repeated: np.ndarray = np.resize(values.numpy(), channels)
    return repeated


def _float_linear(e: Emitter, node: Any, x: Value) -> Value:
    last = ops.fused_activation(node) or node
    output = e.described(last, _result_order(node, x))
    parts = _Floats(e, node)

    def body(*index: str) -> str:
        channel = index[-1]
        read = real(x, element(x, "x0", (*index[:-1], "k")))
        return (
            "float sum = 0.0f;\n"
            f"for (int k = 0; k < {x.shape[-1]}; k++) sum += {read} * "
            f"(float){element(parts.weight, 'x1', (channel, 'k'))};\n"
            f"{element(output, 'y', index)} = {parts.finished(output, channel, fused_ends(node))};"
        )

    call = nest(output, [x, parts.weight], body, parts.numbers, name="linear")
    return fused(e, node, call, [x, parts.weight], output)


def _float_convolution(e: Emitter, node: Any, x: Value) -> Value:
    g = _geometry(e, node)
    last = ops.fused_activation(node) or node
    output = e.described(last, orders.channels_last(len(x.shape)))
    parts = _Floats(e, node)
    flat = len(x.shape) == 3  # noqa: PLR2004 (batch, channels, length)
    inputs, outputs = g.in_channels // g.groups, g.out_channels // g.groups

    def body(*index: str) -> str:
        n, channel, *place = index
        down, across = ("0", place[0]) if flat else (place[0], place[1])
        first = f"{channel} / {outputs} * {inputs} + c" if g.groups > 1 else "c"
        source = (n, first, "w") if flat else (n, first, "h", "w")
        kernel = (channel, "c", "v") if flat else (channel, "c", "u", "v")
        return "\n".join(
            [
                "float sum = 0.0f;",
                f"for (int u = 0; u < {g.kernel[0]}; u++) {{",
                f"  int h = {down} * {g.stride[0]} + u * {g.dilation[0]} - {g.padding[0]};",
                f"  if (h < 0 || h >= {g.in_size[0]}) continue;",
                f"  for (int v = 0; v < {g.kernel[1]}; v++) {{",
                f"    int w = {across} * {g.stride[1]} + v * {g.dilation[1]} - {g.padding[1]};",
                f"    if (w < 0 || w >= {g.in_size[1]}) continue;",
                f"    for (int c = 0; c < {inputs}; c++)",
                f"      sum += {real(x, element(x, 'x0', source))} * (float){element(parts.weight, 'x1', kernel)};",
                "  }",
                "}",
                f"{element(output, 'y', index)} = {parts.finished(output, channel, fused_ends(node))};",
            ]
        )

    call = nest(output, [x, parts.weight], body, parts.numbers, name="convolution")
    return fused(e, node, call, [x, parts.weight], output)


# -- transposed -------------------------------------------------------------------------------------


def _scattered(e: Emitter, node: Any, x: Value) -> Value:
    """Writes a transposed convolution: each output number gathers what would be scattered onto it."""
    stride, padding, _, groups, dilation = (*node.args[3:], 1, (1, 1))[:5]
    whole = _on_integers(e, node)
    last = ops.fused_activation(node) or node
    output = e.described(last, orders.channels_last(4))
    parts = _Floats(e, node)
    kernel = e.shape(node.args[1])[2:]
    inputs, outputs = x.shape[1] // int(groups), output.shape[1] // int(groups)
    numbers = dict(parts.numbers)
    finish = parts.finished(output, "{channel}", fused_ends(node))
    if whole:
        numbers, finish = _whole_finish(e, node, output)

    def body(*index: str) -> str:
        n, channel, down, across = index
        first = f"{channel} / {outputs} * {inputs} + c"
        place = f"x1[((({first}) * {outputs} + {channel} % {outputs}) * {kernel[0]} + u) * {kernel[1]} + v]"
        read = element(x, "x0", (n, first, "h", "w"))
        product = (
            f"({read} - ({x.grid.zero})) * {place}"
            if whole and x.grid
            else f"{real(x, read)} * (float){place}"
        )
        return "\n".join(
            [
                "int32_t sum = 0;" if whole else "float sum = 0.0f;",
                f"for (int u = 0; u < {kernel[0]}; u++) {{",
                f"  int h = {down} + {padding[0]} - u * {dilation[0]};",
                f"  if (h < 0 || h % {stride[0]} || (h /= {stride[0]}) >= {x.shape[2]}) continue;",
                f"  for (int v = 0; v < {kernel[1]}; v++) {{",
                f"    int w = {across} + {padding[1]} - v * {dilation[1]};",
                f"    if (w < 0 || w % {stride[1]} || (w /= {stride[1]}) >= {x.shape[3]}) continue;",
                f"    for (int c = 0; c < {inputs}; c++) sum += {product};",
                "  }",
                "}",
                f"{element(output, 'y', index)} = {finish.replace('{channel}', channel)};",
            ]
        )

    call = nest(output, [x, parts.weight], body, numbers, name="transposed")
    call = replace(call, sources=(*call.sources, "edgeopt_scaled.h")) if whole else call
    return fused(e, node, call, [x, parts.weight], output)


def _whole_finish(e: Emitter, node: Any, output: Value) -> tuple[dict[str, Any], str]:
    """Returns the constants, and the C expression of the output's integer, of the exact ``sum``."""
    _, weight, _ = ops.weighted_parts(node)
    assert output.grid is not None  # noqa: S101 (it is an integer operator)
    step = e.program.quant[node.args[0].name].scale * e.program.quant[weight.name].scale
    factor = step / e.program.quant[output.buffer.name].scale
    numbers = {
        "bias": _whole_bias(e, node, step),
        "factors": _by_channel(e, node, factor),
    }
    low, high = _bounds(node, output.grid)
    rounded = "edgeopt_scaled(sum + bias[{channel}], factors[{channel}])"
    return numbers, f"(int8_t)edgeopt_clamped({rounded} + ({output.grid.zero}), {low}, {high})"
