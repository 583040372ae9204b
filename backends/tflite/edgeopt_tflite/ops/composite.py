"""Operators that are spelled as a few others: statistics, norms, gates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir import orders
from edgeopt.ir.series import TWICE_AREA_TANGENT
from edgeopt_tflite.operator_rules import lowers
from edgeopt_tflite.ops.reduction import reduce_held
from edgeopt_tflite.values import Copy

if TYPE_CHECKING:
    from edgeopt_tflite.emitter import Emitter
    from edgeopt_tflite.flatbuffer import Tensor

__all__: list[str] = []

aten = torch.ops.aten

_SPREAD = (aten.var.dim, aten.var.correction, aten.std.dim, aten.std.correction)


@lowers(*_SPREAD)
def _spread(e: Emitter, node: torch.fx.Node) -> None:
    """Variance and standard deviation: the mean square of what is left without the mean."""
    operand = e.read(e.operand(node))
    axes = _axes(node, len(operand.order))
    keep = bool(_argument(node, 3, "keepdim", default=False))
    mean = reduce_held(e, "MEAN", operand, axes, keep=True)
    centred = _binary(e, "SUB", operand.tensor, mean)
    squares = e.emit("SQUARE", [centred], centred.shape, "Square")
    total = reduce_held(e, "SUM", Copy(squares, operand.order), axes, keep=keep)
    count = math.prod(operand.tensor.shape[operand.order.index(a)] for a in axes)
    output = _binary(e, "MUL", total, e.scalar(1 / max(count - _correction(node), 0.0), "float32"))
    if node.target in (aten.std.dim, aten.std.correction):
        output = e.emit("SQRT", [output], output.shape)
    e.write(node, output, operand.order if keep else orders.reduced(operand.order, axes))


def _correction(node: torch.fx.Node) -> float:
    if node.target in (aten.var.dim, aten.std.dim):
        return float(bool(_argument(node, 2, "unbiased", default=True)))
    correction = node.kwargs.get("correction")
    return 1.0 if correction is None else float(correction)  # type: ignore[arg-type]


def _axes(node: torch.fx.Node, rank: int, at: int = 1) -> list[int]:
    argument: Any = _argument(node, at, "dim", default=None)
    listed = [argument] if isinstance(argument, int) else list(argument or range(rank))
    return [int(a) % rank for a in listed]


def _argument(node: torch.fx.Node, index: int, name: str, *, default: Any) -> Any:
    value = node.args[index] if len(node.args) > index else node.kwargs.get(name, default)
    return default if value is None else value


def _norm_check(_: Emitter, node: torch.fx.Node) -> str:
    order = _argument(node, 1, "ord", default=2)
    return "" if order in (1, 2) else f"a norm of order {order}"


@lowers(aten.linalg_vector_norm.default, refusal=_norm_check)
def _norm(e: Emitter, node: torch.fx.Node) -> None:
    operand = e.read(e.operand(node))
    axes = _axes(node, len(operand.order), at=2)
    keep = bool(_argument(node, 3, "keepdim", default=False))
    plain = _argument(node, 1, "ord", default=2) == 1
    code, options = ("ABS", "Abs") if plain else ("SQUARE", "Square")
    raised = e.emit(code, [operand.tensor], operand.tensor.shape, options)
    output = reduce_held(e, "SUM", Copy(raised, operand.order), axes, keep=keep)
    if not plain:
        output = e.emit("SQRT", [output], output.shape)
    e.write(node, output, operand.order if keep else orders.reduced(operand.order, axes))


@lowers(aten.glu.default)
def _gated(e: Emitter, node: torch.fx.Node) -> None:
    """The first half times the sigmoid of the second."""
    value = e.operand(node)
    axis = int(_argument(node, 1, "dim", default=-1)) % len(value.shape)
    operand = e.read(value)
    at, size = operand.order.index(axis), list(operand.tensor.shape)
    size[at] //= 2
    halves = []
    for start in (0, size[at]):
        begin = [0] * len(size)
        begin[at] = start
        halves.append(
            e.emit("SLICE", [operand.tensor, e.integers(begin), e.integers(size)], size, "Slice")
        )
    gate = e.emit("LOGISTIC", [halves[1]], size)
    e.write(node, _binary(e, "MUL", halves[0], gate), operand.order)


@lowers(aten.log1p.default)
def _log_of_one_more(e: Emitter, node: torch.fx.Node) -> None:
    """log(1 + u); the runtime's is off by 1e-7 next to 1, so a small u has a series (`edgeopt.ir.series`)."""
    operand = e.read(e.operand(node))
    value = operand.tensor
    raised = _binary(e, "ADD", value, e.scalar(1.0, "float32"))
    log = e.emit("LOG", [raised], raised.shape)
    size = e.emit("ABS", [value], value.shape, "Abs")
    near = e.emit("LESS", [size, e.scalar(0.5, "float32")], value.shape, "Less", dtype="bool")
    branches = [near, _log_by_series(e, value), log]
    e.write(node, e.emit("SELECT_V2", branches, value.shape, "SelectV2"), operand.order)


def _log_by_series(e: Emitter, value: Tensor) -> Tensor:
    ratio = _binary(e, "DIV", value, _binary(e, "ADD", value, e.scalar(2.0, "float32")))
    square = _binary(e, "MUL", ratio, ratio)
    highest, *rest = (e.scalar(c, "float32") for c in reversed(TWICE_AREA_TANGENT))
    series = _binary(e, "MUL", square, highest)
    for coefficient in rest[:-1]:
        series = _binary(e, "MUL", _binary(e, "ADD", series, coefficient), square)
    return _binary(e, "MUL", _binary(e, "ADD", series, rest[-1]), ratio)


@lowers(aten.cumsum.default)
def _running_sum(e: Emitter, node: torch.fx.Node) -> None:
    value = e.operand(node)
    operand = e.read(value)
    at = e.integers(
        [operand.order.index(int(_argument(node, 1, "dim", default=0)) % len(operand.order))]
    )
    output = e.emit(
        "CUMSUM", [operand.tensor, at], operand.tensor.shape, "Cumsum", dtype=operand.tensor.dtype,
        exclusive=False, reverse=False,
    )  # fmt: skip
    e.write(node, output, operand.order)


def _binary(e: Emitter, code: str, a: Tensor, b: Tensor) -> Tensor:
    return e.emit(code, [a, b], a.shape, code.capitalize(), fusedActivationFunction=0)
