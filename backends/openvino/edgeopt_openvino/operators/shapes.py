"""What moves values and computes none."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import openvino.opset13 as op
import torch

from edgeopt.ir.kernel_kind import kernel_kind
from edgeopt.ir.operators import CONVOLUTIONS, traits_of
from edgeopt.lowering import NoRuleError
from edgeopt_openvino import parameters
from edgeopt_openvino.constants import numbers
from edgeopt_openvino.heads import permuted_in_float
from edgeopt_openvino.operator_rules import rule

if TYPE_CHECKING:
    from edgeopt_openvino.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten


def _shape(node: Any) -> list[int]:
    return [int(d) for d in node.meta["val"].shape]


@rule(operator.getitem)
def part(e: Emitter, node: Any) -> Any:
    """One of the values of a node that makes several."""
    source, index = node.args
    return e.parts(source)[int(index)]


@rule(aten.alias.default)
def alias(e: Emitter, node: Any) -> Any:
    """The value as it is."""
    return e.value(node.args[0])


@rule(aten.reshape.default)
def reshape(e: Emitter, node: Any) -> Any:
    """The same values in another shape."""
    if not _shape(node):  # the plugin's compiler crashes on a linear reshaped to no axes
        flat = op.reshape(e.value(node.args[0]), numbers([1]), False)  # noqa: FBT003
        return op.squeeze(flat, numbers([0]))
    return op.reshape(e.value(node.args[0]), numbers(_shape(node)), False)  # noqa: FBT003


@rule(aten.permute.default)
def permute(e: Emitter, node: Any) -> Any:
    """The axes in another order."""
    rank = len(_shape(node))
    axes = [int(a) % rank for a in node.args[1]]
    value = e.value(node.args[0])
    value = parameters.unfused(value) if permuted_in_float(e.program, node) else value
    return op.transpose(value, numbers(axes))


@rule(aten.slice.Tensor)
def slice_axis(e: Emitter, node: Any) -> Any:
    """Every ``step``-th value of one axis."""
    x, axis, start, end, step = node.args
    return op.slice(e.value(x), *(numbers([v]) for v in (start, end, step, axis)))


@rule(aten.expand.default)
def expand(e: Emitter, node: Any) -> Any:
    """Axes of length one repeated."""
    return op.broadcast(e.value(node.args[0]), numbers(_shape(node)))


@rule(aten.cat.default)
def concatenate(e: Emitter, node: Any) -> Any:
    """Several values one behind another; torch drops those of shape (0,)."""
    parts: Any = [a for a in node.args[0] if a.meta["val"].shape != (0,)]
    axis = int(node.args[1]) if len(node.args) > 1 else 0
    values = [e.cast(e.value(a), node.meta["val"].dtype) for a in parts]
    if _unlike(e, parts) and any(
        _joined(part) or _is_read_elsewhere(e, part, node) for part in parts
    ):
        # OpenVINO gives all of them one grid, and all that an integer operator reads of what they are moved from.
        values = [parameters.kept_real(e.program, value) for value in values]
    else:
        pairs = zip(parts, values, strict=True)
        values = [parameters.unfused(v) if _is_read_permuted(a) else v for a, v in pairs]
    return op.concat(values, axis % len(_shape(node)))


def _unlike(e: Emitter, values: Any) -> bool:
    """Returns whether ``values`` have integer grids, and not the same one."""
    grids = [spec for v in values if (spec := e.program.quant.get(v.name)) is not None]
    return any(not grids[0].same_grid(one) for one in grids[1:])


def _joined(node: Any) -> bool:
    """Returns whether ``node`` is a concatenation, or one that is only moved."""
    return bool(_source(node).target is aten.cat.default)


def _source(node: Any) -> Any:
    """Returns what ``node`` is moved from: a concatenation, or what moves nothing."""
    while node.target is not aten.cat.default and traits_of(node).moves:
        node = node.args[0]
    return node


def _is_read_permuted(part: Any) -> bool:
    """Returns whether a convolution reads ``part`` permuted.

    OpenVINO has a concatenation's parts written where it joins them, and lets the convolution read there as it lies.
    """
    permuted = [user for user in part.users if user.target is aten.permute.default]
    return any(user.target in CONVOLUTIONS for one in permuted for user in one.users)


def _is_read_elsewhere(e: Emitter, part: Any, join: Any) -> bool:
    """Returns whether an integer operator reads what ``part`` is moved from, or that moved or joined, but by ``join``."""
    source = _source(part)
    waiting = [source]
    while waiting:
        one = waiting.pop()
        for user in one.users:
            if user is join or (one is source is part and _computes(user)):
                continue  # what reads the part itself keeps its grid
            if not _computes(user):
                waiting.append(user)
            elif kernel_kind(e.program, user).kind == "integer":
                return True
    return False


def _computes(node: Any) -> bool:
    return node.target is not aten.cat.default and not traits_of(node).moves


@rule(aten.constant_pad_nd.default)
def pad(e: Emitter, node: Any) -> Any:
    """A constant around the value; torch names the last axis first."""
    x, sizes, fill = node.args
    rank = len(_shape(node))
    pairs: Any = list(zip(sizes[::2], sizes[1::2], strict=True))[::-1]
    pairs = [(0, 0)] * (rank - len(pairs)) + pairs
    begin, end = (numbers([p[side] for p in pairs]) for side in (0, 1))
    spec = e.program.quant.get(x.name)
    # Along an axis of one the runtime takes the zero point for a channel's, and pads that too.
    grown = any(any(p) and size == 1 for p, size in zip(pairs, _shape(x), strict=True))
    if not (fill or grown) or spec is None or spec.storage.floating:
        value = parameters.kept_real(e.program, e.value(x)) if fill else e.value(x)
        return op.pad(value, begin, end, "constant", e.number(node, fill))
    # In steps: OpenVINO would move the padding in front of the zero point, and then cannot say the
    # number in unsigned integers.
    scale = spec.scale[0].numpy()
    steps = parameters.steps(spec, e.value(x))
    padded = op.pad(steps, begin, end, "constant", op.constant((fill / scale).astype("float32")))
    return op.multiply(padded, op.constant(scale))


@rule(aten.roll.default)
def roll(e: Emitter, node: Any) -> Any:
    """Values that leave an axis at one end come back at the other."""
    x, shifts, axes = (*node.args, [])[:3]
    if not axes:
        raise NoRuleError("roll of the flattened value")
    return op.roll(e.value(x), numbers(shifts), numbers(axes))


@rule(aten.flip.default)
def flip(e: Emitter, node: Any) -> Any:
    """Axes backwards."""
    x, axes = node.args
    count = len(axes)
    rank = len(_shape(node))
    at = numbers([int(a) % rank for a in axes])
    start, stop, step = (numbers([v] * count) for v in (-1, -(2**31), -1))
    return op.slice(e.value(x), start, stop, step, at)


@rule(aten.embedding.default)
def embedding(e: Emitter, node: Any) -> Any:
    """Rows of a table."""
    table, rows = node.args[:2]
    return op.gather(e.value(table), e.value(rows), numbers(0))


@rule(aten.index_select.default)
def index_select(e: Emitter, node: Any) -> Any:
    """Chosen slices of one axis."""
    x, axis, index = node.args
    # Channels of unlike scales, joined, are one value whose scales the runtime would move behind this: it dies of that.
    value = e.value(x) if x.name in e.program.quant else parameters.kept_real(e.program, e.value(x))
    # Counted from the end: a permutation of axis 1 is moved into the weights of the convolution behind it (OpenVINO
    # 2026.4), its inverse where that is another.
    rank = len(_shape(node))
    return op.gather(value, e.value(index), numbers(int(axis) % rank - rank))
