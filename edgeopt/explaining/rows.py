"""What is known of each value of a compiled program: the rows that a bundle's report keeps."""

from __future__ import annotations

from typing import Any

import msgspec

from edgeopt.boundary import convert
from edgeopt.errors import BundleError

__all__ = ["ValueRow", "left_in_float", "rows_of", "short_name"]


class ValueRow(msgspec.Struct, frozen=True):
    """One value that an operator makes.

    Attributes:
        value: Its name.
        makes: The same, or the activation that the operator's kernel applies.
        operator: The ATen operator.
        kind: What it runs as: ``integer``, ``float``, ``moves`` or ``folded``.
        module: Path of the module in the model.
        source: ``file:line`` of the model's code.
        reason: Why it is float, where it is; of sums that are not rounded, that they are real numbers.
        macs: Multiply-adds of a call.
        bytes: What it reads and writes at least.
        inputs: Names of the values that it reads, without constants.
    """

    value: str
    makes: str
    operator: str
    kind: str
    module: str = ""
    source: str = ""
    reason: str = ""
    macs: int = 0
    bytes: int = 0
    inputs: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where in the user's code it comes from, as well as is known."""
        return self.source or self.module or self.value


def rows_of(plain: Any, *, where: str = "report.json") -> tuple[ValueRow, ...]:
    """Returns the rows of a report's ``values``; none where it has none.

    Raises:
        BundleError: They are no such rows.
    """
    return convert(plain or (), tuple[ValueRow, ...], where=where, error=BundleError)


def left_in_float(history: Any) -> dict[str, str]:
    """Returns the values that quantization left in float since rounding would lose them, each with why.

    Args:
        history: Of the program: its steps, as a report has them or as the program has.
    """
    left: dict[str, str] = {}
    for step in msgspec.to_builtins(history or ()):
        reasons = step.get("effect", {}).get("float", {}) if isinstance(step, dict) else {}
        left.update(reasons if isinstance(reasons, dict) else {})
    return left


def short_name(operator: str) -> str:
    """Returns what a person calls an operator: ``softmax`` for ``aten.softmax.int``."""
    parts = operator.split(".")
    return (parts[1] if len(parts) > 1 else operator).strip("_")
