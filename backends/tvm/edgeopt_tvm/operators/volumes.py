"""Transposed convolutions of volumes, with any weight: each number gathers what reaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tvm import te, tirx

from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.operators.arguments import Source, arguments, computed

if TYPE_CHECKING:
    from edgeopt_tvm.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten


@rule(aten.conv_transpose3d.input)
def transposed_convolution(e: Emitter, node: Any) -> None:
    """A transposed convolution: ``weight`` is (in, out of a group, …)."""
    a = arguments(node)
    x, weight = Source(e, a["input"]), Source(e, a["weight"])
    bias = Source(e, a["bias"]) if a["bias"] is not None else None
    groups = int(a["groups"])
    kernel, sizes = weight.shape[2:], x.shape[-len(weight.shape[2:]) :]
    rank = len(kernel)
    stride, padding, dilation = (
        [int(v) for v in a[k]] * (1 if len(a[k]) == rank else rank)
        for k in ("stride", "padding", "dilation")
    )
    inputs, outputs = weight.shape[0] // groups, weight.shape[1]

    def sums(data: Any, factors: Any, index: list[Any]) -> Any:
        *batch, channel = index[:-rank]
        c = te.reduce_axis((0, inputs), name="c")
        axes = [te.reduce_axis((0, n), name=f"k{i}") for i, n in enumerate(kernel)]
        group = tirx.floordiv(channel, outputs)
        inside, places = [], []
        for out, k, n, s, p, d in zip(
            index[-rank:], axes, sizes, stride, padding, dilation, strict=True
        ):
            reached = out + p - k.var * d
            place = tirx.floordiv(reached, s)
            inside += [tirx.floormod(reached, s) == 0, place >= 0, place < n]
            places.append(place)
        channel_in = group * inputs + c
        number = x.at(data, [*batch, channel_in, *places])
        number = tirx.if_then_else(tirx.all(*inside), number, tirx.const(0, x.dtype))
        of_group = tirx.floormod(channel, outputs)
        factor = weight.at(factors, [channel_in, of_group, *(k.var for k in axes)])
        return te.sum(number * factor, axis=[c, *axes])

    result = computed(e, "conv_transpose3d", e.shape(node), sums, x.expr, weight.expr)
    if bias is not None:

        def at(total: Any, offsets: Any, index: list[Any]) -> Any:
            return total(*index) + bias.at(offsets, [index[-rank - 1]])

        result = computed(e, "bias", e.shape(node), at, result, bias.expr)
    e.put(node, result)
