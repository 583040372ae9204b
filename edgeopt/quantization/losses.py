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

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgeopt.ir.program import Program

__all__ = ["Loss", "Quality", "find_loss", "lost_outputs", "measure_quality"]

LOST_DB = 10.0
"""Below this a value is lost: its error is a third of it."""
HIDDEN_DB = 15.0
"""By how much channels fall below the whole value where it hides them. Like channels scatter less."""
SHARE = 0.15
"""The share of channels that may be worse: some are next to nothing by chance."""
QUIETEST = 1e-7
"""Power beside the loudest channel's below which a channel is silent."""
FARTHEST = 1e4
"""Times the small values of a tensor: what lies beyond is a mark (-1e9), not a measure."""
MOST_VALUES = 20_000


@dataclass(frozen=True)
class Quality:
    """How far a value of the integer program is from the float one.

    Attributes:
        whole_db: Signal to noise of all of it.
        channels_db: That of the channels but for the worst few.
        unrounded_db: The smaller of both before the value itself was rounded.
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


def measure_quality(
    exact: Sequence[torch.Tensor], rounded: Sequence[torch.Tensor], unrounded_db: float = math.inf
) -> Quality:
    """Returns how far ``rounded`` is from ``exact``, sample by sample of the same shape."""
    whole, channels = math.inf, math.inf
    limit = _limit(exact)
    for axis in _axes(exact[0]):
        signal, noise = _powers(exact, rounded, limit, axis)
        whole = _db(float(signal.sum()), float(noise.sum()))
        live = signal > QUIETEST * signal.max()
        ratios = sorted(_db(float(s), float(n)) for s, n in zip(signal[live], noise[live], strict=True))
        if ratios:
            channels = min(channels, ratios[int(SHARE * (len(ratios) - 1))])
    return Quality(whole, channels, unrounded_db)


def lost_outputs(program: Program, quality: Mapping[str, Quality]) -> dict[str, float]:
    """Returns the outputs that are lost, and how many dB are left."""
    return {n: quality[n].worst_db for n in program.output_names if n in quality and quality[n].lost}


def find_loss(program: Program, quality: Mapping[str, Quality]) -> Loss | None:
    """Returns the first value on the way to a lost output that is lost, None where none stands out.

    Args:
        program: The float program.
        quality: Of every float value of the integer program.
    """
    for name in lost_outputs(program, quality):
        node = _first_lost(program.node(name), quality)
        before = min((quality[v.name].worst_db for v in _measured(node, quality)), default=math.inf)
        now = quality[node.name]
        if before - now.worst_db < LOST_DB:
            continue  # it faded step by step: no single value would bring it back
        reason = f"{now.worst_db:.1f} dB are left of it, of {min(before, 99.0):.0f} in what it reads"
        return Loss(node.name, tuple(_around(node, now)), reason)
    return None


def _first_lost(node: torch.fx.Node, quality: Mapping[str, Quality]) -> torch.fx.Node:
    seen = {node}
    while True:
        worse = [v for v in _measured(node, quality) if quality[v.name].lost and v not in seen]
        if not worse:
            return node
        node = min(worse, key=lambda v: quality[v.name].worst_db)
        seen.add(node)


def _measured(node: torch.fx.Node, quality: Mapping[str, Quality]) -> list[torch.fx.Node]:
    return [v for v in ops.activation_inputs(node) if v.name in quality]


def _around(node: torch.fx.Node, quality: Quality) -> Iterator[str]:
    """Yields what must be float: the value, anchors that read it, and its makers if it came so."""
    yield node.name
    yield from (v.name for v in node.all_input_nodes if ops.fused_activation(v) is node)
    waiting = [node]
    while waiting:
        for user in waiting.pop().users:
            if user.target in ops.ANCHORS:
                yield user.name
            elif user.target in ops.SAME_GRID:
                waiting.append(user)
    if quality.unrounded_db < LOST_DB:
        yield from _makers(node)


def _makers(node: torch.fx.Node) -> Iterator[str]:
    """Yields what computes ``node``, back to the anchors: their rounding is larger than it."""
    waiting, seen = [node], {node}
    while waiting:
        node = waiting.pop()
        if node.op != "call_function":
            continue
        yield node.name
        if node.target not in ops.ANCHORS:
            new = [v for v in ops.activation_inputs(node) if v not in seen]
            seen.update(new)
            waiting += new


def _axes(value: torch.Tensor) -> tuple[int, ...]:
    """Returns the axes that may count channels; of three dimensions both are usual."""
    return {0: (0,), 1: (0,), 2: (1,), 3: (1, 2)}.get(value.ndim, (1,))


def _limit(values: Sequence[torch.Tensor]) -> float:
    """Returns the size beyond which a number is a mark."""
    flat = torch.cat([v.reshape(-1) for v in values]).abs()
    flat = flat[:: max(1, flat.numel() // MOST_VALUES)]
    flat = flat[(flat > 0) & torch.isfinite(flat)]
    if not flat.numel():
        return math.inf
    return FARTHEST * float(flat.kthvalue(1 + int(0.05 * (flat.numel() - 1))).values)


def _powers(
    exact: Sequence[torch.Tensor], rounded: Sequence[torch.Tensor], limit: float, axis: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns signal and noise a channel, summed up over what is no mark."""
    signals, noises = [], []
    for a, b in zip(exact, rounded, strict=True):
        a, b = (t if t.ndim else t.reshape(1) for t in (a, b))  # noqa: PLW2901
        others = [d for d in range(a.ndim) if d != axis]
        there = a.abs() <= limit
        signal, noise = (torch.where(there, t, 0.0).square() for t in (a, a - b))
        signals.append(signal.sum(dim=others) if others else signal)
        noises.append(noise.sum(dim=others) if others else noise)
    return torch.stack(signals).double().sum(0), torch.stack(noises).double().sum(0)


def _db(signal: float, noise: float) -> float:
    return 10 * math.log10(signal / noise) if signal > 0 and noise > 0 else math.inf
