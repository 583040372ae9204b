"""How a module of this package says which operators its functions decompose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Decompositions"]

F = TypeVar("F", bound="Callable[..., Any]")


class Decompositions(dict[Any, Any]):
    """ATen overload to a function of the same arguments. Calling it with overloads decorates the function."""

    def __call__(self, *targets: Any) -> Callable[[F], F]:
        """Returns a decorator that enters a function for ``targets``."""

        def enter(function: F) -> F:
            self.update(dict.fromkeys(targets, function))
            return function

        return enter
