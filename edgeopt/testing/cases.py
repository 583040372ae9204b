"""Which cases of a conformance suite a subclass has: those that do not apply are not collected.

A skipped test says that something was not checked. What cannot be checked of a backend, because it
refuses a model or has no such precision, is therefore no test at all.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec

from edgeopt.contracts.storage import INT16, Precision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["ConformanceCases", "cases"]

Test = TypeVar("Test", bound="Callable[..., None]")
_MARK = "conformance_cases"

EIGHT_BITS = tuple(
    one.value for one in Precision if one.activation_type != INT16 and not one.weight_type.is_packed
)
"""The precisions of a backend that has no integers of 16 bits, and none of 4."""


class _Cases(msgspec.Struct, frozen=True):
    """What a test is about: every specimen in every precision."""

    names: tuple[str, ...]
    precisions: tuple[str, ...]
    refused_too: bool
    unless: str

    def of(self, suite: type[ConformanceCases]) -> list[tuple[str, str]]:
        """Returns the pairs of specimen and precision that apply to ``suite``."""
        if self.unless and getattr(suite, self.unless):
            return []
        return [
            (name, precision)
            for name, precision in itertools.product(self.names or ("",), self.precisions or ("",))
            if (self.refused_too or name not in suite.refused)
            and (not precision or precision in suite.precisions)
        ]


def cases(
    *,
    names: Iterable[str] = (),
    precisions: Iterable[str] = (),
    refused_too: bool = False,
    unless: str = "",
) -> Callable[[Test], Test]:
    """Returns a decorator that says what a test is about.

    A test with an argument ``name`` or ``precision`` is run once for each; without, the first of
    each is what it needs.

    Args:
        names: Specimens.
        precisions: Precisions.
        refused_too: Whether it is also about specimens that the backend refuses.
        unless: Attribute of the suite that makes the test senseless where it is true.
    """

    def mark(test: Test) -> Test:
        setattr(test, _MARK, _Cases(tuple(names), tuple(precisions), refused_too, unless))
        return test

    return mark


class ConformanceCases:
    """A suite that collects no case which does not apply to its subject.

    Attributes:
        refused: Specimen name to why the subject refuses it.
        precisions: What the subject can compile; those of 8 bits and float where it does not say.
        runs_everything: True for a subject without any unsupported operator.
    """

    refused: ClassVar[dict[str, str]] = {}
    precisions: ClassVar[tuple[str, ...]] = EIGHT_BITS
    runs_everything: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in dir(cls):
            about: _Cases | None = getattr(getattr(cls, name, None), _MARK, None)
            if about is not None and not about.of(cls):
                setattr(cls, name, None)  # pytest collects no attribute that cannot be called

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Gives a test the specimens and precisions that apply; pytest calls it."""
        about: _Cases | None = getattr(metafunc.function, _MARK, None)
        if about is None:
            return
        arguments = [
            (i, a) for i, a in enumerate(("name", "precision")) if a in metafunc.fixturenames
        ]
        if arguments:
            rows = dict.fromkeys(
                tuple(pair[i] for i, _ in arguments) for pair in about.of(type(self))
            )
            values: list[Any] = [row[0] if len(arguments) == 1 else row for row in rows]
            metafunc.parametrize([a for _, a in arguments], list(rows), ids=map(_shown, values))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else "-".join(value)
