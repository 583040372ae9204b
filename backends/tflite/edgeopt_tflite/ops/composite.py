"""Operators that are a few others, and running sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

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
    operand = e.read(e.operand(node))
    raised = _binary(e, "ADD", operand.tensor, e.scalar(1.0, "float32"))
    e.write(node, e.emit("LOG", [raised], raised.shape), operand.order)


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
