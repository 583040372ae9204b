"""Resizing of images. Values are channels-last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir.orders import NHWC
from edgeopt_tflite.operator_rules import lowers

if TYPE_CHECKING:
    from edgeopt_tflite.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten


def _exact_factor(_: Emitter, node: torch.fx.Node) -> str:
    """TFLite divides the sizes; torch uses the factor, which may be another number."""
    factors: Any = node.args[-1]
    if not isinstance(factors, (list, tuple)) or node.args[1] is not None:
        return ""
    size = node.args[0].meta["val"].shape[-2:]  # type: ignore[union-attr]
    output_size = node.meta["val"].shape[-2:]
    if any(s * f != m for s, f, m in zip(size, factors, output_size, strict=True)):
        return f"its factors {list(factors)} do not give whole sizes"
    return ""


@lowers(aten.upsample_bilinear2d.vec, refusal=_exact_factor)
def _bilinear(e: Emitter, node: torch.fx.Node) -> None:
    align = bool(node.args[2])
    tensor = e.read(e.operand(node), NHWC).tensor
    shape = e.shape(node)
    output = e.emit(
        "RESIZE_BILINEAR", [tensor, e.integers(shape[2:])], [shape[d] for d in NHWC],
        "ResizeBilinear", alignCorners=align, halfPixelCenters=not align,
    )  # fmt: skip
    e.write(node, output, NHWC)


@lowers(aten.upsample_nearest2d.vec, refusal=_exact_factor)
def _nearest(e: Emitter, node: torch.fx.Node) -> None:
    integer = e.is_integer(node)
    tensor = e.read(e.operand(node), NHWC, integer=integer).tensor
    shape = e.shape(node)
    output = e.emit(
        "RESIZE_NEAREST_NEIGHBOR", [tensor, e.integers(shape[2:])], [shape[d] for d in NHWC],
        "ResizeNearestNeighbor", grid=tensor.grid, alignCorners=False, halfPixelCenters=False,
    )  # fmt: skip
    e.write(node, output, NHWC)
