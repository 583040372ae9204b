"""What calibration data says of each value: extremes and moments, a channel at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir import ops
from edgeopt.ir.reference import Simulation
from edgeopt.progress import report_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from edgeopt.quantization.channels import ChannelSpace
    from edgeopt.quantization.views import View

__all__ = [
    "ChannelStatistics",
    "channel_axes",
    "channel_axis",
    "channel_rows",
    "collect_statistics",
    "run_views",
]


@dataclass
class ChannelStatistics:
    """Running figures of one value, float32 of shape (channels,).

    Attributes:
        low: Smallest value seen.
        high: Largest value seen.
        mean: Mean.
        square: Mean of squares.
    """

    low: torch.Tensor
    high: torch.Tensor
    mean: torch.Tensor
    square: torch.Tensor
    count: int = 0

    @classmethod
    def empty(cls, channels: int) -> ChannelStatistics:
        """Returns the statistics of nothing yet."""
        infinite, zeros = torch.full((channels,), torch.inf), torch.zeros(channels)
        return cls(infinite, -infinite, zeros, zeros.clone())

    @property
    def variance(self) -> torch.Tensor:
        """Mean of squares less the square of the mean."""
        return (self.square - self.mean**2).clamp_min(0)

    def add(self, rows: torch.Tensor) -> None:
        """Takes in one sample as (elements, channels).

        Of another number of channels, as an axis of another length has at another shape, it only widens
        the extremes of all.
        """
        n = rows.shape[0]
        if not rows.numel():
            return
        if rows.shape[1] != len(self.low):
            self.low, self.high = self.low.clamp_max(rows.min()), self.high.clamp_min(rows.max())
            return
        share = n / (self.count + n)
        self.low = torch.minimum(self.low, rows.amin(dim=0))
        self.high = torch.maximum(self.high, rows.amax(dim=0))
        self.mean = self.mean + share * (rows.mean(dim=0) - self.mean)
        self.square = self.square + share * ((rows * rows).mean(dim=0) - self.square)
        self.count += n


def channel_axes(spaces: Iterable[ChannelSpace]) -> dict[str, int]:
    """Returns for each value of ``spaces``, and for each reader's output, its channel axis."""
    axes: dict[str, int] = {}
    for space in spaces:
        for name in (*space.values, *space.consumers):
            axes[name] = -1 if space.last else 1
    return axes


def channel_axis(node: torch.fx.Node) -> int:
    """Returns the axis of a value that most likely counts its channels."""
    if ops.is_convolution(node) or ops.is_transposed(node) or node.meta["val"].ndim > 3:  # noqa: PLR2004
        return 1
    return -1


def channel_rows(value: torch.Tensor, axis: int) -> torch.Tensor:
    """Returns ``value`` as (elements, channels)."""
    value = value if value.ndim else value.reshape(1)
    channels = value.shape[axis]
    return value.movedim(axis, -1).reshape(value.numel() // max(1, channels), channels)


def collect_statistics(
    views: Sequence[View], *, axes: Mapping[str, int]
) -> dict[str, ChannelStatistics]:
    """Returns the statistics of a program's float values over its samples.

    Args:
        views: The program at each shape, with samples of it; is run in float.
        axes: Name of each value to watch, and the axis of its channels.
    """
    statistics: dict[str, ChannelStatistics] = {}

    def observe(node: torch.fx.Node, value: Any) -> None:
        if node.name not in axes:
            return
        rows = channel_rows(value, axes[node.name])
        statistics.setdefault(node.name, ChannelStatistics.empty(rows.shape[1])).add(rows)

    run_views(views, observe)
    return statistics


def run_views(views: Sequence[View], observe: Callable[[torch.fx.Node, Any], None]) -> None:
    """Calls ``observe`` with each node and value of each sample, in float; the stage is ``calibrate``."""
    done, total = 0, sum(len(view.samples) for view in views)
    for view in views:
        simulation = Simulation(view.program, observe=observe, exact=False)
        for sample in view.samples:
            simulation.outputs(sample)
            report_progress("calibrate", done := done + 1, total)
