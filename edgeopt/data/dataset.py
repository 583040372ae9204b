"""Real inputs, bound to a model: read once, checked once, iterated as often as one likes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import torch

from edgeopt.data.batches import require_iterable
from edgeopt.errors import CalibrationError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy as np

    from edgeopt.contracts.signature import Signature
    from edgeopt.data.binder import Binder, Tensors
    from edgeopt.data.calls import Call

__all__ = ["Dataset", "as_arrays"]

WHERE = "calibration_data"


@dataclass(frozen=True, eq=False)
class Dataset(Sequence["Tensors"]):
    """Samples: each the tensors of one call, in the order of the signature.

    A sample is what the model was captured (or called for its example) with: of a model captured
    with a batch of one, each picture of a batch of 32 is a sample.

    Attributes:
        binder: What the samples are bound to.
        samples: The samples; of data read ``whole``, the items as they came.
        items: The items that were read, as they came; only of data read ``whole``.
        incomplete_rows: Rows left out since they fill no batch of the model's.
        exhausted: Whether the data holds nothing beyond what was read.
    """

    binder: Binder
    samples: tuple[Tensors, ...] = ()
    items: tuple[Any, ...] = ()
    incomplete_rows: int = 0
    exhausted: bool = True

    @classmethod
    def read(
        cls, data: Iterable[Any], binder: Binder, *, limit: int, whole: bool = False
    ) -> Dataset:
        """Returns the first ``limit`` samples of ``data``; a `Dataset` for the same model as it is.

        Args:
            data: Tensors, tuples, dicts or ``(inputs, label)``, batched or not.
            binder: Of the model.
            limit: At most so many samples; no item is read beyond.
            whole: Whether items stay as they came, not cut to the model's batch; the last one may
                then hold more than ``limit`` asks for.

        Raises:
            CalibrationError: The data is no iterable or empty, or an item does not fit or is not
                finite; says which.
        """
        if isinstance(data, Dataset) and not whole and data.is_for(binder.signature):
            return data.head(limit)
        require_iterable(data, WHERE, CalibrationError)
        return _Reader(binder, limit, whole=whole).read(data)

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Tensors]:
        return iter(self.samples)

    def __getitem__(self, index: Any) -> Any:
        return self.samples[index]

    def is_for(self, signature: Signature) -> bool:
        """Returns whether a program with this signature takes the samples as they are."""
        return self.binder.fixed and self.binder.signature.inputs == signature.inputs

    def head(self, count: int) -> Dataset:
        """Returns the first ``count`` samples."""
        if count >= len(self):
            return self
        return replace(self, samples=self.samples[:count], exhausted=False)

    def after(self, count: int) -> Dataset:
        """Returns all but the first ``count`` samples."""
        return replace(self, samples=self.samples[count:])

    def where(self, keep: Callable[[Tensors], bool]) -> Dataset:
        """Returns the samples that ``keep`` keeps."""
        return replace(self, samples=tuple(filter(keep, self.samples)))

    def spread(self, count: int) -> Dataset:
        """Returns ``count`` of the samples, evenly spaced: data often comes sorted."""
        if count >= len(self):
            return self
        indices = [i * len(self) // count for i in range(count)]
        return replace(self, samples=tuple(self.samples[i] for i in indices))

    def arrays(self) -> tuple[tuple[np.ndarray, ...], ...]:
        """Returns the samples as runners take them."""
        return tuple(as_arrays(sample) for sample in self.samples)

    def calls(self) -> Iterator[Call]:
        """Yields ``(args, kwargs)`` of each sample."""
        return (self.binder.call(sample) for sample in self.samples)

    def required(self) -> Dataset:
        """Returns this dataset.

        Raises:
            CalibrationError: There is no sample in it.
        """
        if not self.samples:
            hint = "pass 16 to 64 of them"
            raise CalibrationError("real inputs are needed", where=WHERE, hint=hint)
        return self

    @property
    def dropped(self) -> str:
        """What was left out of what was read, in words; empty where nothing was."""
        if not self.incomplete_rows:
            return ""
        batch = next(s.shape[0] for s in self.binder.signature.inputs if s.shape)
        return f"{self.incomplete_rows} rows of {WHERE} fill no batch of {batch}: left out"


class _Reader:
    """Reads, binds and checks each item once."""

    def __init__(self, binder: Binder, limit: int, *, whole: bool) -> None:
        self.binder, self.limit, self.whole = binder, limit, whole
        self.samples: list[Tensors] = []
        self.items: list[Any] = []
        self.count = 0
        self.incomplete_rows = 0

    def read(self, data: Iterable[Any]) -> Dataset:
        number_of_items = 0
        exhausted = False
        items = iter(data)
        while self.count < self.limit:
            try:
                item = next(items)
            except StopIteration:
                exhausted = True
                break
            self._take(item, f"{WHERE}, item {number_of_items}")
            number_of_items += 1
        if not self.samples:
            _raise_empty(self.binder.signature, had_items=number_of_items > 0)
        return Dataset(
            self.binder, tuple(self.samples), tuple(self.items), self.incomplete_rows, exhausted
        )

    def _take(self, item: Any, where: str) -> None:
        try:
            tensors = self.binder.bind(item)
            size = self.binder.size(tensors)
        except InputError as error:
            raise CalibrationError(error.what, where=where, hint=error.hint) from error
        _require_finite(tensors, where)
        if self.whole:
            self.samples.append(tensors)
            self.items.append(item)
        else:
            self.samples += list(self.binder.cut(tensors))[: self.limit - self.count]
            self.incomplete_rows += self.binder.leftover(tensors)
        self.count += size


def as_arrays(tensors: Tensors) -> tuple[np.ndarray, ...]:
    """Returns tensors as contiguous arrays on the host."""
    return tuple(t.detach().cpu().contiguous().numpy() for t in tensors)


def _require_finite(tensors: Tensors, where: str) -> None:
    for tensor in tensors:
        if tensor.dtype.is_floating_point and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise CalibrationError(
                f"{bad} of {tensor.numel()} values are NaN or infinite",
                where=where,
                hint="clean the data or the preprocessing: one such value ruins every range",
            )


def _raise_empty(signature: Signature, *, had_items: bool) -> NoReturn:
    if had_items:
        batch = next((s.shape[0] for s in signature.inputs if s.shape), 1)
        raise CalibrationError(
            f"no item holds a whole batch of {batch}",
            where=WHERE,
            hint="the program was captured with that batch: use it here too, or capture with 1",
        )
    raise CalibrationError(
        "no sample in it",
        where=WHERE,
        hint="pass some real inputs: 100 are enough. An iterator that was read before is empty",
    )
