"""RAM over time as a picture: a bar for each operator, what there is as a line, and what fills the fullest."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeopt.contracts import MemoryMoment
    from edgeopt.deployment.memory import MemoryReport

__all__ = ["memory_svg"]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 820, 320, 64, 320, 40, 40
_GREY, _BLUE, _RED = "#888888", "#4269d0", "#ff725c"
_NAMED = 6
"""So many of the fullest operator's tensors are named."""
_HIGH = 1.6
"""A limit is drawn where it is at most so many times the highest bar: above, bars would be too small."""
_TICKS, _LINE = 4, 16


def memory_svg(report: MemoryReport) -> str:
    """Returns an SVG picture of the arena over time."""
    use = report.use
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20">{escape(str(report))}</text>',
    ]
    fullest = use.fullest
    if fullest is None:
        return "\n".join([*lines, '<text x="20" y="60">it is not known</text>', "</svg>", ""])
    limit = 1024 * report.limits.arena_kb
    arena = use.arena_bytes or use.ram_bytes
    top = max(fullest.size_bytes, arena)
    shown = limit <= _HIGH * top
    most = max(top, limit if shown else 0) * 1.05
    lines += _axis(most)
    lines += [_bar(use.moments, k, most, fullest) for k in range(len(use.moments))]
    near = shown and abs(_height(arena, most) - _height(limit, most)) < _LINE
    lines += _level(arena, most, _GREY, f"arena {_kib(arena)}", _LINE if near else 4)
    if shown:
        lines += _level(limit, most, _RED, f"limit {_kib(limit)}", 0 if near else 4)
    return "\n".join([*lines, *_named(fullest), "</svg>", ""])


def _axis(most: float) -> list[str]:
    foot, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    lines = [f'<path d="M{LEFT} {TOP}V{foot}H{right}" fill="none" stroke="{_GREY}"/>']
    step = _round(most / _TICKS)
    for k in range(1, int(most / step) + 1):
        value = step * k
        y = _height(value, most)
        lines.append(f'<path d="M{LEFT} {y:.1f}h-5" stroke="{_GREY}"/>')
        text = f"{value / 1024:.3g}"
        lines.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    middle = (LEFT + right) / 2
    lines.append(
        f'<text x="{middle}" y="{HEIGHT - 14}" text-anchor="middle">operators in their order; KiB</text>'
    )
    return lines


def _round(size: float) -> float:
    """Returns the next of 1, 2 or 5 times a power of ten KiB, from half of ``size`` on."""
    power = 1024 * 10.0 ** math.floor(math.log10(size / 2048))
    return min(power * by for by in (1, 2, 5, 10) if power * by >= size / 2)


def _bar(moments: tuple[MemoryMoment, ...], k: int, most: float, fullest: MemoryMoment) -> str:
    one = moments[k]
    wide = (WIDTH - RIGHT - LEFT) / len(moments)
    y = _height(one.size_bytes, most)
    colour = _RED if one is fullest else _BLUE
    place = f'x="{LEFT + k * wide:.2f}" y="{y:.1f}" width="{0.9 * wide:.2f}" height="{HEIGHT - BOTTOM - y:.1f}"'
    title = escape(f"{one.operator}: {_kib(one.size_bytes)}")
    return f'<rect {place} fill="{colour}"><title>{title}</title></rect>'


def _level(value: float, most: float, colour: str, text: str, below: int) -> list[str]:
    """Returns a line across, and its text beside it, a few pixels below."""
    y, right = _height(value, most), WIDTH - RIGHT
    return [
        f'<path d="M{LEFT} {y:.1f}H{right}" stroke="{colour}" stroke-dasharray="4 4"/>',
        f'<text x="{right + 6}" y="{y + below:.1f}" fill="{colour}">{escape(text)}</text>',
    ]


def _named(fullest: MemoryMoment) -> list[str]:
    """Returns the names of what is kept at the fullest operator, below each other beside the bars."""
    tensors = sorted(fullest.tensors, key=lambda one: -one.size_bytes)
    rows = [f"{_kib(one.size_bytes)} {one.name}, {one.what}" for one in tensors[:_NAMED]]
    rest = sum(one.size_bytes for one in tensors[_NAMED:])
    rows += [f"{_kib(rest)} of {len(tensors) - _NAMED} more"] if rest else []
    rows = [f"fullest at {fullest.operator}:", *rows]
    x, foot = WIDTH - RIGHT + 16, HEIGHT - BOTTOM - _LINE * (len(rows) - 1)
    return [
        f'<text x="{x}" y="{foot + _LINE * k}">{escape(_short(row))}</text>'
        for k, row in enumerate(rows)
    ]


def _short(text: str, most: int = 48) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _height(value: float, most: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / most


def _kib(size: float) -> str:
    return f"{size / 1024:.1f} KiB"
