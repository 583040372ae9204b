"""What each step of a model takes on a microcontroller, counted by the board: cycles or instructions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec

from edgeopt.boundary import decode_json, refusing
from edgeopt.errors import DeviceError
from edgeopt.measure.operators import Kind, Step, traced

if TYPE_CHECKING:
    from edgeopt.bundles import Bundle

__all__ = ["OperatorCount", "OperatorCounts"]

Unit = Literal["cycles", "instructions"]


class _Step(Step, frozen=True, kw_only=True):
    count: int


class _Written(msgspec.Struct, frozen=True):
    """The JSON that a bundle's ``run.py --profile`` writes of a board."""

    bundle: str
    digest: str
    inputs: str
    unit: Unit
    whole: int
    steps: tuple[_Step, ...]
    runtime: dict[str, Any]
    device: dict[str, Any]
    per_second: int | None = None


class OperatorCount(msgspec.Struct, frozen=True):
    """One step of the model.

    Attributes:
        name: The value that it makes.
        count: What it takes, in the unit of the whole.
        share: Of the sum of all steps.
        kind: ``integer``, ``float``, ``conversion``, ``layout`` or ``other``.
        values: The program's values that it makes.
        operator: The ATen operator of the first.
        module: Path of the module in the model.
        source: ``file:line`` of the model's code.
        reason: Why it runs in float, where it does.
        macs: Multiply-adds of one call; 0 where none are known.
        bytes: What it has to read and write at least; 0 where it is not known.
    """

    name: str
    count: int
    share: float
    kind: Kind
    values: tuple[str, ...] = ()
    operator: str = ""
    module: str = ""
    source: str = ""
    reason: str = ""
    macs: int = 0
    bytes: int = 0

    @property
    def place(self) -> str:
        """Where in the model it comes from, as well as is known."""
        at = " ".join(word for word in (self.module, self.source) if word)
        return at or ", ".join(self.values) or self.name


class OperatorCounts(msgspec.Struct, frozen=True):
    """What a call takes on a microcontroller, step by step.

    Attributes:
        bundle: Name of the bundle.
        digest: Its digest.
        device: Name of the device.
        unit: ``cycles``, or an emulator's ``instructions``: no time follows from those.
        per_second: Cycles a second; None of instructions.
        whole: Of a call as a whole, in ``unit``.
        operators: In the order in which they run.
        facts: ``device`` and ``runtime``.
    """

    bundle: str
    digest: str
    device: str
    unit: Unit
    per_second: int | None
    whole: int
    operators: tuple[OperatorCount, ...]
    facts: dict[str, Any]

    @property
    def sum(self) -> int:
        """All steps together."""
        return sum(one.count for one in self.operators)

    def top(self, count: int = 10) -> list[OperatorCount]:
        """Returns the costliest steps, the costliest first."""
        return sorted(self.operators, key=lambda one: -one.count)[:count]

    def to_dict(self) -> dict[str, Any]:
        """Returns all of it as plain JSON types."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {**plain, "sum": self.sum}

    @classmethod
    def from_json(cls, text: bytes | str, *, device: str, bundle: Bundle) -> Self:
        """Returns the counts in what ``run.py --profile`` wrote.

        Raises:
            DeviceError: It is not such JSON, or of another bundle.
        """
        prefix = "the board's counts cannot be read: "
        report = decode_json(text, _Written, where=device, error=DeviceError, prefix=prefix)
        if report.digest != bundle.digest:
            raise DeviceError("another bundle was measured", where=device)
        with refusing(device, error=DeviceError, prefix=prefix):
            return cls._made(report, device, bundle)

    @classmethod
    def _made(cls, written: _Written, device: str, bundle: Bundle) -> Self:
        if any(step.count < 0 for step in written.steps):
            raise ValueError("a count is negative")
        total = sum(step.count for step in written.steps) or 1
        origins = traced(written.steps, bundle)
        return cls(
            bundle=written.bundle,
            digest=written.digest,
            device=device,
            unit=written.unit,
            per_second=written.per_second,
            whole=written.whole,
            operators=tuple(
                OperatorCount(step.name, step.count, step.count / total, **origin)
                for step, origin in zip(written.steps, origins, strict=True)
            ),
            facts={"device": written.device, "runtime": written.runtime},
        )
