"""Where each value of a program lies, and how much rounding takes of it: watched while the gate runs both forms.

Nothing is run for it. The float form and the reference are run on the checks anyway; of each value a few elements,
evenly spread, are kept of the first and compared in the second.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from edgeopt.gate.metrics import snr_db

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgeopt.ir import Program
    from edgeopt.ir.quant import QuantSpec

__all__ = ["FloatValues", "RoundedValues", "ValueStatistics", "value_statistics"]

SAMPLES = 4
"""Samples of which elements are kept."""
ELEMENTS = 1024
"""Elements of a value that are kept of a sample."""
BINS = 32
LEVELS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""How full a bin is, as one letter: its place p among these stands for (p / 61)**2 of the fullest bin."""
HISTOGRAMS = 512
"""At most so many values have a histogram: those that rounding takes most of."""


class ValueStatistics(msgspec.Struct, frozen=True):
    """One value of a program, over the samples of the gate.

    Attributes:
        value: Its name.
        low: The smallest element in float.
        high: The largest.
        elements: How many elements the other figures are of.
        snr_db: Signal-to-noise ratio against float, in dB; None where float has no such value, or channels were
            rescaled meanwhile.
        storage: What it is stored in; empty for float.
        grid_low: Lower end of its grid: below it is clipped; None where it has none.
        grid_high: Upper end.
        scale: Step of the grid.
        zero_point: The integer that stands for 0.
        method: How the range was found.
        clipped: Share of the elements (0 to 1) beyond the grid.
        histogram: How full each of `BINS` bins is, a letter of `LEVELS` each; empty where none was kept.
        bin_low: Where the first bin begins.
        bin_high: Where the last one ends.
    """

    value: str
    low: float
    high: float
    elements: int
    snr_db: float | None = None
    storage: str = ""
    grid_low: float | None = None
    grid_high: float | None = None
    scale: float | None = None
    zero_point: int | None = None
    method: str = ""
    clipped: float = 0.0
    histogram: str = ""
    bin_low: float = 0.0
    bin_high: float = 0.0


class FloatValues:
    """Keeps a few elements of each value of the float program, and its extremes."""

    def __init__(self) -> None:
        self.kept: dict[str, list[torch.Tensor]] = defaultdict(list)
        self.ends: dict[str, tuple[float, float]] = {}

    def observe(self, node: torch.fx.Node, value: Any) -> None:
        """Is told of each value that is made."""
        if not _is_kept(node, value) or len(self.kept[node.name]) >= SAMPLES:
            return
        low, high = (float(end) for end in torch.aminmax(value))
        if not math.isfinite(low) or not math.isfinite(high):
            return
        before = self.ends.get(node.name, (low, high))
        self.ends[node.name] = (min(low, before[0]), max(high, before[1]))
        self.kept[node.name].append(_spread(value))


class RoundedValues:
    """Adds up how values of the reference differ from those of the float program.

    Args:
        wanted: The float program's.
    """

    def __init__(self, wanted: FloatValues) -> None:
        self._wanted = wanted
        self.signal: dict[str, float] = defaultdict(float)
        self.noise: dict[str, float] = defaultdict(float)
        self._runs: dict[str, int] = defaultdict(int)

    def observe(self, node: torch.fx.Node, value: Any) -> None:
        """Is told of each value that is made, after rounding."""
        references = self._wanted.kept.get(node.name, ())
        run = self._runs[node.name]
        self._runs[node.name] += 1
        if run >= len(references) or not _is_kept(node, value):
            return
        reference, elements = references[run].double(), _spread(value).double()
        if reference.shape == elements.shape and bool(torch.isfinite(elements).all()):
            self.signal[node.name] += float(reference.square().sum())
            self.noise[node.name] += float((reference - elements).square().sum())

    def snr_db(self, name: str) -> float | None:
        """Returns the signal-to-noise ratio of a value in dB; None where nothing was compared."""
        if name not in self.signal:
            return None
        return round(snr_db(self.signal[name], self.noise[name]), 2)


def value_statistics(
    wanted: FloatValues, rounded: RoundedValues, program: Program
) -> tuple[ValueStatistics, ...]:
    """Returns the statistics of each value that a call of ``program`` makes, in its order.

    Args:
        wanted: What the float program made.
        rounded: What ``program`` made.
        program: The one whose grids they are.
    """
    rescaled = _rescaled(program)
    results = [
        _statistics(name, wanted, None if name in rescaled else rounded.snr_db(name), program)
        for name in (node.name for node in program.graph.nodes)
        if name in wanted.ends and name not in program.constants
    ]
    return tuple(_thinned(results))


def _statistics(
    name: str, wanted: FloatValues, ratio_db: float | None, program: Program
) -> ValueStatistics:
    elements = torch.cat(wanted.kept[name]).double()
    low, high = wanted.ends[name]
    spec = program.quant.get(name)
    grid = {} if spec is None else _grid(spec, elements)
    ends = [low, high, *(grid[end] for end in ("grid_low", "grid_high") if end in grid)]
    return ValueStatistics(
        value=name,
        low=_short(low),
        high=_short(high),
        elements=elements.numel(),
        snr_db=ratio_db,
        histogram=_histogram(elements, min(ends), max(ends)),
        bin_low=_short(min(ends)),
        bin_high=_short(max(ends)),
        **grid,
    )


def _grid(spec: QuantSpec, elements: torch.Tensor) -> dict[str, Any]:
    if not spec.is_activation:
        return {"storage": spec.dtype, "method": spec.method}
    scale = float(spec.scale[0])
    outside = (elements < spec.low - scale / 2) | (elements > spec.high + scale / 2)
    return {
        "storage": spec.dtype,
        "grid_low": _short(spec.low),
        "grid_high": _short(spec.high),
        "scale": _short(scale),
        "zero_point": int(spec.zero_point[0]),
        "method": spec.method,
        "clipped": _short(float(outside.double().mean())),
    }


def _histogram(elements: torch.Tensor, low: float, high: float) -> str:
    if not high > low:
        return ""
    counts = torch.histc(elements, BINS, low, high)
    levels = (counts / counts.max().clamp(min=1)).sqrt() * (len(LEVELS) - 1)
    return "".join(LEVELS[int(level)] for level in levels.ceil())


def _thinned(results: list[ValueStatistics]) -> list[ValueStatistics]:
    """Returns the same with histograms of the `HISTOGRAMS` worst only."""
    if len(results) <= HISTOGRAMS:
        return results
    ranked = sorted(results, key=lambda one: 1e9 if one.snr_db is None else one.snr_db)
    names = {one.value for one in ranked[:HISTOGRAMS]}
    return [
        one if one.value in names else msgspec.structs.replace(one, histogram="") for one in results
    ]


def _rescaled(program: Program) -> frozenset[str]:
    """Returns the values whose channels equalization rescaled: their numbers are others than float's."""
    steps: Iterable[Any] = (step for step in program.history if step.name in ("equalize", "smooth"))
    return frozenset(name for step in steps for name in step.effect.get("values", ()))


def _is_kept(node: torch.fx.Node, value: Any) -> bool:
    is_float = isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel() > 0
    return is_float and node.op == "call_function"


def _spread(value: torch.Tensor) -> torch.Tensor:
    """Returns at most `ELEMENTS` elements; the distance is odd, so that it fits few shapes' rows."""
    flat = value.detach().reshape(-1)
    step = -(-flat.numel() // ELEMENTS) | 1
    return flat[::step].float().clone()


def _short(number: float) -> float:
    """Returns four digits of a number: last bits differ between machines, and nobody reads them."""
    return float(f"{number:.4g}")
