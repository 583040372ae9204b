"""Finds values whose numbers an integer grid loses, by the error that reaches the outputs.

Noise is set against each value's own size, for all of it and channel by channel: one loud channel
must not hide that the others are gone, nor a mark of minus a billion that scores are. Only where an
output is lost is it asked where: the first value on the way whose inputs are still right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from edgeopt.ir import ops
from edgeopt.quantization.statistics import channel_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from edgeopt.ir.program import Program

__all__ = ["Loss", "Quality", "find_loss", "lost_outputs", "measure_quality"]

LOST_DB = 20.0
"""Below this a value is lost: its error is a tenth of it."""
SUDDEN_DB = 15.0
"""What one operator costs where it is to blame; what fades step by step has no single cause."""
HIDDEN_DB = 15.0
"""By how much channels fall below the whole value where it hides them. Like channels scatter less."""
SHARE = 0.15
"""The share of channels that may be worse: some are next to nothing by chance."""
QUIET = 0.01
"""Spread beside the median channel's below which a channel is of another kind, and counts alone."""
CONSTANT = 0.1
"""Share of a channel's mean square that counts where it hardly varies: its spread is what it tells,
but the noise of a constant still lies beside a number."""
QUIETEST = 1e-7
"""Signal beside the loudest channel's below which a channel is silent."""
FARTHEST = 1e4
"""Times the small values of a tensor: what lies beyond is a mark (-1e9), not a measure."""
MOST_VALUES = 20_000
MOST_MEASURED = 4_000_000


@dataclass(frozen=True)
class Quality:
    """How far a value of the integer program is from the float one.

    Attributes:
        whole_db: Signal to noise of all of it.
        channels_db: That of the channels but for the worst few.
        unrounded_db: The smaller of both before the value itself was rounded; of lost values.
    """

    whole_db: float
    channels_db: float
    unrounded_db: float = math.inf

    @property
    def worst_db(self) -> float:
        """The smaller of the whole's and the channels'."""
        return min(self.whole_db, self.channels_db)

    @property
    def lost(self) -> bool:
        """Whether nobody can use the value, or not those channels."""
        hidden = self.whole_db - self.channels_db > HIDDEN_DB
        return self.whole_db < LOST_DB or (hidden and self.channels_db < LOST_DB)


@dataclass(frozen=True)
class Loss:
    """A value that is lost, and what must stay in float so that it is not.

    Attributes:
        value: Its name.
        keep: Names of nodes.
        reason: For the history.
    """

    value: str
    keep: tuple[str, ...]
    reason: str


def measure_quality(exact: Sequence[torch.Tensor], rounded: Sequence[torch.Tensor]) -> Quality:
    """Returns how far ``rounded`` is from ``exact``, sample by sample of the same shape.

    Of large values some samples say as much as all: at most about `MOST_MEASURED` numbers are read.
    """
    whole, channels = math.inf, math.inf
    if not exact[0].numel():
        return Quality(whole, channels)
    step = max(1, sum(v.numel() for v in exact) // MOST_MEASURED)
    exact, rounded = exact[::step], rounded[::step]
    limit = _limit(exact)
    for axis in _axes(exact[0]):
        signal, noise, spread = _powers(exact, rounded, limit, axis)
        whole = _db(float(signal.sum()), float(noise.sum()))
        live = signal > QUIETEST * signal.max()
        if not bool(live.any()):
            continue
        ratios = 10 * torch.log10(signal[live] / noise[live])
        quiet = spread[live] < QUIET * spread[live].median()
        usual = ratios.sort().values[int(SHARE * (len(ratios) - 1))]
        channels = min(channels, float(usual), *ratios[quiet].tolist())
    return Quality(whole, channels)


def lost_outputs(program: Program, quality: Mapping[str, Quality]) -> dict[str, float]:
    """Returns the outputs that are lost, and how many dB are left."""
    return {
        n: quality[n].worst_db for n in program.output_names if n in quality and quality[n].lost
    }


def find_loss(
    program: Program, quality: Mapping[str, Quality], kept: Iterable[str] = ()
) -> Loss | None:
    """Returns the first value on the way to a lost output that is lost, None where none stands out.

    Args:
        program: The float program.
        quality: Of every float value of the integer program.
        kept: Names of nodes that are in float already.
    """
    trace = _Trace(quality, frozenset(kept))
    for name in lost_outputs(program, quality):
        node = trace.first_lost(program.node(name))
        before, now = trace.read_db(node), quality[node.name].worst_db
        keep = tuple(dict.fromkeys(trace.around(node)))
        if before - now >= SUDDEN_DB and not trace.kept.issuperset(keep):
            reason = f"{now:.1f} dB are left of it, of {min(before, 99.0):.0f} in what it reads"
            return Loss(node.name, keep, reason)
    return None


class _Trace:
    """Follows what is lost through the graph."""

    def __init__(self, quality: Mapping[str, Quality], kept: frozenset[str]) -> None:
        self.quality = quality
        self.kept = kept

    def first_lost(self, node: torch.fx.Node) -> torch.fx.Node:
        """Returns the first lost value on the worst way back from ``node``."""
        path = {node}
        while True:
            worse = [v for v in self._read(node) if self._is_lost(v) and v not in path]
            if not worse:
                return node
            node = min(worse, key=lambda v: self.quality[v.name].worst_db)
            path.add(node)

    def read_db(self, node: torch.fx.Node) -> float:
        """Returns the quality of the worst value that ``node`` reads."""
        return min((self.quality[v.name].worst_db for v in self._read(node)), default=math.inf)

    def around(self, node: torch.fx.Node) -> Iterator[str]:
        """Yields what must be float: the lost value, what reads it, and its producers if it came so."""
        yield node.name
        yield from (v.name for v in node.all_input_nodes if ops.fused_activation(v) is node)
        yield from self._consumers(node)
        if self.quality[node.name].unrounded_db < LOST_DB:
            yield from self._makers(node)

    def _read(self, node: torch.fx.Node) -> list[torch.fx.Node]:
        return [v for v in ops.activation_inputs(node) if v.name in self.quality]

    def _is_lost(self, node: torch.fx.Node) -> bool:
        return node.name in self.quality and self.quality[node.name].lost

    def _consumers(self, node: torch.fx.Node) -> Iterator[str]:
        """Yields what is lost behind ``node``, up to the first weighted operators."""
        waiting, nodes = [node], {node}
        while waiting:
            for user in waiting.pop().users:
                if user in nodes or not self._is_lost(user):
                    continue
                nodes.add(user)
                yield user.name
                if not ops.is_weighted(user):
                    waiting.append(user)
                else:
                    fused = ops.fused_activation(user)
                    yield from [fused.name] if fused is not None else []

    def _makers(self, node: torch.fx.Node) -> Iterator[str]:
        """Yields what computes ``node``, back to integer weighted operators: their rounding is larger than it."""
        waiting, nodes = [node], {node}
        while waiting:
            node = waiting.pop()
            if node.op != "call_function":
                continue
            yield node.name
            if not ops.is_weighted(node) or node.name in self.kept:
                new = [v for v in ops.activation_inputs(node) if v not in nodes]
                nodes.update(new)
                waiting += new


def _axes(value: torch.Tensor) -> tuple[int, ...]:
    """Returns the axes that may count channels; of three dimensions both are usual."""
    return {0: (0,), 1: (0,), 2: (1,), 3: (1, 2)}.get(value.ndim, (1,))


def _limit(values: Sequence[torch.Tensor]) -> float:
    """Returns the size beyond which a number is a mark."""
    step = max(1, sum(v.numel() for v in values) // MOST_VALUES)
    flat = torch.cat([v.reshape(-1)[::step] for v in values]).abs()
    flat = flat[(flat > 0) & torch.isfinite(flat)]
    if not flat.numel():
        return math.inf
    return FARTHEST * float(flat.kthvalue(1 + int(0.05 * (flat.numel() - 1))).values)


def _powers(
    exact: Sequence[torch.Tensor], rounded: Sequence[torch.Tensor], limit: float, axis: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns signal, noise and spread a channel, summed up over all that is no mark."""
    totals = torch.zeros(4)
    for a, b in zip(exact, rounded, strict=True):
        signal, error = _rows(a, axis), _rows(a - b, axis)
        there = signal.abs() <= limit
        signal, error = torch.where(there, signal, 0.0), torch.where(there, error, 0.0)
        parts = (signal.square(), error.square(), signal, there)
        totals = totals + torch.stack([p.sum(0).double() for p in parts], -1)
    power, noise, total, count = totals.unbind(-1)
    spread = (power - total**2 / count.clamp_min(1)).clamp_min(0)
    return torch.maximum(spread, CONSTANT * power), noise, spread


def _rows(value: torch.Tensor, axis: int) -> torch.Tensor:
    return channel_rows(value, axis if value.ndim else 0)


def _db(signal: float, noise: float) -> float:
    # No quotient: beside infinite noise it would be 0, which has no logarithm.
    return 10 * (math.log10(signal) - math.log10(noise)) if signal > 0 and noise > 0 else math.inf
