"""What cannot be taken: an error that names the step."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["readable", "refuse_step"]


def refuse_step(
    step: str, why: str, *, replaced: Collection[str] = (), field: str = "", hint: str = ""
) -> None:
    """Raises that a step has no counterpart, unless the user replaces it.

    Args:
        step: The step, as its library prints it.
        why: What is not known of it.
        replaced: Fields that the user passes.
        field: The field that would replace the step.
        hint: What to do; a sentence on ``field`` where empty.

    Raises:
        InputError: The step stays.
    """
    if field and field in replaced:
        return
    usual = f"pass {field}= yourself" if field else "do it before, or describe it by the fields"
    raise InputError(f"{step}: {why}", where="preprocess", hint=hint or usual)


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turns what Python says of settings of other types than expected into an error of ours.

    Args:
        what: Whose settings they are.

    Raises:
        InputError: They cannot be read.
    """
    try:
        yield
    except KeyError as error:
        raise InputError(f"{what} has no {error}", where="preprocess") from error
    except (TypeError, ValueError, OverflowError, AttributeError, IndexError) as error:
        raise InputError(f"{what} cannot be followed: {error}", where="preprocess") from error
