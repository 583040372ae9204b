"""Functions of one value, element by element."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir import ops
from edgeopt.lowering import NoRuleError
from edgeopt.quantization.quantized_program import fixed_spec
from edgeopt_tflite.operator_rules import lowers
from edgeopt_tflite.ops.common import UNLIMITED, limited, unreached
from edgeopt_tflite.ops.exact import exact_unary, requantized, tabulated

if TYPE_CHECKING:
    from edgeopt_tflite.emitter import Emitter
    from edgeopt_tflite.flatbuffer import Tensor

__all__: list[str] = []

aten = torch.ops.aten

_LIMITERS = {
    (0.0, math.inf): "RELU",
    (0.0, 6.0): "RELU6",
    (-1.0, 1.0): "RELU_N1_TO_1",
    (0.0, 1.0): "RELU_0_TO_1",
}
_PLAIN: dict[Any, tuple[str, str]] = {
    aten.abs.default: ("ABS", "Abs"),
    aten.ceil.default: ("CEIL", ""),
    aten.cos.default: ("COS", "Cos"),
    aten.exp.default: ("EXP", "Exp"),
    aten.floor.default: ("FLOOR", ""),
    aten.log.default: ("LOG", ""),
    aten.neg.default: ("NEG", "Neg"),
    aten.round.default: ("ROUND", ""),
    aten.rsqrt.default: ("RSQRT", ""),
    aten.sign.default: ("SIGN", "Sign"),
    aten.sin.default: ("SIN", ""),
    aten.sqrt.default: ("SQRT", ""),
}


def unary(
    e: Emitter,
    node: torch.fx.Node,
    code: str,
    options: str = "",
    *,
    integer: bool = False,
    **values: Any,
) -> None:
    """Writes ``node`` as an operator with one input and an output of the same shape."""
    operand = e.read(e.operand(node), integer=integer)
    grid = e.grid(node) if integer else None
    tensor = operand.tensor
    output = e.emit(code, [tensor], tensor.shape, options, dtype=e.dtype(node), grid=grid, **values)
    e.write(node, output, operand.order)


@lowers(aten.relu.default, aten.clamp.default)
def _limit(e: Emitter, node: torch.fx.Node) -> None:
    """On a grid: rounds to the grid of the result first, whose ends often are the limits."""
    integer = e.is_integer(node)
    operand = e.read(e.operand(node), integer=integer)
    tensor, limits, grid = operand.tensor, ops.activation_bounds(node), e.grid(node)
    if integer and grid is not None and tensor.grid is not None:
        limits = unreached(grid, limits)
        if not tensor.grid.same_grid(grid):
            tensor = requantized(e, tensor, grid)
    e.write(node, _kept_within(e, tensor, limits), operand.order)


def _kept_within(e: Emitter, tensor: Tensor, limits: tuple[float, float]) -> Tensor:
    if limits == UNLIMITED:
        return tensor
    code = _LIMITERS.get(limits)
    if code is None or (tensor.grid is not None and code == "RELU_0_TO_1"):
        return limited(e, tensor, limits)
    return e.emit(code, [tensor], tensor.shape, dtype=tensor.dtype, grid=tensor.grid)


@lowers(aten.sigmoid.default, aten.tanh.default)
def _squash(e: Emitter, node: torch.fx.Node) -> None:
    """The integer kernels give the grid that TFLite prescribes, and no other."""
    prescribed, grid = fixed_spec(node.target), e.grid(node)
    fits = grid is not None and prescribed is not None and grid.same_grid(prescribed)
    code = "LOGISTIC" if node.target is aten.sigmoid.default else "TANH"
    unary(e, node, code, integer=fits and e.is_integer(node))


@lowers(aten.gelu.default)
def _gelu(e: Emitter, node: torch.fx.Node) -> None:
    approximate = node.kwargs.get("approximate", "none") == "tanh"
    unary(e, node, "GELU", "Gelu", integer=e.is_integer(node), approximate=approximate)


@lowers(aten.gelu.default)
def _gelu_from_table(e: Emitter, node: torch.fx.Node) -> None:
    """For a runtime without the operator: on int8, 256 values are all there are."""
    parameters = e.grid(node)
    if parameters is None or not e.is_integer(node):
        raise NoRuleError("only values on a grid can be looked up")
    value = e.read(e.operand(node), integer=True)
    table = tabulated(e, value.tensor, parameters, lambda x: aten.gelu(x, **node.kwargs))
    e.write(node, table, value.order)


def _unary_by_value(
    e: Emitter, node: torch.fx.Node, code: str, options: str, **values: Any
) -> None:
    """Writes an operator whose integer kernel is not exact: on int8, by the value of each integer."""
    parameters = e.grid(node)
    if parameters is None or not e.is_integer(node):
        unary(e, node, code, options, **values)
        return
    value = e.read(e.operand(node), integer=True)

    def function(x: torch.Tensor) -> torch.Tensor:
        return node.target(x, *node.args[1:], **node.kwargs)  # type: ignore[operator, no-any-return]

    def write(tensor: Tensor) -> Tensor:
        return e.emit(code, [tensor], tensor.shape, options, **values)

    e.write(node, exact_unary(e, value.tensor, parameters, function, write), value.order)


@lowers(aten.hardswish.default)
def _hard_swish(e: Emitter, node: torch.fx.Node) -> None:
    _unary_by_value(e, node, "HARD_SWISH", "HardSwish")


@lowers(aten.leaky_relu.default)
def _leaky_relu(e: Emitter, node: torch.fx.Node) -> None:
    slope = float(node.args[1]) if len(node.args) > 1 else 0.01  # type: ignore[arg-type]
    _unary_by_value(e, node, "LEAKY_RELU", "LeakyRelu", alpha=slope)


def _elu_check(_: Emitter, node: torch.fx.Node) -> str:
    factors = [*node.args[1:], *node.kwargs.values()]
    return "" if all(f == 1 for f in factors) else f"TFLite's ELU has no factors, here {factors}"


@lowers(aten.elu.default, refusal=_elu_check)
def _elu(e: Emitter, node: torch.fx.Node) -> None:
    unary(e, node, "ELU", integer=e.is_integer(node))


@lowers(*_PLAIN)
def _plain(e: Emitter, node: torch.fx.Node) -> None:
    unary(e, node, *_PLAIN[node.target])


@lowers(aten.reciprocal.default)
def _reciprocal(e: Emitter, node: torch.fx.Node) -> None:
    operand = e.read(e.operand(node))
    one = e.scalar(1.0, "float32")
    e.write(node, e.emit("DIV", [one, operand.tensor], operand.tensor.shape, "Div"), operand.order)
