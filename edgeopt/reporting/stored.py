"""What a bundle's report.json, `edgeopt deploy --json` and the file of times beside a bundle hold, as far as a report reads it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from edgeopt.explaining.findings import Finding
from edgeopt.gate.accuracy import Accuracy
from edgeopt.gate.diagnose import Diagnosis
from edgeopt.gate.parity import Parity
from edgeopt.gate.speed import Speed
from edgeopt.gate.value_statistics import ValueStatistics

__all__ = ["MOST", "Stored", "StoredMemory", "StoredValue"]

MOST = 1 << 53
"""What a page's scripts can count to."""
_Count = Annotated[int, Meta(ge=0, le=MOST)]


class StoredValue(msgspec.Struct, frozen=True):
    """A row of ``values``: `edgeopt.deployment.work.value_rows`."""

    value: str
    makes: str = ""
    operator: str = ""
    module: str = ""
    source: str = ""
    kind: str = ""
    reason: str = ""
    macs: _Count = 0
    bytes: _Count = 0
    inputs: tuple[str, ...] = ()
    shape: tuple[_Count, ...] = ()


class _Attempt(msgspec.Struct, frozen=True):
    precision: str
    outcome: str = ""
    taken: bool = False
    settings: dict[str, Any] = {}


class _Backend(msgspec.Struct, frozen=True):
    backend: str
    chosen: bool = False
    reason: str = ""


class _Plan(msgspec.Struct, frozen=True):
    title: str = ""
    candidates: tuple[_Backend, ...] = ()
    tools: dict[str, str] = {}


class _Step(msgspec.Struct, frozen=True):
    name: str
    settings: dict[str, Any] = {}
    effect: dict[str, Any] = {}


class _Part(msgspec.Struct, frozen=True):
    name: str
    size_bytes: _Count
    what: str = ""


class _Moment(msgspec.Struct, frozen=True):
    operator: str
    tensors: tuple[_Part, ...] = ()


class _Use(msgspec.Struct, frozen=True):
    flash_bytes: _Count = 0
    ram_bytes: _Count = 0
    moments: tuple[_Moment, ...] = ()
    notes: tuple[str, ...] = ()


class _Room(msgspec.Struct, frozen=True):
    flash_kb: float = 0.0
    ram_kb: float = 0.0
    arena_kb: float = 0.0


class StoredMemory(msgspec.Struct, frozen=True):
    """What a model takes of a microcontroller."""

    use: _Use
    limits: _Room


class _Latency(msgspec.Struct, frozen=True):
    median_ms: float
    low_ms: float | None = None
    high_ms: float | None = None
    runs: int = 0


class _Profile(msgspec.Struct, frozen=True):
    device: str = ""
    label: str = "measured"
    threads: int = 0
    runs: int = 0
    latency: _Latency | None = None
    load_ms: float | None = None
    peak_memory_mb: float | None = None
    instructions: _Count | None = None
    cycles: _Count | None = None
    warnings: tuple[str, ...] = ()


class _Program(msgspec.Struct, frozen=True):
    method: str = ""
    shapes: tuple[tuple[_Count, ...], ...] = ()
    parity: Parity | None = None
    accuracy: Accuracy | None = None


class Stored(msgspec.Struct, frozen=True):
    """The whole; what is missing was not known."""

    target: str = ""
    backend: str = ""
    precision: str = ""
    precision_reason: str = ""
    program_digest: str = ""
    size_bytes: _Count = 0
    float_size_bytes: _Count = 0
    nodes: dict[str, int] = {}
    operators: dict[str, int] = {}
    parity: Parity | None = None
    accuracy: Accuracy | None = None
    speed: Speed | None = None
    profile: _Profile | None = None
    attempts: tuple[_Attempt, ...] = ()
    diagnosis: Diagnosis | None = None
    findings: tuple[Finding, ...] = ()
    memory: StoredMemory | None = None
    warnings: tuple[str, ...] = ()
    plan: _Plan = _Plan()
    history: tuple[_Step, ...] = ()
    values: tuple[StoredValue, ...] = ()
    statistics: tuple[ValueStatistics, ...] = ()
    bundle_digest: str | None = None
    programs: tuple[_Program, ...] = ()

    @property
    def every_warning(self) -> tuple[str, ...]:
        """The deployment's warnings, and those of its times."""
        of_times = () if self.profile is None else self.profile.warnings
        return tuple(dict.fromkeys((*self.warnings, *of_times)))
