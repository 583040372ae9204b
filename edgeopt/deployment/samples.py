"""The inputs that a deployment calibrates and checks with. Real ones only: none is ever made up."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

from edgeopt.errors import CalibrationError, InputError
from edgeopt.ir.inputs import as_call, bind_sample, calibration_samples, infer_example_inputs

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from edgeopt.contracts import Signature

__all__ = ["Samples", "collect_samples"]


ENOUGH = 20
"""Samples that are calibrated on before any is held back."""


@dataclass(frozen=True)
class Samples:
    """Inputs, each in the order of the signature.

    Attributes:
        calibration: For quantization; empty where no calibration data was given.
        checks: For parity and agreement, as arrays.
        kind: What ``checks`` are, for reports.
    """

    calibration: tuple[list[torch.Tensor], ...]
    checks: tuple[tuple[np.ndarray, ...], ...]
    kind: str


def collect_samples(
    signature: Signature,
    calibration_data: Iterable[Any] | None,
    example_inputs: Any,
    *,
    calibrate: int,
    check: int,
    model: Any = None,
) -> Samples:
    """Returns at most ``calibrate`` samples to calibrate with, and ``check`` to check with.

    What the data holds beyond ``calibrate`` is used for the checks. Where it holds no more, a quarter
    at most is held back for them, evenly spread, if `ENOUGH` are left to calibrate on; else they
    use the calibration samples and say so.

    Raises:
        CalibrationError: The data is empty, not finite or does not fit, or is not iterable.
    """
    if calibration_data is None:
        example = _example(signature, example_inputs, model)
        checks = (_arrays(example),) if example is not None else ()
        return Samples((), checks, "example input")
    _require_iterable(calibration_data)
    stream = calibration_samples(signature, calibration_data)
    held = list(itertools.islice(stream, calibrate))
    others = list(itertools.islice(stream, check))
    kind = "samples not calibrated on"
    if len(others) < check:
        held, others = _held_back([*held, *others], check)
    if not others:
        others, kind = _spread(held, check), "calibration samples"
    held = held[:calibrate]
    return Samples(tuple(held), tuple(map(_arrays, others)), kind)


def _require_iterable(data: Any) -> None:
    if isinstance(data, (torch.Tensor, dict, str)) or not hasattr(data, "__iter__"):
        raise CalibrationError(
            f"expected an iterable of inputs, got a {type(data).__name__}",
            where="calibration_data",
            hint="pass a list of inputs or a DataLoader; for one batch: [batch]",
        )


def _example(signature: Signature, example_inputs: Any, model: Any) -> list[torch.Tensor] | None:
    given = infer_example_inputs(model) if example_inputs is None else example_inputs
    if given is None:
        return None
    try:
        return bind_sample(signature, given)
    except InputError:  # nested arguments, or None among them: the tensors are in the same order
        leaves = [v for v in pytree.tree_leaves(as_call(given)) if isinstance(v, torch.Tensor)]
        fit = [tuple(v.shape) for v in leaves] == [tuple(s.shape) for s in signature.inputs]
        return leaves if fit else None


def _held_back(every: list[Any], check: int) -> tuple[list[Any], list[Any]]:
    """Returns the samples to calibrate on, and those held back: none where there are too few."""
    count = min(check, len(every) // 4, max(0, len(every) - ENOUGH))
    places = {index * len(every) // count for index in range(count)} if count else set()
    kept = [sample for at, sample in enumerate(every) if at not in places]
    return kept, [every[at] for at in sorted(places)]


def _spread(held: list[Any], count: int) -> list[Any]:
    if len(held) <= count:
        return held
    return [held[index * len(held) // count] for index in range(count)]


def _arrays(tensors: list[torch.Tensor]) -> tuple[np.ndarray, ...]:
    return tuple(t.detach().cpu().contiguous().numpy() for t in tensors)
