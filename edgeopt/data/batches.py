"""What a batch is: inputs, and what the loss compares with; and data that is read several times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["BatchInputs", "Replay", "require_reiterable", "rereadable", "split_batch"]

PAIR = 2
LABELS = ("labels", "label", "target", "targets")


def split_batch(batch: Any) -> tuple[Any, Any]:
    """Returns (inputs, target) of a batch.

    A pair is both. A dict is the inputs by name, and its ``labels`` (or ``label``, ``target``) the
    target, or None. A tuple or list of other length, and a tensor, are inputs without a target.
    """
    if isinstance(batch, Mapping):
        return batch, next((batch[k] for k in LABELS if k in batch), None)
    if isinstance(batch, (tuple, list)) and len(batch) == PAIR:
        return batch[0], batch[1]
    return batch, None


class BatchInputs:
    """The inputs of labelled batches; can be read as often as the batches can."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        return (split_batch(batch)[0] for batch in self._batches)


class Replay:
    """An iterator's items, kept as they are read: can be read as often as one likes.

    No item is taken from the iterator before a reader needs it, so a stream without an end serves
    readers who stop.
    """

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self._kept: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        index = 0
        while True:
            if index == len(self._kept):
                try:
                    self._kept.append(next(self._items))
                except StopIteration:
                    return
            yield self._kept[index]
            index += 1


def rereadable(data: Any, where: str) -> Any:
    """Returns data that can be read more than once: an iterator as a `Replay`, None as it is.

    Raises:
        InputError: It is no iterable of inputs.
    """
    if data is None:
        return None
    require_iterable(data, where)
    return Replay(data) if isinstance(data, Iterator) else data


def require_reiterable(data: Any, where: str, *, instead: str = "") -> None:
    """Checks that ``data`` can be read once an epoch, and is never kept in memory for that.

    Args:
        data: Batches.
        where: Name of the argument.
        instead: What else could be passed, for the hint.

    Raises:
        InputError: It is an iterator, or no iterable of batches.
    """
    require_iterable(data, where)
    if isinstance(data, Iterator):
        raise InputError(
            "an iterator can be read only once",
            where=where,
            hint=f"pass a DataLoader or a list of batches{instead}",
        )


def require_iterable(data: Any, where: str, error: type[InputError] = InputError) -> None:
    """Checks that ``data`` holds several items, and is not one of them.

    Raises:
        InputError: It is a tensor, an array, a dict or a text, or cannot be iterated over.
    """
    is_one = isinstance(data, (str, bytes, Mapping)) or hasattr(data, "dtype")
    if is_one or not (hasattr(data, "__iter__") or hasattr(data, "__getitem__")):
        raise error(
            f"expected an iterable of inputs, got a {type(data).__name__}",
            where=where,
            hint="pass a list of batches or a DataLoader; for one batch: [batch]",
        )
