"""Says where calibration data cannot have told how the model behaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgeopt.contracts.storage import FLOAT16, UINT8

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

    from edgeopt.contracts import Signature

__all__ = ["beyond_half", "calibration_doubts"]

BEYOND = 2.0
"""How many times the range that was calibrated a check sample may reach without a word."""

TWICE = 1.01 / UINT8.highest
"""Largest value of pictures in 0 to 255 that were divided by 255 twice."""


def calibration_doubts(
    signature: Signature,
    samples: Sequence[Sequence[torch.Tensor]],
    checks: Sequence[Sequence[np.ndarray]],
) -> Iterator[str]:
    """Yields what is to be said of each input.

    Args:
        signature: Names the inputs.
        samples: What was calibrated on.
        checks: What is checked on.
    """
    for at, spec in enumerate(signature.inputs):
        values = [sample[at] for sample in samples]
        if not values or not values[0].numel():
            continue
        yield from _same(spec.name, values)
        if values[0].is_floating_point():
            yield from _magnitudes(spec.name, values, [check[at] for check in checks])


def _same(name: str, values: list[torch.Tensor]) -> Iterator[str]:
    count = len(values)
    if count > 1 and all(torch.equal(values[0], value) for value in values[1:]):
        what = "zero" if not bool(values[0].any()) else "the same"
        yield f"input {name}: all {count} calibration samples are {what}; pass real, varied ones"
    elif values[0].numel() > 1 and all(bool((v == v.flatten()[0]).all()) for v in values):
        yield f"input {name}: each calibration sample is one constant value; pass real ones"


def _magnitudes(name: str, values: list[torch.Tensor], checks: list[np.ndarray]) -> Iterator[str]:
    low, high = (float(f(torch.stack([f(v) for v in values]))) for f in (torch.min, torch.max))
    if low >= 0 and 0 < high <= TWICE:
        yield (
            f"input {name}: calibration values lie in {low:.3g} to {high:.3g}, as pictures do "
            "that are divided by 255 twice"
        )
    reach = max(abs(low), abs(high))
    peak = max((float(abs(check).max()) for check in checks), default=0.0)
    if peak > BEYOND * reach:
        yield (
            f"input {name}: check samples reach {peak:.3g}, those calibrated on {reach:.3g}: "
            "what lies beyond is clipped; calibrate on data like what is met in use"
        )


def beyond_half(constants: Mapping[str, torch.Tensor], halves: Sequence[str]) -> Iterator[str]:
    """Yields a word on each weight stored in float16 that float16 cannot show."""
    for name in halves:
        finite = constants[name][constants[name].isfinite()]
        largest = float(finite.abs().max()) if finite.numel() else 0.0
        if largest > FLOAT16.largest:
            yield f"{name} holds {largest:.4g}; float16 ends at {FLOAT16.largest:.0f}: it is clipped"
