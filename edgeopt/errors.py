"""Every error that edgeopt raises on purpose.

    EdgeoptError
    ├── InputError            a model, an option or data that was passed in cannot be used
    │   ├── ConfigError       an option is unknown, out of range or contradicts another
    │   ├── CaptureError      torch.export could not capture the model
    │   └── CalibrationError  the calibration data is empty, not finite, or of another shape
    ├── ProgramError          a Program breaks a rule of the IR, or its archive cannot be read
    ├── PluginError           a backend is unknown, missing or claimed twice
    ├── TargetError           a target is unknown, or its descriptor is wrong
    ├── UnsupportedError      a backend cannot run this program on this target (carries the report)
    ├── MemoryLimitError      a model needs more flash or RAM than there is (carries what takes it)
    ├── TrainingError         a loss or a gradient stopped being finite (carries the last checkpoint)
    ├── CompileError          a toolchain failed on a program that it said it supports
    ├── BundleError           a bundle is damaged, hostile or of an unknown version
    ├── GateError             a deployment fell short of what was asked (carries the deployment)
    ├── BudgetError           nothing that a search tried keeps to the budget (carries the result)
    └── DeviceError           a device cannot be reached, prepared, or fails to run

Each says what was wrong, where, and what to do next, once.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BudgetError",
    "BundleError",
    "CalibrationError",
    "CaptureError",
    "CompileError",
    "ConfigError",
    "DeviceError",
    "EdgeoptError",
    "GateError",
    "InputError",
    "MemoryLimitError",
    "PluginError",
    "ProgramError",
    "TargetError",
    "TrainingError",
    "UnsupportedError",
]


class EdgeoptError(Exception):
    """The root of all errors of this package.

    Args:
        what: What was wrong, in one sentence.
        where: The place: a file and field, a node and its source line, an argument.
        hint: What to do next.
    """

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.hint:
            lines.append(f"  -> {self.hint}")
        return "\n".join(lines)


class InputError(EdgeoptError):
    """A model, an option or data that was passed in cannot be used."""


class ConfigError(InputError):
    """An option is unknown, has a value that it cannot have, or contradicts another.

    Attributes:
        problems: One entry for each wrong field: its path, what is wrong, and a hint or None.
    """

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, where=where, hint=hint)
        self.problems: tuple[Any, ...] = ()


class CaptureError(InputError):
    """torch.export could not capture the model."""


class CalibrationError(InputError):
    """The calibration data is empty, not finite, or does not fit the program's inputs."""


class ProgramError(EdgeoptError):
    """A Program breaks a rule of the IR, or its archive cannot be read."""


class PluginError(EdgeoptError):
    """A backend is unknown, missing, broken, or claimed by two packages."""


class TargetError(EdgeoptError):
    """A target is unknown, or its descriptor is wrong."""


class UnsupportedError(EdgeoptError):
    """A backend cannot run this program on this target.

    Attributes:
        report: The `SupportReport` with one verdict a node.
    """

    def __init__(
        self, what: str, *, where: str | None = None, hint: str | None = None, report: Any = None
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.report = report


class MemoryLimitError(EdgeoptError):
    """A model needs more flash or RAM than the device has, or than was asked for.

    Attributes:
        use: The `MemoryUse`, with what takes how much.
    """

    def __init__(
        self, what: str, *, where: str | None = None, hint: str | None = None, use: Any = None
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.use = use


class TrainingError(EdgeoptError):
    """A loss or a gradient stopped being finite, so that training stopped.

    Attributes:
        checkpoint: Folder of the last good checkpoint, None where none was written.
        history: The curves up to there.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        checkpoint: Any = None,
        history: Any = None,
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.checkpoint = checkpoint
        self.history = history


class CompileError(EdgeoptError):
    """A toolchain failed on a program that its backend said it supports."""


class BundleError(EdgeoptError):
    """A bundle is damaged, hostile, or of a version this edgeopt cannot read."""


class GateError(EdgeoptError):
    """A deployment fell short of what was asked.

    Attributes:
        deployment: The `Deployment`, with everything that was measured.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        deployment: Any = None,
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.deployment = deployment


class BudgetError(EdgeoptError):
    """Nothing that a search tried keeps to the budget.

    Attributes:
        result: The `SearchResult`, with every trial and the one that comes nearest.
    """

    def __init__(
        self, what: str, *, where: str | None = None, hint: str | None = None, result: Any = None
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.result = result


class DeviceError(EdgeoptError):
    """A device cannot be reached or prepared, or what ran there failed."""
