"""Puts values on their grids with FakeQuantize, and only where that changes a value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino.opset13 as op
import torch

from edgeopt.contracts.storage import INT8
from edgeopt.ir import ops
from edgeopt.ir.kernel_kind import kernel_kind
from edgeopt.ir.operators import CONVOLUTIONS, traits_of
from edgeopt.passes.separate_ties import may_tie
from edgeopt_openvino.heads import (
    is_rounded_later,
    joins_heads,
    rounded_again,
    scores_bytes_wrong,
)

if TYPE_CHECKING:
    from edgeopt.ir import Program, QuantSpec
    from edgeopt_openvino.emitter import Emitter

__all__ = [
    "clips_alike",
    "kept_real",
    "kept_whole",
    "moves_on_grid",
    "on_grid",
    "on_integers",
    "reaches_jump",
    "read_in_steps",
    "rounded",
    "second_factor",
    "steps",
    "unfused",
    "whole_step",
]

aten = ops.aten

_WRITES_STEPS_WRONG = ("ReduceMax", "ReduceMin")
"""Reductions whose kernel answers other numbers where it takes in the FakeQuantize behind it."""


def on_integers(program: Program, node: torch.fx.Node) -> bool:
    """Returns whether a value is one of 8 bits, which the plugin's kernels read as integers."""
    spec = program.quant.get(node.name)
    return spec is not None and spec.storage == INT8


def kept_whole(program: Program, node: torch.fx.Node, value: Any) -> Any:
    """Returns ``value``, of a reduction behind an operator that its kernel cannot take in.

    OpenVINO's CPU plugin fuses what follows into a reduction. With a FakeQuantize in that, its kernel writes bytes, and
    wrong ones (half the range off); sums and means are right. A maximum is none of the operators that it fuses.
    """
    kind = value.get_node().get_type_name()
    if kind not in _WRITES_STEPS_WRONG or moves_on_grid(program, node):
        return value
    return kept_real(program, value)


def kept_real(program: Program, value: Any) -> Any:
    """Returns ``value``, behind an operator through which low-precision passes move no dequantization."""
    if not program.precision.is_integer or not value.element_type.is_real():
        return value
    return unfused(value)


def unfused(value: Any) -> Any:
    """Returns ``value``, behind an operator that changes no number and that OpenVINO joins with nothing: a maximum."""
    return op.maximum(value, op.constant(np.float32(-np.inf))).output(0)


def second_factor(e: Emitter, product: torch.fx.Node) -> Any:
    """Returns the second of two computed factors, as float32 where products of bytes saturate or are wrong.

    There weights keep to seven bits; computed values have eight. Where no zero point is in the way, OpenVINO's
    low-precision passes multiply them as bytes (10 dB to the reference in an attention). They stop at a maximum.
    """
    node: Any = product.args[1]
    value, spec = e.value(node), e.program.quant.get(node.name)
    if spec is None or not spec.is_activation:
        return value
    return unfused(value) if e.saturates or scores_bytes_wrong(product) else value


def on_grid(program: Program, node: torch.fx.Node, value: Any) -> Any:
    """Returns ``value`` rounded to the grid of ``node``, or as it is where it has none."""
    spec = program.quant.get(node.name)
    if spec is None or not spec.is_activation or moves_on_grid(program, node):
        return value
    if is_rounded_later(program, node):
        return value
    if (
        spec.storage != INT8
    ):  # a FakeQuantize of 65535 levels is off by steps, and no kernel takes it
        return op.clamp(rounded(spec, value), spec.low, spec.high).output(0)
    if _is_summed_up(program, node) or _is_shifted(program, node):
        value = op.prelu(value, op.constant(np.ones(1, dtype=np.float32)))
    kernel: Any = node.args[0] if ops.is_fused(node) else node
    if _comes_from_float(program, node) or may_tie(program, kernel):
        value = rounded(spec, value)
    quantized = op.fake_quantize(value, *_ends(spec), *_ends(spec), 2**spec.bits)
    quantized.set_friendly_name(f"{node.name}.grid")
    return quantized.output(0)


def read_in_steps(program: Program, node: torch.fx.Node) -> list[torch.fx.Node]:
    """Returns the values on grids that ``node`` must read in whole steps (`rounded`).

    A FakeQuantize adds up 0 from two rounded numbers, and may make 1e-7 of it. To most float operators that is
    nothing; a comparison, a floor or a square root makes something else of it, also behind others.
    """
    values = [v for v in ops.activation_inputs(node) if _is_on_grid(program, v)]
    is_float = values and kernel_kind(program, node).kind == "float"
    return values if is_float and reaches_jump(node) else []


def _is_on_grid(program: Program, node: torch.fx.Node) -> bool:
    return on_integers(program, node) and node.name not in program.constants


def reaches_jump(node: torch.fx.Node) -> bool:
    """Returns whether ``node`` jumps, or what reads its numbers one by one does; sums blur 0."""
    waiting, seen = [node], {node}
    while waiting:
        one = waiting.pop()
        traits = traits_of(one)
        if traits.jumps or traits.undefined:
            return True
        if ops.is_weighted(one) or traits.normalization or traits.macs == "product":
            continue
        waiting += (user for user in one.users if user not in seen)
        seen.update(one.users)
    return False


def _is_summed_up(program: Program, node: torch.fx.Node) -> bool:
    """Returns whether only an add reads this convolution, so that the add joins its kernel.

    OpenVINO's CPU plugin drops the rounding of a FakeQuantize that is the kernel's first step
    before a sum ("drop rounding one special residual pattern", dnnl_postops_composer). A step in
    front that changes nothing, a leaky relu of slope one, keeps the rounding, and costs nothing.
    """
    layer = node.args[0] if ops.is_activation(node) else node
    if getattr(layer, "target", None) not in CONVOLUTIONS or len(node.users) != 1:
        return False
    user = next(iter(node.users))
    return user.target is aten.add.Tensor and node.name not in program.output_names


def _is_shifted(program: Program, node: torch.fx.Node) -> bool:
    """Returns whether ``node`` adds constants to a value on a grid.

    OpenVINO joins the FakeQuantize before such a sum with the one behind it. Where both have the same step it keeps
    the integers, and every value is a step too small. The leaky relu of slope one keeps them apart.
    """
    kernel: Any = node.args[0] if ops.is_fused(node) else node
    if kernel.target not in (aten.add.Tensor, aten.sub.Tensor):
        return False
    summands = [a for a in kernel.args[:2] if isinstance(a, torch.fx.Node)]
    computed = [a for a in summands if a.name not in program.constants]
    return len(computed) == 1 and _is_on_grid(program, computed[0])


def _comes_from_float(program: Program, node: torch.fx.Node) -> bool:
    """Returns whether ``node`` is computed of float values; inputs are rounded by the runner."""
    if node.op == "placeholder":
        return False
    if joins_heads(program, node):
        return True
    values = ops.activation_inputs(node)
    return traits_of(node).normalization or any(
        v.name not in program.quant and ops.fused_activation(v) is not node for v in values
    )


def rounded(spec: QuantSpec, value: Any) -> Any:
    """Returns ``value`` rounded to the steps of the grid as the reference does it.

    A FakeQuantize adds the zero point before it rounds, and loses the last bits of small numbers:
    then one value in 100000 falls on the other side of a tie. It still follows, to clip.
    """
    return op.multiply(steps(spec, value), op.constant(spec.scale[0].numpy()))


def steps(spec: QuantSpec, value: Any) -> Any:
    """Returns how many steps ``value`` is from zero, a whole number; ties go to the even one."""
    times = op.multiply(value, op.constant((1 / spec.scale[0]).numpy()))
    return op.round(times, "half_to_even")


def whole_step(program: Program, node: torch.fx.Node, number: float | None) -> float | None:
    """Returns the number nearest to ``number`` on the grid of ``node``; as it is where there is none.

    A thousandth of a step above it: where the runtime has integers already, it cuts off what lies behind the point.
    """
    spec = program.quant.get(node.name)
    if number is None or spec is None or not spec.is_activation or not math.isfinite(number):
        return number
    return float(spec.fake(torch.tensor([number]))[0]) + float(spec.scale[0]) / 1024


def moves_on_grid(program: Program, node: torch.fx.Node) -> bool:
    """Returns whether ``node`` only moves values that already lie on its grid."""
    spec = program.quant.get(node.name)
    if spec is None or not _passes_integers_on(node):
        return False
    if joins_heads(program, node) or rounded_again(program, node):
        return False
    if node.target is aten.constant_pad_nd.default and node.args[2] != 0:
        return False
    specs = [program.quant.get(v.name) for v in ops.activation_inputs(node)]
    return all(h is not None and h.same_grid(spec) for h in specs)


def _passes_integers_on(node: torch.fx.Node) -> bool:
    """Whether an operator makes no new number (a pad with zero, which every grid holds), and low-precision passes follow.

    They know moves that runtimes do at any place in a network; behind others a FakeQuantize starts integers anew.
    """
    traits = traits_of(node)
    follows = traits.view or traits.layout in {"any", "channels-last"}
    return follows and traits.keeps_parameters and traits.integer_kernel != "averages"


def clips_alike(spec: QuantSpec | None, low: float | None, high: float | None) -> bool:
    """Returns whether rounding to ``spec`` gives the same with or without a clip before it."""
    if spec is None or not spec.is_activation:
        return False
    step = float(spec.scale[0]) * 0.49
    below = low is None or low <= spec.low + step
    above = high is None or high >= spec.high - step
    return below and above


def _ends(spec: QuantSpec) -> tuple[Any, Any]:
    """Both ends of the grid, each rounded once from double precision."""
    scale, zero = float(spec.scale[0]), int(spec.zero_point[0])
    ends = (scale * (spec.q_min - zero), scale * (spec.q_max - zero))
    return tuple(op.constant(np.float32(0.0 if math.isclose(e, 0.0) else e)) for e in ends)
