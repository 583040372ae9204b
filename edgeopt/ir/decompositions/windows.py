"""Windows over axes, pooling by windows, and pads that repeat values."""

from __future__ import annotations

from typing import Any

import torch

from edgeopt.ir.decompositions.rule_table import Decompositions

__all__ = ["RULES"]

aten = torch.ops.aten

RULES = Decompositions()
Tensor = torch.Tensor


@RULES(aten.unfold.default)
def unfold(x: Tensor, dim: int, size: int, step: int) -> Tensor:
    """Returns windows along an axis, the window's own axis last."""
    if not x.ndim:
        return x.reshape(1)
    dim = dim % x.ndim
    count = (x.shape[dim] - size) // step + 1
    if step == size:  # windows that do not overlap are a reshape
        windows = x.narrow(dim, 0, count * size)
    else:
        place = torch.arange(count).unsqueeze(1) * step + torch.arange(size).unsqueeze(0)
        windows = x.index_select(dim, place.reshape(-1))
    windows = windows.reshape([*x.shape[:dim], count, size, *x.shape[dim + 1 :]])
    return windows.movedim(dim + 1, -1)


@RULES(aten.as_strided.default)
def as_strided(x: Tensor, size: Any, stride: Any, storage_offset: Any = None) -> Tensor:
    """Returns windows of the memory that ``x`` fills: overlapping chunks, mostly."""
    order = sorted(range(x.ndim), key=x.stride().__getitem__, reverse=True)
    memory = x.permute(order)
    if not memory.is_contiguous():
        raise NotImplementedError("a view of memory that its input does not fill")
    start = 0 if storage_offset is None else storage_offset - x.storage_offset()
    place = torch.arange(1) + start
    for count, step in zip(size, stride, strict=True):
        place = place.unsqueeze(-1) + torch.arange(count) * step
    return memory.reshape(-1).index_select(0, place.reshape(-1)).reshape(size)


@RULES(aten.unfold_backward.default)
def overlap_add(x: Tensor, input_sizes: Any, dim: int, size: int, step: int) -> Tensor:
    """Returns the line whose windows add up: the last axis of ``x`` is the window's own."""
    dim = dim % len(input_sizes)
    windows = x.movedim(dim, -1)  # (…, window, places)
    length, count = int(input_sizes[dim]), windows.shape[-1]
    columns = windows.reshape(-1, size, count)
    whole = (count - 1) * step + size
    lines = col2im(columns, [1, whole], [1, size], [1, 1], [0, 0], [1, step])
    lines = lines.reshape(*windows.shape[:-2], whole).movedim(-1, dim)
    pad = [0, 0] * (lines.ndim - 1 - dim) + [0, length - whole]
    return torch.nn.functional.pad(lines, pad)


@RULES(aten.im2col.default)
def im2col(x: Tensor, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Tensor:
    """Returns each window of a picture as a column."""
    picture = x if x.ndim == 4 else x.unsqueeze(0)  # noqa: PLR2004 (batch, channels, rows, columns)
    (rows, columns), (down, right) = kernel, dilation
    picture = torch.nn.functional.pad(picture, (padding[1], padding[1], padding[0], padding[0]))
    batch, channels, height, width = picture.shape
    lines = (height - down * (rows - 1) - 1) // stride[0] + 1
    points = (width - right * (columns - 1) - 1) // stride[1] + 1
    views = [
        picture[
            :,
            :,
            down * row : down * row + stride[0] * (lines - 1) + 1 : stride[0],
            right * column : right * column + stride[1] * (points - 1) + 1 : stride[1],
        ]
        for row in range(rows)
        for column in range(columns)
    ]
    result = torch.stack(views, 2).reshape(batch, channels * rows * columns, lines * points)
    return result if x.ndim == 4 else result.squeeze(0)  # noqa: PLR2004


@RULES(aten.col2im.default)
def col2im(
    x: Tensor, output_size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any
) -> Tensor:
    """Returns the picture whose windows add up: a transposed convolution with the identity."""
    columns = x if x.ndim == 3 else x.unsqueeze(0)  # noqa: PLR2004 (batch, channels and window, places)
    batch, depth, _ = columns.shape
    area = kernel[0] * kernel[1]
    lines, points = (
        (output_size[a] + 2 * padding[a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1
        for a in (0, 1)
    )
    weight = torch.eye(area, dtype=x.dtype).reshape(area, 1, kernel[0], kernel[1])
    flat = columns.reshape(batch * depth // area, area, lines, points)
    extra = [
        output_size[a] - ((n - 1) * stride[a] - 2 * padding[a] + dilation[a] * (kernel[a] - 1) + 1)
        for a, n in ((0, lines), (1, points))
    ]
    picture = torch.nn.functional.conv_transpose2d(
        flat, weight, None, stride, padding, extra, 1, dilation
    )
    picture = picture.reshape(batch, depth // area, *output_size)
    return picture if x.ndim == 3 else picture.squeeze(0)  # noqa: PLR2004


@RULES(aten.pad.default)
def pad(
    x: Tensor, padding: list[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Returns the pad of a mode: a constant, or what lies at the border, inside it or at the other side."""
    if mode == "constant":
        return aten.constant_pad_nd.default(x, padding, 0.0 if value is None else value)
    if mode == "circular":
        return circular_pad(x, padding)
    if mode == "replicate":
        return replication_pad(x, padding)
    targets = (
        aten.reflection_pad1d.default,
        aten.reflection_pad2d.default,
        aten.reflection_pad3d.default,
    )
    return targets[len(padding) // 2 - 1](x, padding)


@RULES(
    aten.replication_pad1d.default, aten.replication_pad2d.default, aten.replication_pad3d.default
)
def replication_pad(x: Tensor, padding: list[int]) -> Tensor:
    """Returns ``x`` with its border repeated (or, where the padding is negative, cut)."""
    for at in range(0, len(padding), 2):
        x = _repeated(x, x.ndim - 1 - at // 2, padding[at], padding[at + 1])
    return x


def _repeated(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    size = x.shape[dim]
    low, high = max(-before, 0), size - max(-after, 0)
    parts = [x.narrow(dim, low, high - low)]
    shape = list(x.shape)
    if before > 0:
        shape[dim] = before
        parts.insert(0, x.narrow(dim, 0, 1).expand(shape))
    if after > 0:
        shape[dim] = after
        parts.append(x.narrow(dim, size - 1, 1).expand(shape))
    return torch.cat(parts, dim) if len(parts) > 1 else parts[0]


@RULES(aten._pad_circular.default)
def circular_pad(x: Tensor, padding: list[int]) -> Tensor:
    """Returns ``x`` with what is on the other side beside it."""
    for at in range(0, len(padding), 2):
        dim = x.ndim - 1 - at // 2
        before, after = padding[at], padding[at + 1]
        low, high = max(-before, 0), x.shape[dim] - max(-after, 0)
        x = x.narrow(dim, low, high - low)
        parts = [x]
        if before > 0:
            parts.insert(0, x.narrow(dim, high - low - before, before))
        if after > 0:
            parts.append(x.narrow(dim, 0, after))
        x = torch.cat(parts, dim) if len(parts) > 1 else parts[0]
    return x


@RULES(aten.reflection_pad1d.default, aten.reflection_pad2d.default, aten.reflection_pad3d.default)
def reflection_pad(x: Tensor, padding: list[int]) -> Tensor:
    """Returns ``x`` with its mirror image beside it, the border itself once."""
    for at in range(0, len(padding), 2):
        dim = x.ndim - 1 - at // 2
        before, after, size = padding[at], padding[at + 1], x.shape[dim]
        place = torch.arange(-before, size + after).abs()
        place = size - 1 - (size - 1 - place).abs()
        x = x.index_select(dim, place)
    return x


@RULES(
    aten.adaptive_avg_pool1d.default,
    aten.adaptive_avg_pool2d.default,
    aten._adaptive_avg_pool2d.default,
    aten.adaptive_avg_pool3d.default,
)
def adaptive_avg_pool(x: Tensor, output_size: Any) -> Tensor:
    """Returns means of windows that share the input out: where they are unequal, a product an axis."""
    sizes = list(output_size)
    axes = list(range(x.ndim - len(sizes), x.ndim))
    if all(size == 1 for size in sizes):
        return x.mean(axes, keepdim=True)
    equal = all(x.shape[axis] % size == 0 for axis, size in zip(axes, sizes, strict=True))
    window = [x.shape[axis] // size for axis, size in zip(axes, sizes, strict=True)]
    if equal and len(sizes) == 1:
        return aten.avg_pool1d.default(x, window, window)
    if equal and len(sizes) == 2:  # noqa: PLR2004
        return aten.avg_pool2d.default(x, window, window)
    for axis, size in zip(axes, sizes, strict=True):
        if size != x.shape[axis]:
            share = _shares(x.shape[axis], size).to(x.dtype)
            x = (x.movedim(axis, -1) @ share).movedim(-1, axis)
    return x


def _shares(size: int, count: int) -> Tensor:
    """Returns (size, count): what each of ``size`` values adds to each of ``count`` means of windows."""
    place, window = torch.arange(size).unsqueeze(1), torch.arange(count).unsqueeze(0)
    begin = window * size // count
    end = ((window + 1) * size + count - 1) // count
    return ((place >= begin) & (place < end)).to(torch.float32) / (end - begin)


@RULES(aten.adaptive_max_pool1d.default)
def adaptive_max_pool1d(x: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    """Returns pooling of a line: that of a picture of one row."""
    values, indices = aten.adaptive_max_pool2d.default(x.unsqueeze(-2), [1, output_size[0]])
    return values.squeeze(-2), indices.squeeze(-2)


@RULES(aten.max_pool3d.default)
def max_pool3d(
    x: Tensor,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """Returns pooling over planes, then over depth."""
    sizes = [_three(v) for v in (kernel, stride or kernel, padding, dilation)]

    def pool(planes: Tensor, axes: slice) -> Tensor:
        window = [_two(v[axes], other) for v, other in zip(sizes, (1, 1, 0, 1), strict=True)]
        return aten.max_pool2d.default(planes, *window, ceil_mode)

    return _by_axes(x, pool)


@RULES(aten.avg_pool3d.default)
def avg_pool3d(
    x: Tensor,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Returns pooling over planes, then over depth: the count of a box is the product of its sides."""
    if not x.dtype.is_floating_point:  # each step would round
        raise NotImplementedError("avg_pool3d of integers: cast them with .float()")
    sizes = [_three(v) for v in (kernel, stride or kernel, padding)]
    override = None if divisor_override is None else 1

    def pool(planes: Tensor, axes: slice) -> Tensor:
        window = [_two(v[axes], other) for v, other in zip(sizes, (1, 1, 0), strict=True)]
        return aten.avg_pool2d.default(planes, *window, ceil_mode, count_include_pad, override)

    result = _by_axes(x, pool)
    return result if divisor_override is None else result / divisor_override


def _by_axes(x: Tensor, pool: Any) -> Tensor:
    """Returns ``x`` of (…, channels, depth, rows, columns) pooled over its planes, then over its depth."""
    volumes = x if x.ndim == 5 else x.unsqueeze(0)  # noqa: PLR2004 (a batch of them)
    batch, channels, depth, rows, columns = volumes.shape
    planes = pool(volumes.reshape(batch, channels * depth, rows, columns), slice(1, 3))
    rows, columns = planes.shape[-2:]
    lines = pool(planes.reshape(batch, channels, depth, rows * columns), slice(1))
    return lines.reshape(*x.shape[:-3], lines.shape[-2], rows, columns)


def _two(sizes: list[int], neutral: int) -> list[int]:
    """Returns the sizes of two axes; of depth alone, with ``neutral`` for an axis that is left as it is."""
    return sizes if len(sizes) == 2 else [*sizes, neutral]  # noqa: PLR2004


def _three(value: Any) -> list[int]:
    items = [value] if isinstance(value, int) else list(value)
    return items * 3 if len(items) == 1 else items
