"""The trials of a search as a picture: score over latency (or size), the front, the best."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.searching.trials import Trial

__all__ = ["front_svg"]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 680, 380, 72, 24, 40, 56
_GREY, _BLUE, _RED = "#bbbbbb", "#4269d0", "#ff725c"
_TICKS = 4
_ROOM = 0.06


class _Axis:
    """Values to pixels, with a little room at both ends."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        low, high = min(values), max(values)
        room = _ROOM * ((high - low) or abs(high) or 1.0)
        self._low, self._high = low - room, high + room
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)

    def ticks(self) -> list[float]:
        step = (self._high - self._low) / (_TICKS + 1)
        return [self._low + step * (i + 1) for i in range(_TICKS)]


def front_svg(
    trials: Sequence[Trial],
    front: Sequence[Trial],
    best: Trial | None,
    *,
    least_score: float | None = None,
    most: float | None = None,
) -> str:
    """Returns an SVG picture of the trials that measured something.

    Args:
        trials: All of them.
        front: Those that no other one beats.
        best: The best within the budget.
        least_score: The budget's lower end of the score.
        most: The budget's upper end of the latency, or of the size in millions of bytes where no
            latency was measured.
    """
    measured_trials = [t for t in trials if t.measured is not None]
    timed = any(t.measured.latency_ms is not None for t in measured_trials if t.measured)
    points = {t.number: _point(t, timed=timed) for t in measured_trials}
    body = ["<text x='20' y='60'>no trial measured anything</text>"]
    if points:
        xs = [p[0] for p in points.values()] + ([most] if most is not None else [])
        ys = [p[1] for p in points.values()] + ([least_score] if least_score is not None else [])
        across = _Axis(xs, LEFT, WIDTH - RIGHT)
        up = _Axis(ys, HEIGHT - BOTTOM, TOP)
        body = _frame(across, up, "latency, ms" if timed else "size, MB")
        body += _limits(across, up, most, least_score)
        body += _line([points[t.number] for t in front], across, up)
        body += [
            _dot(t, points[t.number], across, up, _colour(t, front, best), large=t is best)
            for t in measured_trials
        ]
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box}>'
    ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    return "\n".join([head, ground, *_legend(best), *body, "</svg>", ""])


def _point(trial: Trial, *, timed: bool) -> tuple[float, float]:
    result = trial.measured
    if result is None:  # not asked for
        return (0.0, 0.0)
    latency = result.latency_ms if timed else None
    return (result.size_bytes / 1e6 if latency is None else latency, result.score)


def _frame(across: _Axis, up: _Axis, what: str) -> list[str]:
    foot, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    lines = [f'<path d="M{LEFT} {TOP}V{foot}H{right}" fill="none" stroke="#888"/>']
    for value in across.ticks():
        x = across.at(value)
        lines.append(f'<path d="M{x:.1f} {foot}v5" stroke="#888"/>')
        lines.append(f'<text x="{x:.1f}" y="{foot + 18}" text-anchor="middle">{value:.3g}</text>')
    for value in up.ticks():
        y = up.at(value)
        lines.append(f'<path d="M{LEFT} {y:.1f}h-5" stroke="#888"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    middle = (LEFT + right) / 2
    lines.append(f'<text x="{middle}" y="{HEIGHT - 16}" text-anchor="middle">{what}</text>')
    turn = f'transform="rotate(-90 18 {HEIGHT / 2})"'
    lines.append(f'<text x="18" y="{HEIGHT / 2}" text-anchor="middle" {turn}>score</text>')
    return lines


def _limits(across: _Axis, up: _Axis, most: float | None, least: float | None) -> list[str]:
    style = f'stroke="{_RED}" stroke-dasharray="4 4"'
    lines = []
    if most is not None:
        lines.append(f'<path d="M{across.at(most):.1f} {TOP}V{HEIGHT - BOTTOM}" {style}/>')
    if least is not None:
        lines.append(f'<path d="M{LEFT} {up.at(least):.1f}H{WIDTH - RIGHT}" {style}/>')
    return lines


def _line(points: Sequence[tuple[float, float]], across: _Axis, up: _Axis) -> list[str]:
    path = " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in sorted(points))
    return [f'<polyline points="{path}" fill="none" stroke="{_BLUE}" stroke-opacity="0.4"/>']


def _dot(
    trial: Trial,
    point: tuple[float, float],
    across: _Axis,
    up: _Axis,
    colour: str,
    *,
    large: bool,
) -> str:
    x, y = across.at(point[0]), up.at(point[1])
    title = escape(f"{trial.number}: {trial.configuration}")
    radius = 7 if large else 4
    circle = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}">'
    return f"{circle}<title>{title}</title></circle>"


def _colour(trial: Trial, front: Sequence[Trial], best: Trial | None) -> str:
    if best is not None and trial.number == best.number:
        return _RED
    return _BLUE if any(trial.number == other.number for other in front) else _GREY


def _legend(best: Trial | None) -> list[str]:
    label = "" if best is None else f"   best: {best.number}, {best.configuration}"
    text = escape(f"grey: tried   blue: no other beats it{label}")
    return [f'<text x="{LEFT}" y="20">{text}</text>']
