"""Means, sums, pools and extremes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from edgeopt.contracts.storage import INT8
from edgeopt.ir import kernel_kind, orders
from edgeopt.lowering import NoRuleError
from edgeopt_micro.fixed_point import fitted
from edgeopt_micro.loops import element, may_share, nest
from edgeopt_micro.operator_rules import rule
from edgeopt_micro.operators.common import require_float, require_float_or_end
from edgeopt_micro.overlap import safe_distance, window_starts
from edgeopt_micro.scalars import literal, real, stored
from edgeopt_micro.weighted import Geometry, max_pool

if TYPE_CHECKING:
    from edgeopt_micro.emitter import Emitter
    from edgeopt_micro.values import Grid, Value

aten = torch.ops.aten
_MOST_SUMMED = 2**15
"""Of more numbers a sum is not tried with every value it can have."""


# -- along dimensions -------------------------------------------------------------------------------


@rule(aten.mean.dim)
def _mean(e: Emitter, node: Any) -> Value:
    x = e.value(node.args[0])
    output, axes = _reduced(e, node, x)
    count = math.prod(x.shape[a] for a in axes)
    if x.grid is not None and output.grid is not None:
        divide, numbers = _divided(x.grid, output.grid, count, count)
        return _along(e, x, output, axes, ("int32_t sum = 0;", "sum += {x};", divide), numbers)
    require_float(e, node)
    finish = stored(output, f"sum / {float(count)!r}f")
    return _along(e, x, output, axes, ("float sum = 0.0f;", f"sum += {real(x, '{x}')};", finish))


@rule(aten.sum.dim_IntList)
def _sum(e: Emitter, node: Any) -> Value:
    x = e.value(node.args[0])
    output, axes = _reduced(e, node, x)
    if x.dtype not in ("float32", INT8.name):
        kind = output.c_type
        return _along(e, x, output, axes, (f"{kind} sum = 0;", "sum += {x};", "sum"))
    count = math.prod(x.shape[a] for a in axes)
    if x.grid is not None and output.grid is not None and count <= _MOST_SUMMED:
        finish, numbers = _divided(x.grid, output.grid, count, 1)
        return _along(e, x, output, axes, ("int32_t sum = 0;", "sum += {x};", finish), numbers)
    require_float_or_end(e, node, [x])
    if x.grid is not None:
        total = f"(float)(sum - ({count * x.grid.zero})) * {literal(x.grid.scale)}"
        steps = ("int32_t sum = 0;", "sum += {x};", stored(output, total))
    else:
        steps = ("float sum = 0.0f;", f"sum += {real(x, '{x}')};", stored(output, "sum"))
    return _along(e, x, output, axes, steps)


@rule(aten.amax.default, aten.amin.default)
def _extreme(e: Emitter, node: Any) -> Value:
    x = e.value(node.args[0])
    output, axes = _reduced(e, node, x)
    sign = ">" if node.target is aten.amax.default else "<"
    start = f"{x.c_type} best = {{first}};"
    take = f"if ({{x}} {sign} best) best = {{x}};"
    if output.grid != x.grid:
        require_float(e, node)
        return _along(e, x, output, axes, (start, take, stored(output, real(x, "best"))))
    return _along(e, x, output, axes, (start, take, "best"))


@rule(aten.argmax.default, aten.argmin.default)
def _place(e: Emitter, node: Any) -> Value:
    axis = (*node.args, None)[1]
    if axis is None:
        raise NoRuleError("over all dimensions at once")
    x = e.value(node.args[0])
    keep = bool((*node.args, None, False)[2]) if len(node.args) > 2 else False  # noqa: PLR2004
    axes = [axis % len(x.shape)]
    output = e.described(node, _order_without(x, axes, keep=keep))
    sign = ">" if node.target is aten.argmax.default else "<"
    steps = (
        f"{x.c_type} best = {{first}}; int32_t place = 0;",
        f"if ({{x}} {sign} best) {{ best = {{x}}; place = r0; }}",
        "place",
    )
    return _along(e, x, output, axes, steps)


def _reduced(e: Emitter, node: Any, x: Value) -> tuple[Value, list[int]]:
    """Returns the output of a reduction, and the dimensions that it reduces."""
    listed = node.args[1] if len(node.args) > 1 else []
    axes = sorted({axis % len(x.shape) for axis in (listed or range(len(x.shape)))})
    keep = bool(node.args[2]) if len(node.args) > 2 else False  # noqa: PLR2004 (keepdim)
    return e.described(node, _order_without(x, axes, keep=keep)), axes


def _order_without(x: Value, axes: list[int], *, keep: bool) -> orders.Order:
    return x.order if keep else orders.reduced(x.order, axes)


def _along(
    e: Emitter,
    x: Value,
    output: Value,
    axes: list[int],
    steps: tuple[str, str, str],
    numbers: dict[str, Any] | None = None,
) -> Value:
    """Writes a reduction: how it starts, what it does with each number, and what comes of it."""
    start, take, finish = steps
    outer = [d for d in range(len(x.shape)) if d not in axes]
    keeps = len(output.shape) == len(x.shape)

    def body(*index: str) -> str:
        source = ["0"] * len(x.shape)
        for d in outer:
            source[d] = index[d if keeps else outer.index(d)]
        first = element(x, "x0", source)
        inner = [a for a in x.order if a in axes]
        names = {a: f"r{k}" for k, a in enumerate(inner)}
        for a in inner:
            source[a] = names[a]
        read = element(x, "x0", source)
        loops = [
            f"{'  ' * k}for (int {names[a]} = 0; {names[a]} < {x.shape[a]}; {names[a]}++)"
            for k, a in enumerate(inner)
        ]
        taken = "  " * len(inner) + take.replace("{x}", read)
        goal = element(output, "y", index)
        return "\n".join([start.replace("{first}", first), *loops, taken, f"{goal} = {finish};"])

    return e.call(nest(output, [x], body, numbers, name="reduce"), [x], output)


def _divided(grid: Grid, goal: Grid, count: int, divisor: int) -> tuple[str, dict[str, Any]]:
    """Returns the C expression of the integer of the ``sum`` of ``count`` integers, divided.

    The reference divides a mean in float64. Every sum there can be is tried; where no integer form gives
    them all, thresholds do.
    """
    sums = np.arange(INT8.lowest * count, INT8.highest * count + 1, dtype=np.int64)
    whole = torch.from_numpy((sums - grid.zero * count).astype(np.float64))
    steps = torch.round((whole / divisor) * grid.scale / goal.scale) + goal.zero
    results = steps.clamp(goal.low, goal.high).numpy().astype(np.int64)
    ends = int(results.min()), int(results.max())
    form = fitted([(sums, grid.scale / goal.scale / divisor)], results, *ends)
    if form is not None:
        numbers = {"m": form.multipliers[0], "c": form.constant, "low": ends[0], "high": ends[1]}
        return f"(int8_t)edgeopt_clamped((m * sum + c) >> {form.shift}, low, high)", numbers
    first = np.searchsorted(results, np.arange(ends[0] + 1, ends[1] + 1))
    thresholds = sums[first].astype(np.int32)
    passed = f"edgeopt_passed(sum, thresholds, {len(thresholds)})"
    return f"(int8_t)(low + {passed})", {"thresholds": thresholds, "low": ends[0]}


# -- windows ----------------------------------------------------------------------------------------


class _Window(NamedTuple):
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)


@rule(aten.max_pool2d.default)
def _max_pool(e: Emitter, node: Any) -> Value:
    x = e.in_order(e.value(node.args[0]), orders.channels_last(len(e.shape(node))))
    kernel, stride, padding, dilation = (*node.args[1:], *([], 0, 1)[len(node.args) - 2 :])[:4]
    window = _Window(_pair(kernel), _pair(stride or kernel), _pair(padding), _pair(dilation))
    output = e.described(node, x.order)
    if output.grid != x.grid:
        raise NoRuleError("onto another grid")
    if x.dtype == INT8.name:
        return e.call(max_pool(_pool_geometry(x, output, window)), [x], output)
    start = f"{x.c_type} best = {_lowest(x.dtype)};"
    return _pooled(e, x, output, window, (start, "if ({x} > best) best = {x};", "best"))


def _pool_geometry(x: Value, output: Value, window: _Window) -> Geometry:
    batch, channels, *size = x.shape
    return Geometry(
        batch=batch,
        in_size=(size[0], size[1]),
        out_size=(output.shape[2], output.shape[3]),
        in_channels=channels,
        out_channels=channels,
        kernel=window.kernel,
        stride=window.stride,
        padding=window.padding,
        dilation=window.dilation,
        groups=channels,
    )


def _lowest(dtype: str) -> str:
    """Returns the C expression of the lowest number of a type."""
    if dtype == "float32":
        return "edgeopt_float(0xff800000u)"
    whole = np.dtype("uint8" if dtype == "bool" else dtype)
    lowest = int(np.iinfo(whole).min)
    return f"{lowest + 1}LL - 1" if lowest < 0 else str(lowest)


@rule(aten.avg_pool2d.default)
def _average_pool(e: Emitter, node: Any) -> Value:
    x = e.in_order(e.value(node.args[0]), orders.channels_last(len(e.shape(node))))
    defaults: tuple[Any, ...] = ([], 0, False, True, None)
    settings = (*node.args[2:], *defaults[len(node.args) - 2 :])
    stride, padding, _, includes, divisor = settings[:5]
    window = _Window(_pair(node.args[1]), _pair(stride or node.args[1]), _pair(padding))
    output = e.described(node, x.order)
    count = math.prod(window.kernel)
    whole = kernel_kind(e.program, node).kind == "integer" and x.grid is not None
    if not _is_uniform(x, output, window, includes=includes) or divisor not in (None, count):
        return _uneven(e, node, (x, output), window, includes=includes, divisor=divisor)
    if whole and x.grid is not None and output.grid is not None:
        divide, numbers = _divided(x.grid, output.grid, count, count)
        start = f"int32_t sum = {x.grid.zero} * ({count} - inside);"
        return _pooled(e, x, output, window, (start, "sum += {x};", divide), numbers)
    require_float(e, node)
    finish = stored(output, f"sum / {float(count)!r}f")
    return _pooled(e, x, output, window, ("float sum = 0.0f;", f"sum += {real(x, '{x}')};", finish))


def _uneven(
    e: Emitter,
    node: Any,
    values: tuple[Value, Value],
    window: _Window,
    *,
    includes: bool,
    divisor: int | None,
) -> Value:
    """Writes an average over windows of different counts: a quotient, rounded once, ties to even."""
    x, output = values
    count = str(divisor) if divisor else "covered" if includes else "inside"
    if x.grid is None or output.grid != x.grid:
        require_float(e, node)
        steps = ("float sum = 0.0f;", f"sum += {real(x, '{x}')};", f"sum / (float)({count})")
        return _pooled(e, x, output, window, (*steps[:2], stored(output, steps[2])))
    grid, divisors = x.grid, _divisors(x, output, window, includes=includes, divisor=divisor)
    if not all(_is_quotient(grid, one, math.prod(window.kernel)) for one in divisors):
        raise NoRuleError("an average whose ties the reference rounds by the last bit of a float64")
    quotient = f"edgeopt_quotient(sum, {count}) + ({grid.zero})"
    finish = f"(int8_t)edgeopt_clamped({quotient}, {grid.low}, {grid.high})"
    return _pooled(
        e, x, output, window, ("int32_t sum = 0;", f"sum += {{x}} - ({grid.zero});", finish)
    )


def _divisors(
    x: Value, output: Value, window: _Window, *, includes: bool, divisor: int | None
) -> set[int]:
    """Returns what sums are divided by."""
    if divisor:
        return {divisor}
    sides = []
    for k in (0, 1):
        size, padding = x.shape[2 + k], window.padding[k]
        starts = [i * window.stride[k] - padding for i in range(output.shape[2 + k])]
        low, high = (-padding, size + padding) if includes else (0, size)
        sides.append({min(s + window.kernel[k], high) - max(s, low) for s in starts})
    return {a * b for a in sides[0] for b in sides[1]}


def _is_quotient(grid: Grid, divisor: int, most: int) -> bool:
    """Returns whether the reference's float64 average is the quotient to even, for every sum."""
    reach = INT8.steps * most
    sums = np.arange(-reach, reach + 1, dtype=np.int64)
    scale = np.float64(np.float32(grid.scale))
    reference = np.rint((sums / divisor) * scale / scale)
    whole = np.floor_divide(sums, divisor)
    rest = 2 * (sums - whole * divisor)
    exact = whole + ((rest > divisor) | ((rest == divisor) & (whole % 2 == 1)))
    bounds = grid.low - grid.zero, grid.high - grid.zero
    return bool(np.array_equal(np.clip(reference, *bounds), np.clip(exact, *bounds)))


def _is_uniform(x: Value, output: Value, window: _Window, *, includes: bool) -> bool:
    """Returns whether every window is divided by the size of the kernel."""
    reach = [
        (output.shape[2 + k] - 1) * window.stride[k] + window.kernel[k] - window.padding[k]
        for k in (0, 1)
    ]
    inside = all(r <= x.shape[2 + k] for k, r in enumerate(reach)) and not any(window.padding)
    padded = all(r <= x.shape[2 + k] + window.padding[k] for k, r in enumerate(reach))
    return inside or (includes and padded)


def _pooled(
    e: Emitter,
    x: Value,
    output: Value,
    window: _Window,
    steps: tuple[str, str, str],
    numbers: dict[str, Any] | None = None,
) -> Value:
    """Writes a pooling: as `_along`; ``inside`` counts the places of a window within the picture."""
    start, take, finish = steps
    rows, columns = x.shape[2:4]
    below, beside = rows + window.padding[0], columns + window.padding[1]
    if any(d > 1 for d in window.dilation):
        counted = ["int inside = 0;", "int covered = 0;"]
    else:
        counted = [
            f"int bottom = top + {window.kernel[0]}, right = left + {window.kernel[1]};",
            f"int covered = ({_least('bottom', below)} - top) * ({_least('right', beside)} - left);",
            f"int inside = {_least('bottom', rows)} - (top < 0 ? 0 : top);",
            f"inside *= {_least('right', columns)} - (left < 0 ? 0 : left);",
        ]

    def body(*index: str) -> str:
        n, c, down, across = index
        read = element(x, "x0", (n, c, "h", "w"))
        return "\n".join([
            f"int top = {down} * {window.stride[0]} - {window.padding[0]};",
            f"int left = {across} * {window.stride[1]} - {window.padding[1]};",
            *counted,
            "(void)inside, (void)covered;",
            start,
            f"for (int u = 0; u < {window.kernel[0]}; u++) {{",
            f"  int h = top + u * {window.dilation[0]};",
            f"  if (h < 0 || h >= {rows}) continue;",
            f"  for (int v = 0; v < {window.kernel[1]}; v++) {{",
            f"    int w = left + v * {window.dilation[1]};",
            f"    if (w < 0 || w >= {columns}) continue;",
            "    " + take.replace("{x}", read),
            "  }",
            "}",
            f"{element(output, 'y', index)} = {finish};",
        ])  # fmt: skip

    call = nest(output, [x], body, numbers, name="pool")
    call = replace(call, overlaps=_pool_overlaps(x, output, window))
    return e.call(call, [x], output)


def _pool_overlaps(x: Value, output: Value, window: _Window) -> dict[int, int]:
    """Returns how far before its input a pooling's output must start: a window is read, then a number written."""
    last = orders.channels_last(len(x.shape))
    if not may_share(x, output) or (x.order, output.order) != (last, last):
        return {}
    channels = x.shape[1]
    firsts = window_starts(
        x.shape[0], x.shape[2:4], output.shape[2:4], window.stride, window.padding
    )
    starts = x.item_bytes * (channels * firsts[:, None] + np.arange(channels)).reshape(-1)
    ends = output.item_bytes * np.arange(1, len(starts) + 1)
    return {0: safe_distance(ends, starts, reads_first=True)}


def _least(name: str, bound: int) -> str:
    return f"({name} < {bound} ? {name} : {bound})"


def _pair(values: Any) -> tuple[int, int]:
    if isinstance(values, int):
        return values, values
    first, *rest = (int(v) for v in values)
    return first, (rest or [first])[0]
