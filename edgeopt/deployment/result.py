"""What came of a deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from edgeopt.contracts.support import Verdict
from edgeopt.deployment.result_text import as_text, result_rows
from edgeopt.deployment.warn import speed_warnings
from edgeopt.deployment.work import value_rows
from edgeopt.reporting import gather, report_page, report_summary

if TYPE_CHECKING:
    from edgeopt.bundles import Bundle
    from edgeopt.contracts import SupportReport, TuningReport
    from edgeopt.deployment.auto import Measured
    from edgeopt.deployment.family import ProgramResult
    from edgeopt.deployment.memory import MemoryReport
    from edgeopt.deployment.plan import Plan
    from edgeopt.deployment.streams import StreamResult
    from edgeopt.deployment.worth import PassedOver
    from edgeopt.gate.accuracy import Accuracy
    from edgeopt.gate.diagnose import Diagnosis
    from edgeopt.gate.parity import Parity
    from edgeopt.gate.speed import Speed
    from edgeopt.gate.value_statistics import ValueStatistics
    from edgeopt.ir import Program
    from edgeopt.measure import Profile
    from edgeopt.recipes import Compressed
    from edgeopt.reporting import Report

__all__ = ["Attempt", "Deployment"]


class Attempt(msgspec.Struct, frozen=True):
    """One precision that was tried.

    Attributes:
        precision: The precision.
        settings: Settings of the quantization.
        outcome: What came of it, in a few words.
        taken: Whether it is the one deployed.
    """

    precision: str
    settings: dict[str, Any]
    outcome: str
    taken: bool


@dataclass(frozen=True)
class Deployment:
    """A model on its way to a device, with everything that was measured.

    Attributes:
        plan: What was decided, and why.
        program: The compressed program: the same for every target and backend.
        precision: The precision deployed: that of the plan, or of the fallback that was taken.
        size_bytes: Size of the artefact.
        float_size_bytes: Size of the float program's weights.
        support: The backend's verdict on each operator.
        operators: Runtime operators of the artefact, with how many of each.
        bundle: What goes on the device; None where a gate failed.
        parity: How near the artefact is to the reference; None where it does not run here.
        accuracy: How near it is to the float model; None where there was nothing to compare on.
        speed: Beside float on the same runtime, on this machine; None where it was not measured.
        profile: Latency and memory on the device; None where no device was given.
        attempts: What was tried, in order.
        tuning: What came of tuning; None where none was asked for.
        measured: The backends that ``backend="auto"`` tried, each with its time on the device.
        diagnosis: What is to blame, where something fell short.
        warnings: What a person should know.
        compressed: What a recipe made of the model before; None where there was none.
        programs: The bundle's further programs: for other shapes, or of other methods.
        streams: How far it is off over many calls with its own state; None where it keeps none.
        memory: What it takes of a microcontroller's flash and RAM; None where that is not known.
        statistics: Where each value lies, and what rounding takes of it; empty without inputs.
        passed_over: What ``precision="auto"`` passed over for float32, which is faster or smaller; None where it was not.
    """

    plan: Plan
    program: Program
    precision: str
    size_bytes: int
    float_size_bytes: int
    support: SupportReport
    operators: dict[str, int]
    bundle: Bundle | None = None
    parity: Parity | None = None
    accuracy: Accuracy | None = None
    speed: Speed | None = None
    profile: Profile | None = None
    attempts: tuple[Attempt, ...] = ()
    tuning: TuningReport | None = None
    measured: tuple[Measured, ...] = ()
    diagnosis: Diagnosis | None = None
    warnings: tuple[str, ...] = ()
    compressed: Compressed | None = None
    programs: tuple[ProgramResult, ...] = ()
    streams: StreamResult | None = None
    memory: MemoryReport | None = None
    statistics: tuple[ValueStatistics, ...] = ()
    passed_over: PassedOver | None = None

    @property
    def precision_reason(self) -> str:
        """Why it has this precision: the plan's reason, or what the planned one loses, in accuracy, time or size."""
        if self.passed_over is not None:
            return f"{self.passed_over.reason}; precision='{self.passed_over.precision}' keeps that"
        if self.precision == self.plan.precision or not self.attempts:
            return self.plan.precision_reason
        first = self.attempts[0]
        return f"{first.precision} loses too much ({first.outcome}), see attempts"

    def rows(self) -> list[tuple[str, str]]:
        """Returns what was found as (what, value) rows."""
        return result_rows(self)

    def __str__(self) -> str:
        return as_text(self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain JSON-able values."""
        return {
            **self.report(),
            "values": self._values(),
            "bundle": None if self.bundle is None else str(self.bundle.path),
            "bundle_digest": None if self.bundle is None else self.bundle.digest,
            "speed": _plain(self.speed),
            "passed_over": _plain(self.passed_over),
            "warnings": list(self.warnings),
            "profile": _profile(self.profile),
            "tuning": _plain(self.tuning),
            "measured": _plain(self.measured),
            "recipe": None if self.compressed is None else self.compressed.to_dict(),
        }

    def to_html(self) -> str:
        """Returns the whole report as one page that needs nothing else; at most 1 MB."""
        return report_page(self._report())

    def _repr_html_(self) -> str:
        """What a notebook shows: verdict, figures, warnings; `to_html` is the whole report."""
        return report_summary(self._report())

    def _report(self) -> Report:
        name = "" if self.bundle is None else self.bundle.name
        return gather(self.to_dict(), name=name, where="deployment")

    def _values(self) -> list[dict[str, Any]]:
        """Returns the rows of the bundle, of the program as it was compiled; of the program itself without one."""
        stored = {} if self.bundle is None else self.bundle.report or {}
        return stored.get("values") or value_rows(self.program, self.support)

    def report(self) -> dict[str, Any]:
        """Returns what does not change from run to run: no times, no places. Bundles hold it."""
        support, timed = self.support, set(speed_warnings(self))
        verdicts = get_args(Verdict)
        return {
            "target": self.plan.target,
            "backend": self.plan.backend,
            "precision": self.precision,
            "precision_reason": self.precision_reason,
            "program_digest": self.program.digest,
            "history": _plain(self.program.history),
            "size_bytes": self.size_bytes,
            "float_size_bytes": self.float_size_bytes,
            "nodes": {verdict: support.count(verdict) for verdict in verdicts},
            "operators": dict(sorted(self.operators.items())),
            "parity": _parity(self.parity),
            "accuracy": _accuracy(self.accuracy),
            "attempts": _plain(self.attempts),
            "diagnosis": _plain(self.diagnosis),
            "programs": _plain(self.programs),
            "streams": _plain(self.streams),
            "memory": _plain(self.memory),
            "statistics": _plain(self.statistics),
            "warnings": [text for text in self.warnings if text not in timed],
            "plan": {
                k: v
                for k, v in self.plan.to_dict().items()
                if k not in ("outputs", "device", "memory")
            },
        }


def _plain(value: Any) -> Any:
    return None if value is None else msgspec.to_builtins(value)


def _parity(parity: Parity | None) -> Any:
    if parity is None:
        return None
    shown = {"ok": parity.ok, "argmax": parity.argmax, "cosine": parity.cosine}
    return {**_plain(parity), **shown, "reasons": list(parity.reasons)}


def _accuracy(accuracy: Accuracy | None) -> Any:
    if accuracy is None:
        return None
    return {**_plain(accuracy), "drop": accuracy.drop, "ok": accuracy.ok}


def _profile(profile: Any) -> Any:
    if profile is None:
        return None
    return profile.to_dict()
