"""Whose data an item is, of a model for several shapes: what each is calibrated and checked on."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeopt.data.binder import Binder
from edgeopt.data.dataset import Dataset, as_arrays
from edgeopt.deployment.samples import Samples, collect_samples
from edgeopt.errors import CalibrationError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgeopt.gate.metrics import Arrays
    from edgeopt.ir import Program

__all__ = ["DataByShape"]


@dataclass(frozen=True, eq=False)
class DataByShape:
    """Data with items of several shapes, and the programs that take them.

    An item belongs to the first program wherever that takes it, or rows of it; else to the one for the fewest rows.

    Attributes:
        data: Can be read again; None where there is none.
        programs: In float, one a shape, the first shape's first.
        calibrate: Samples to calibrate with at each shape, at most.
        check: Samples to check with, at most.
    """

    data: Iterable[Any] | None
    programs: Sequence[Program]
    calibrate: int
    check: int

    def __post_init__(self) -> None:
        """Checks that each item has a program: none is left out without a word.

        Raises:
            CalibrationError: One has none; says which, and what there is.
        """
        self._owned  # noqa: B018 (reads the data, once)

    @cached_property
    def order(self) -> list[int]:
        """The places of the programs: the first one, then those for less before those for more."""
        return [0, *sorted(range(1, len(self.programs)), key=lambda at: _size(self.programs[at]))]

    @cached_property
    def _binders(self) -> list[Binder]:
        return [Binder.of_program(program) for program in self.programs]

    def samples(self, place: int, example: Any, known: Sequence[Samples]) -> Samples:
        """Returns what the program at ``place`` is calibrated and checked on.

        It is calibrated on items that no other program takes; checked on those, else on any of its very
        shape, else on rows of other shapes' put together, else on the example.

        Args:
            place: Of a program that is not the first.
            example: With which it was captured.
            known: The samples of the programs before it in the order.
        """
        program, binder = self.programs[place], self._binders[place]
        if self._owned[place]:
            return collect_samples(
                program,
                self._owned[place],
                example,
                calibrate=self.calibrate,
                check=self.check,
            )
        none = Dataset(binder)
        whole = (item for item in self.data or () if _is_whole(binder, item))
        items = list(itertools.islice(whole, self.check))
        if items:
            checks = Dataset.read(items, binder, limit=self.check).arrays()
            return Samples(none, checks, "samples of that shape")
        for other in known:
            rows = _put_together(other.checks, program)
            if rows:
                return Samples(none, rows[: self.check], other.kind)
        return Samples(none, (as_arrays(binder.bind(example)),), "example input")

    @cached_property
    def _owned(self) -> list[list[Any]]:
        """The items of each program that are its alone, as many as are used."""
        most = self.calibrate + self.check
        owned: list[list[Any]] = [[] for _ in self.programs]
        for number, item in enumerate(self.data or ()):
            place = next((at for at in self.order if _takes(self._binders[at], item)), None)
            if place is None:
                self._require_rows(number, item)
            elif len(owned[place]) < most:
                owned[place].append(item)
            if all(len(items) >= most for items in owned):
                break
        return owned

    def _require_rows(self, number: int, item: Any) -> None:
        """Checks that an item no program takes alone has rows that may be put together for one."""
        if any(_binds(binder, item) for binder in self._binders):
            return
        shapes = "; ".join(
            ", ".join(f"{s.name}: {s.dtype}{list(s.shape)}" for s in binder.signature.inputs)
            for binder in self._binders
        )
        raise CalibrationError(
            "it fits none of the shapes",
            where=f"calibration_data, item {number}",
            hint=f"the shapes are {shapes}",
        )


def _size(program: Program) -> int:
    return sum(int(np.prod(spec.shape)) for spec in program.signature.inputs)


def _takes(binder: Binder, item: Any) -> bool:
    """Returns whether an item is of the program's shape, or a multiple of its rows."""
    try:
        return binder.size(binder.bind(item)) > 0
    except InputError:
        return False


def _binds(binder: Binder, item: Any) -> bool:
    """Returns whether an item is of the program's shape, whatever rows it has."""
    try:
        binder.bind(item)
    except InputError:
        return False
    return True


def _is_whole(binder: Binder, item: Any) -> bool:
    """Returns whether an item is of just that shape, not of a multiple of its rows."""
    try:
        tensors = binder.bind(item)
    except InputError:
        return False
    return all(
        tuple(t.shape) == s.shape for t, s in zip(tensors, binder.signature.inputs, strict=True)
    )


def _put_together(samples: Sequence[Arrays], program: Program) -> tuple[Arrays, ...]:
    """Returns samples of more rows; nothing where more than axis 0 is different."""
    specs = program.signature.inputs
    if not samples or not all(spec.shape for spec in specs):
        return ()
    rows = {
        spec.shape[0] // max(1, a.shape[0])
        for spec, a in zip(specs, samples[0], strict=True)
        if a.ndim
    }
    alike = all(spec.shape[1:] == a.shape[1:] for spec, a in zip(specs, samples[0], strict=True))
    if len(rows) != 1 or not alike or (count := rows.pop()) < 1:
        return ()
    groups = [
        [samples[(at + i) % len(samples)] for i in range(count)]
        for at in range(0, len(samples), count)
    ]
    joined = [
        tuple(np.concatenate(column) for column in zip(*group, strict=True)) for group in groups
    ]
    fits = all(a.shape == tuple(s.shape) for a, s in zip(joined[0], specs, strict=True))
    return tuple(joined) if fits else ()
