"""Operators that are a few others, and running sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir.series import TWICE_AREA_TANGENT
from edgeopt_tflite.operator_rules import lowers

if TYPE_CHECKING:
    from edgeopt_tflite.emitter import Emitter
    from edgeopt_tflite.flatbuffer import Tensor

__all__: list[str] = []

aten = torch.ops.aten


def _argument(node: torch.fx.Node, index: int, name: str, *, default: Any) -> Any:
    value = node.args[index] if len(node.args) > index else node.kwargs.get(name, default)
    return default if value is None else value


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
