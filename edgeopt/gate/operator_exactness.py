"""What came of running one operator alone."""

from __future__ import annotations

import msgspec

from edgeopt.ir.kernel_kind import Kind

__all__ = ["FLOAT_BOUND", "OperatorExactness"]

FLOAT_BOUND = 2.0**-17
"""Largest error of a float operator beside the size of what it adds up: 64 units in the last place of
a float32, 2**11 times finer than half a step of int8."""


class OperatorExactness(msgspec.Struct, frozen=True):
    """One operator beside the reference, on the reference's inputs.

    Attributes:
        node: Its name in the program.
        operator: The ATen operator; the one folded into its kernel follows, after ``+``.
        kind: What it runs as by the program: ``integer``, ``float`` or ``moves``.
        values: How many numbers were compared.
        differing: How many of them are not the reference's.
        max_steps: Largest difference in steps of the output's grid; 0 for an output without one.
        max_error: Of a float operator, the largest error beside the size of what it adds up.
        bound: What ``max_error`` may be.
        failure: Why it could not be run alone, else empty.
    """

    node: str
    operator: str
    kind: Kind
    values: int = 0
    differing: int = 0
    max_steps: int = 0
    max_error: float = 0.0
    bound: float = FLOAT_BOUND
    failure: str = ""

    @property
    def ok(self) -> bool:
        """Whether it computes what the reference does; an operator that cannot run alone does not."""
        if self.failure:
            return False
        return self.max_error <= self.bound if self.kind == "float" else not self.differing

    @property
    def share(self) -> float:
        """Which share of its values is not the reference's."""
        return self.differing / self.values if self.values else 0.0

    def __str__(self) -> str:
        if self.failure:
            return f"{self.node} ({self.operator}): {self.failure}"
        return (
            f"{self.node} ({self.operator}, {self.kind}): {100 * self.share:.4f} % of values differ, "
            f"at most {self.max_steps} steps, error {self.max_error:.2g} (bound {self.bound:.2g})"
        )
