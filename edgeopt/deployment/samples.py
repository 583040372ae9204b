"""The inputs that a deployment calibrates and checks with. Real ones only: none is ever made up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeopt.data.binder import Binder
from edgeopt.data.calls import infer_example_inputs
from edgeopt.data.dataset import Dataset, as_arrays
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np

    from edgeopt.ir import Program

__all__ = ["FittingItems", "Samples", "collect_samples"]


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

    calibration: Dataset
    checks: tuple[tuple[np.ndarray, ...], ...]
    kind: str


def collect_samples(
    program: Program,
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
    binder = Binder.of_program(program, model)
    if calibration_data is None:
        return Samples(Dataset(binder), _example(binder, example_inputs, model), "example input")
    read = Dataset.read(calibration_data, binder, limit=calibrate + check)
    calibration, others = read.head(calibrate), read.after(calibrate)
    if len(others) < check:
        calibration, others = _held_back(read, check)
        calibration = calibration.head(calibrate)
    if len(others):
        return Samples(calibration, others.arrays(), "samples not calibrated on")
    return Samples(calibration, calibration.spread(check).arrays(), "calibration samples")


def _held_back(read: Dataset, check: int) -> tuple[Dataset, Dataset]:
    """Returns the samples to calibrate on, and those held back: none where there are too few."""
    count = min(check, len(read) // 4, max(0, len(read) - ENOUGH))
    checks = read.spread(count) if count else read.head(0)
    held_back = {id(sample) for sample in checks}
    return read.where(lambda sample: id(sample) not in held_back), checks


def _example(binder: Binder, example_inputs: Any, model: Any) -> tuple[tuple[np.ndarray, ...], ...]:
    example = infer_example_inputs(model) if example_inputs is None else example_inputs
    if example is None:
        return ()
    try:
        tensors = binder.bind(example)
    except InputError:  # a Program's own example may be of another shape than what it was cut to
        return ()
    return (as_arrays(tensors),)


class FittingItems:
    """The items that a binder binds: of data with several shapes, those of one; can be read as often as the data.

    Args:
        data: Items of any shape.
        binder: Of the program for the shape.
    """

    def __init__(self, data: Iterable[Any], binder: Binder) -> None:
        self._data, self._binder = data, binder

    def __iter__(self) -> Iterator[Any]:
        for item in self._data:
            try:
                self._binder.bind(item)
            except InputError:
                continue
            yield item
