"""Whether calibration data covers what values reach: each sample is run with the ranges of the others.

The farthest sample sets the end of a range, and what the next one reaches beyond is cut off. Where values
have long tails, that can be most of an output, and neither the samples calibrated on nor a few others
show it. Leaving one out does (cross-validation): values are cut where those of all other samples end, and
what the outputs lose by it is what a new sample would. The farthest may lie close together by chance; how the
ends scatter tells how far beyond them all a new one is expected, and the farthest is cut by as large a share.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgeopt.ir.reference import Simulation
from edgeopt.quantization.fills import fills
from edgeopt.quantization.losses import measure_quality

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgeopt.ir.program import Program
    from edgeopt.quantization.views import View

    Limits = dict[str, tuple[float, float]]
    Pairs = Sequence[tuple[float, float]]

__all__ = ["uncovered_outputs"]

COVERED_DB = 20.0
"""Below this it is told: a person should look (docs/gate.md)."""
RARER = 4
"""How many times rarer than one of these samples the end is that is to be expected."""
MOST_RUN = 16
"""Samples that are run: those that reach farthest beyond all others."""
FEWEST = 2
"""Samples without which there are no others."""


def uncovered_outputs(
    views: Sequence[View], extremes: Mapping[str, Pairs], group: Mapping[str, str]
) -> dict[str, float]:
    """Returns the outputs that ranges of these samples do not cover, and how many dB a new one keeps.

    Args:
        views: The program in float, at each shape, with the samples calibrated on.
        extremes: Value name to its least and largest number in each sample, of values whose range
            is found on them.
        group: Value name to what stands for all values of its grid.
    """
    program = views[0].program
    runs = [(view.program, sample) for view in views for sample in view.samples]
    cuts = _cuts(program, extremes, group)[:MOST_RUN] if len(runs) >= FEWEST else []
    if not cuts:
        return {}
    exact = [Simulation(runs[at][0], exact=False).outputs(runs[at][1]) for at, _ in cuts]
    cut = [_Cut(runs[at][0], limits).outputs(runs[at][1]) for at, limits in cuts]
    others_db = 10 * math.log10(len(runs) / len(cuts))  # they lose little or nothing
    lost = {}
    for place, name in enumerate(program.output_names):
        pair = ([one[place] for one in exact], [one[place] for one in cut])
        if not pair[0][0].is_floating_point():
            continue
        if (
            sum(len(view.samples) > 0 for view in views) > 1
        ):  # a channel may be as long as the inputs
            pair = (
                [one.reshape(-1, 1) for one in pair[0]],
                [one.reshape(-1, 1) for one in pair[1]],
            )
        kept_db = measure_quality(*pair).whole_db + others_db
        if kept_db < COVERED_DB:
            lost[name] = kept_db
    return lost


def _cuts(
    program: Program, extremes: Mapping[str, Pairs], group: Mapping[str, str]
) -> list[tuple[int, Limits]]:
    """Returns the samples that alone reach farthest anywhere, and where they are cut there.

    That is where the others end, or as far below as a rarer sample is expected beyond them all. Those that
    go farthest beyond come first.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for name, one in group.items():
        members[one].append(name)
    cuts: dict[int, Limits] = defaultdict(dict)
    beyond: dict[int, float] = defaultdict(float)
    for names in members.values():
        pairs = np.array([extremes[n] for n in names if n in extremes])
        if not len(pairs):
            continue
        known = list(_known(program, names))
        for sign, ends in ((1.0, pairs[..., 1].max(0)), (-1.0, -pairs[..., 0].min(0))):
            at = int(ends.argmax())
            limit = max(_limit(ends), *(sign * value for value in known))
            if ends[at] > limit:
                beyond[at] = max(beyond[at], ends[at] / limit if limit else math.inf)
                for name in names:
                    low, high = cuts[at].get(name, (-math.inf, math.inf))
                    cuts[at][name] = (low, limit) if sign > 0 else (-limit, high)
    return sorted(cuts.items(), key=lambda cut: -beyond[cut[0]])


def _limit(ends: np.ndarray) -> float:
    """Returns where the sample that reaches farthest is cut; at least 0."""
    ends = np.sort(ends.clip(min=0))
    others, farthest = ends[-2:].tolist()
    if farthest == 0 or math.isinf(farthest):
        return float(others)
    return float(min(others, farthest**2 / max(farthest, _expected_end(ends))))


def _expected_end(ends: np.ndarray) -> float:
    """Returns how far one in `RARER` times as many samples reaches, by those beyond the median.

    The others say nothing of it: they may be silence. Source: peaks over a threshold, their excess
    exponential (Pickands, Statistical Inference Using Extreme Order Statistics, 1975).
    """
    far = (len(ends) - 1) // 2
    if not far:
        return float(ends[-1])
    median = float(ends[-far - 1])
    excess = float(ends[-far:].mean()) - median
    return median + excess * math.log(RARER * far)


def _known(program: Program, names: Sequence[str]) -> Iterator[float]:
    """Yields what the range holds whatever the samples are: 0, fills, and constants on the same grid."""
    yield 0.0
    yield from fills(map(program.node, names))
    for name in names:
        if name in program.constants:
            yield from map(float, torch.aminmax(program.constants[name]))


class _Cut(Simulation):
    """Runs a float program with some values cut at limits."""

    def __init__(self, program: Program, limits: Limits) -> None:
        super().__init__(program, exact=False)
        self._limits = limits

    def _computed(self, n: torch.fx.Node) -> Any:
        value = super()._computed(n)
        return value.clamp(*self._limits[n.name]) if n.name in self._limits else value
