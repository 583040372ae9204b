"""What cannot be taken: an error that names the step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["refuse_step"]


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
