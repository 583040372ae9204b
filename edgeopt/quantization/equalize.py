"""Rescales channels so that one scale for all of them costs the least.

An int8 activation has one step for all its channels: a channel that uses a tenth of the range keeps
a tenth of the steps. `equalize` moves a factor s_c a channel from the weights of the consumers into
those of the producers (see `channels.py`), which changes nothing in float. The factors minimize the
noise expected at the consumers' outputs, relative to their signal:

    from activations: Σ_c (Δ²/12) / s_c² · Σ_o w_oc²       Δ = range of the rescaled value / 255
    from weights:     Σ_o (δ_o²/12) · Σ_c E[x_c²] · s_c²   δ_o = max_c |w_oc / s_c| / 127

SmoothQuant balances the same two by an exponent; here the balance is computed. Values behind a clamp
with an upper bound (relu6) are left alone: scaling them moves the bound, and channels that were
quiet in calibration are then cut on other data (it cost 1 to 2 dB on EfficientNet-Lite0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from edgeopt.contracts.storage import INT8
from edgeopt.ir import ops
from edgeopt.ir.edit import Editor
from edgeopt.ir.program import Program, Step
from edgeopt.quantization.channels import ChannelSpace, channel_spaces, is_depthwise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt.quantization.statistics import ChannelStatistics

__all__ = ["equalize", "with_headroom"]

aten = torch.ops.aten

WEIGHT_NOISE = 0.25
"""Share of a weight's rounding noise that adaptive rounding leaves."""
HEADROOM = 3.0
"""What is kept free above the extremes of a channel that is scaled up: other data go further."""
LARGEST_LOG = 4.0
STEPS = 100
WORTH_A_CHANGE = 0.99
WORTH_A_PRODUCT = 0.8
"""What the expected noise must fall to, relative to none, for weights to be changed, and for a product to be added."""


@dataclass(frozen=True)
class _Consumer:
    power: torch.Tensor  # Σ_o w_oc², one a channel
    peaks: torch.Tensor | None  # max over taps of |w_oc|, (out, in); None where depthwise
    moment: torch.Tensor  # E[x_c²] times the number of taps, one a channel
    signal: float


def equalize(
    program: Program, statistics: Mapping[str, ChannelStatistics], *, smoothing: bool
) -> Program:
    """Returns ``program`` with rescaled channels; the same function in float.

    Args:
        program: In canonical form, in float.
        statistics: For each value its channels' extremes and moments over the calibration data.
        smoothing: Whether to treat the spaces behind layer norms, or all the others.
    """
    editor = Editor(program)
    ratios: list[float] = []
    rescaled: list[str] = []
    for space in channel_spaces(program):
        if space.smoothing is not smoothing:
            continue
        factors, ratio = _solve(editor, space, statistics)
        if ratio < _worth(editor, space):
            _apply(editor, space, factors)
            ratios.append(ratio)
            rescaled += space.values
    if not ratios:
        return program
    effect = {
        "spaces": len(ratios),
        "expected_noise_ratio": round(sum(ratios) / len(ratios), 4),
        "values": rescaled,
    }
    return editor.finish(Step("smooth" if smoothing else "equalize", {}, effect))


def _worth(editor: Editor, space: ChannelSpace) -> float:
    """Returns what the noise must fall to: a product of its own is worth more than a change of weights."""
    product = any(editor.peek(name).target is aten.alias.default for name in space.producers)
    return WORTH_A_PRODUCT if product else WORTH_A_CHANGE


def _solve(
    editor: Editor, space: ChannelSpace, statistics: Mapping[str, ChannelStatistics]
) -> tuple[torch.Tensor, float]:
    """Returns the factors, and the noise they leave relative to none."""
    best = torch.ones(space.channels)
    ends = [
        with_headroom(statistics[v].low.clamp(max=0), statistics[v].high.clamp(min=0))
        for v in space.values
        if v in statistics and ops.fused_activation(editor.peek(v)) is None
    ]
    consumers = [_consumer(editor, name, space, statistics) for name in space.consumers]
    if not ends or any(low.numel() != space.channels for low, _ in ends):
        return best, 1.0
    start = least = float(_noise(best, ends, consumers))
    free = torch.zeros(space.channels, requires_grad=True)
    optimizer = torch.optim.Adam([free], lr=0.1)
    for _ in range(STEPS):
        factors = torch.exp(free.clamp(-LARGEST_LOG, LARGEST_LOG))
        noise = _noise(factors, ends, consumers)
        if float(noise.detach()) < least:
            best, least = factors.detach().clone(), float(noise.detach())
        optimizer.zero_grad()
        noise.log().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return best, least / max(start, 1e-30)


def with_headroom(low: torch.Tensor, high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns each channel's range, wider, but none beyond that of the widest: that range is there."""
    return torch.maximum(low * HEADROOM, low.min()), torch.minimum(high * HEADROOM, high.max())


def _noise(
    factors: torch.Tensor,
    ends: list[tuple[torch.Tensor, torch.Tensor]],
    consumers: list[_Consumer],
) -> torch.Tensor:
    widths = [(high * factors).amax() - (low * factors).amin() for low, high in ends]
    step = torch.stack([(width / INT8.steps) ** 2 for width in widths]).sum() + 1e-20
    total = torch.zeros(())
    for consumer in consumers:
        noise = step / 12 * (consumer.power / factors**2).sum()
        if consumer.peaks is not None:
            widest = (consumer.peaks / factors).amax(dim=1) / INT8.highest
            spread = (consumer.moment * factors**2).sum()
            noise = noise + WEIGHT_NOISE * (widest**2).sum() / 12 * spread
        total = total + noise / consumer.signal
    return total


def _consumer(
    editor: Editor, name: str, space: ChannelSpace, statistics: Mapping[str, ChannelStatistics]
) -> _Consumer:
    node = editor.peek(name)
    value, weight, _ = ops.weighted_parts(node)
    tensor = editor.tensor(weight)
    taps = tensor.reshape(*tensor.shape[:2], -1)
    signal = float(statistics[name].variance.sum()) if name in statistics else 1.0
    stats = statistics.get(value.name)
    fits = stats is not None and stats.square.numel() == space.channels
    moment = stats.square if stats is not None and fits else torch.ones(space.channels)
    depthwise = is_depthwise(node)
    return _Consumer(
        power=(taps**2).sum(dim=(1, 2) if depthwise else (0, 2)),
        peaks=None if depthwise else taps.abs().amax(dim=2),
        moment=moment * taps.shape[2],
        signal=max(signal, 1e-12),
    )


def _apply(editor: Editor, space: ChannelSpace, factors: torch.Tensor) -> None:
    for name in space.producers:
        node = editor.peek(name)
        if node.target is aten.alias.default:
            constant = editor.add_constant(f"{name}_factors", factors)
            editor.update(node, (node.args[0], constant), target=aten.mul.Tensor)
            continue
        norm = node.target is aten.layer_norm.default
        for operand in node.args[2:4] if norm else node.args[1:3]:
            if operand is not None:
                tensor = editor.tensor(operand)  # type: ignore[arg-type]
                editor.set_tensor(operand, tensor * _along(factors, tensor.ndim, 0))  # type: ignore[arg-type]
    for name in space.consumers:
        node = editor.peek(name)
        _, weight, _ = ops.weighted_parts(node)
        tensor = editor.tensor(weight)
        axis = 0 if is_depthwise(node) else 1
        editor.set_tensor(weight, tensor / _along(factors, tensor.ndim, axis))


def _along(factors: torch.Tensor, rank: int, axis: int) -> torch.Tensor:
    shape = [1] * rank
    shape[axis] = -1
    return factors.reshape(shape)
