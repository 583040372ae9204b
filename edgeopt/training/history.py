"""The curves of a training run, as data and as a picture."""

from __future__ import annotations

from html import escape
from typing import Any

import msgspec

__all__ = ["Epoch", "History", "curves_svg"]

WIDTH, HEIGHT, MARGIN = 640, 320, 48
COLORS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2")
MARGIN_TOP = 16


class Epoch(msgspec.Struct, frozen=True):
    """What one epoch came to.

    Attributes:
        epoch: Its number, from 0.
        losses: Name of a loss to its mean over the epoch; ``total`` is what was minimized.
        learning_rate: The one of the last step.
        score: What ``evaluate`` said, None where it was not asked.
    """

    epoch: int
    losses: dict[str, float]
    learning_rate: float
    score: float | None = None


class History(msgspec.Struct, frozen=True):
    """All epochs of a run, oldest first.

    Attributes:
        epochs: One entry an epoch.
        best_epoch: The number of the epoch whose weights were kept, None where there was no score.
        stopped_early: Whether the score had not risen for as long as ``patience`` allows.
        start_score: What ``evaluate`` said before the first epoch; None where it was not asked. Where
            no epoch was better, ``best_epoch`` is None, and the weights of the start were kept.
    """

    epochs: tuple[Epoch, ...] = ()
    best_epoch: int | None = None
    stopped_early: bool = False
    start_score: float | None = None

    @property
    def best_score(self) -> float | None:
        """The score of what was kept: that of ``best_epoch``, else that of the start."""
        if self.best_epoch is None:
            return self.start_score
        return next((e.score for e in self.epochs if e.epoch == self.best_epoch), None)

    def curves(self) -> dict[str, list[float]]:
        """Returns name to one value an epoch: each loss, and ``score`` where there is one."""
        names = sorted({n for e in self.epochs for n in e.losses})
        losses = {n: [e.losses.get(n, float("nan")) for e in self.epochs] for n in names}
        scores = [e.score for e in self.epochs if e.score is not None]
        return {**losses, "score": scores} if len(scores) == len(self.epochs) else losses

    def to_dict(self) -> dict[str, Any]:
        """Returns the history as values that JSON holds."""
        values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return values

    def svg(self) -> str:
        """Returns the curves as an SVG picture; each is scaled to its own extremes."""
        return curves_svg(self.curves())


def curves_svg(curves: dict[str, list[float]]) -> str:
    """Returns an SVG picture of ``curves``, each from its least to its largest value."""
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12"'
    frame = f"M{MARGIN} {MARGIN_TOP}V{HEIGHT - MARGIN}H{WIDTH - 180}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<path d="{frame}" fill="none" stroke="#888"/>',
    ]
    for index, (name, values) in enumerate(curves.items()):
        color = COLORS[index % len(COLORS)]
        lines += _curve(name, values, color, MARGIN_TOP + 16 * (index + 1))
    return "\n".join([*lines, "</svg>", ""])


def _curve(name: str, values: list[float], color: str, at: int) -> list[str]:
    finite = [v for v in values if v == v]  # noqa: PLR0124 (NaN alone differs from itself)
    if not finite:
        return []
    low, high = min(finite), max(finite)
    wide, tall = WIDTH - 180 - MARGIN, HEIGHT - MARGIN - MARGIN_TOP
    points = " ".join(
        f"{MARGIN + wide * i / max(1, len(values) - 1):.1f},"
        f"{MARGIN_TOP + tall * (1 - (v - low) / ((high - low) or 1)):.1f}"
        for i, v in enumerate(values)
        if v == v  # noqa: PLR0124
    )
    text = f"{name} {values[0]:.4g} → {values[-1]:.4g}"
    return [
        f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>',
        f'<text x="{WIDTH - 172}" y="{at}" fill="{color}">{escape(text)}</text>',
    ]
