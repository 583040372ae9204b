"""Tuning: measuring many ways to run the same kernels, and keeping the fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from edgeopt.contracts.device import Device
    from edgeopt.contracts.target import Target
    from edgeopt.ir import Program
    from edgeopt.options import TuneOptions

__all__ = ["TunedKernel", "TunesKernels", "TuningEvent", "TuningReport", "Watch"]


class TuningEvent(msgspec.Struct, frozen=True):
    """What tuning has come to after one more trial.

    Attributes:
        trial: Trials made by this run.
        trials: Trials that it will make at most; 0 where only time limits it.
        kernel: What was tried last.
        best_ms: Time of all kernels together, each in its fastest form so far.
        default_ms: The same without tuning.
        left_s: Estimate of the time left, in seconds.
        failed: Candidates of this run that did not build, crashed or hung.
        wrong: Candidates of this run that computed something else.
    """

    trial: int
    trials: int
    kernel: str
    best_ms: float
    default_ms: float
    left_s: float
    failed: int = 0
    wrong: int = 0


class TunedKernel(msgspec.Struct, frozen=True):
    """One kernel after tuning.

    Attributes:
        name: What a person calls it.
        count: How often the program runs it.
        default_ms: One run without tuning.
        best_ms: One run in its fastest form; the default's time where nothing was faster.
        trials: Candidates known of it, of earlier runs too.
        exhausted: Whether every candidate has been tried.
        note: What a person should know, for example why it was left out.
    """

    name: str
    count: int
    default_ms: float
    best_ms: float
    trials: int
    exhausted: bool = False
    note: str = ""


class TuningReport(msgspec.Struct, frozen=True):
    """What came of tuning.

    Attributes:
        backend: Who tuned.
        target: For which target.
        database: Path of the database that holds the trials.
        kernels: The program's kernels, those that cost most first.
        trials: Trials that this run made.
        known: Trials that the database held of these kernels before.
        failures: Kind of failure (``wrong``, ``crashed``, ``hung``, ``invalid``) to how many.
        seconds: How long it took.
        stopped: Why it ended: ``trials``, ``minutes``, ``exhausted`` or ``interrupted``.
        notes: What a person should know.
    """

    backend: str
    target: str
    database: str
    kernels: tuple[TunedKernel, ...]
    trials: int
    known: int
    failures: dict[str, int]
    seconds: float
    stopped: str
    notes: tuple[str, ...] = ()

    @property
    def default_ms(self) -> float:
        """Time of all kernels together without tuning."""
        return sum(k.count * k.default_ms for k in self.kernels)

    @property
    def best_ms(self) -> float:
        """Time of all kernels together, each in its fastest form."""
        return sum(k.count * k.best_ms for k in self.kernels)


class Watch(Protocol):
    """Who looks on."""

    def __call__(self, event: TuningEvent) -> None:
        """Is told after each trial."""
        ...


@runtime_checkable
class TunesKernels(Protocol):
    """What a `Backend` that can tune has beside its other methods."""

    def check_tuning(self, target: Target, device: Device | str | None = None) -> None:
        """Checks whether kernels for ``target`` can be measured, here or on ``device``.

        A device that is not open yet comes as its name.

        Raises:
            TargetError: They cannot; says what to do instead.
        """
        ...

    def tune(
        self,
        program: Program,
        target: Target,
        options: TuneOptions,
        *,
        device: Device | None = None,
        watch: Watch | None = None,
    ) -> TuningReport:
        """Returns what came of tuning ``program``, which has been through ``passes(target)``.

        Every trial is in the database as soon as it is made; ``compile`` reads it there. An
        interrupt ends the run, and the next one goes on from there.

        Raises:
            InputError: An option or the database cannot be used.
            TargetError: The target's kernels cannot be measured here, and no device was given.
            CompileError: The toolchain failed.
            DeviceError: The device cannot be reached at all.
        """
        ...
