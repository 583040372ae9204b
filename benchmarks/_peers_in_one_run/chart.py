"""The chart of docs/peers.md: latency beside edgeopt's, model by model."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _peers_in_one_run.rows import Row

__all__ = ["chart"]

GREY = "#808080"
"""Readable on light and on dark pages."""


def chart(rows: Sequence[Row], threads: int = 1) -> str:
    """Returns an SVG: for each model a row of points, how long each peer takes beside edgeopt."""
    import matplotlib as mpl  # noqa: PLC0415 (an optional package)

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    mpl.rcParams.update({"svg.hashsalt": "peers", "text.color": GREY, "axes.labelcolor": GREY})
    found = [(r, t) for r in rows for t in r.timings if t.threads == threads]
    labels = [f"{r.model}: {r.peer}" for r, _ in found]
    figure, axes = plt.subplots(figsize=(8, 0.8 + 0.24 * len(found)))
    for place, (row, timing) in enumerate(found):
        color = "#2a7de1" if row.peer.startswith("edgeopt") else "#d9822b"
        axes.plot([timing.low, timing.high], [place, place], color=color)
        axes.plot(timing.ratio, place, "o", color=color)
    axes.axvline(1.0, color=GREY, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(found)), labels)
    axes.invert_yaxis()
    axes.tick_params(colors=GREY)
    axes.spines[:].set_color(GREY)
    axes.set_xlabel(f"time beside edgeopt's, {threads} thread (left is faster)")
    content = io.StringIO()
    metadata = {"Date": None}
    figure.savefig(content, format="svg", transparent=True, bbox_inches="tight", metadata=metadata)
    plt.close(figure)
    return content.getvalue()
