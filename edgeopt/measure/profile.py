"""What was measured of a bundle on a device."""

from __future__ import annotations

from typing import Any, Literal, Self

import msgspec

from edgeopt.boundary import convert, decode_json, refusing
from edgeopt.errors import DeviceError
from edgeopt.measure.conditions import (
    Conditions,
    Reading,
    conditions_warnings,
    is_busy,
    reading_warnings,
)
from edgeopt.measure.statistics import Latency, summarize

__all__ = ["Profile"]

_NS_PER_MS = 1e6
_VARIES = 0.2  # interquartile range over median
_DRIFTS = 0.1  # medians of the first and the last third
_FEWEST = 20


class _Benchmark(msgspec.Struct, frozen=True):
    """The JSON that a bundle's ``run.py --benchmark`` writes."""

    bundle: str
    digest: str
    inputs: str
    threads: int
    samples_ns: tuple[int, ...]
    first_inference_ns: int
    import_ns: int
    load_ns: int
    peak_memory_kb: int
    memory_before_kb: int
    runtime: dict[str, Any]
    requirements: dict[str, dict[str, str]]
    device: dict[str, Any]
    before: Conditions
    after: Conditions
    readings: tuple[Reading, ...] = ()
    energy_uj: int | None = None
    asleep_ns: int | None = None
    cores: tuple[int, ...] = ()
    pinned: bool = False
    why_not_pinned: str = ""
    instructions: tuple[int, ...] = ()
    cycles: tuple[int, ...] = ()


class Profile(msgspec.Struct, frozen=True):
    """Times, memory and facts of a bundle on a device.

    Under emulation there are no times and no memory: they would say nothing about the hardware.

    Attributes:
        bundle: Name of the bundle.
        digest: Its digest.
        device: Name of the device.
        label: ``measured`` or ``emulated``.
        threads: Threads that were asked for; 0 left it to the runtime.
        runs: How often it ran.
        latency: Of one call, warm.
        import_ms: Time to import the runtime.
        load_ms: Time to load the model, without the import.
        first_inference_ms: Time of the first call.
        peak_memory_mb: Most memory that the process held, Python and numpy included, in MiB.
        model_memory_mb: How much more it held than before the runtime was imported, in MiB.
        inputs: What it ran on: ``golden``, ``given`` or ``noise``.
        samples_ns: The raw times.
        facts: ``device``, ``runtime`` and ``requirements``, and the conditions ``before`` and
            ``after``.
        warnings: What makes the times less than certain.
        stable: Whether the times neither vary much nor drift.
        energy_mj: Energy of one call in millijoules, by the processor's own counters, of all that
            ran on it meanwhile; None where there are none that may be read.
        cores: The cores that it might use; empty where the system does not say.
        pinned: Whether it was pinned to them.
        instructions: Instructions of one call, counted by an emulated microcontroller; no time
            follows from them. None of others.
        cycles: Cycles of one call (median), counted by a microcontroller; None of others.
    """

    bundle: str
    digest: str
    device: str
    label: Literal["measured", "emulated"]
    threads: int
    runs: int
    latency: Latency | None
    import_ms: float | None
    load_ms: float | None
    first_inference_ms: float | None
    peak_memory_mb: float | None
    model_memory_mb: float | None
    inputs: str
    samples_ns: tuple[int, ...]
    facts: dict[str, Any]
    warnings: tuple[str, ...]
    stable: bool = True
    energy_mj: float | None = None
    cores: tuple[int, ...] = ()
    pinned: bool = False
    instructions: int | None = None
    cycles: int | None = None

    @property
    def emulated(self) -> bool:
        """Whether the device is emulated."""
        return self.label == "emulated"

    @property
    def latency_ms(self) -> float | None:
        """Median time of a call in ms; None under emulation."""
        return self.latency.median_ms if self.latency is not None else None

    @classmethod
    def from_json(cls, text: bytes | str, *, device: str, emulated: bool, asked: int = 0) -> Self:
        """Returns the profile in what ``run.py --benchmark`` wrote.

        Args:
            text: The JSON.
            device: Name of the device.
            emulated: Whether the device is emulated.
            asked: How many runs were asked for; fewer make a warning.

        Raises:
            DeviceError: It is not such JSON.
        """
        prefix = "the benchmark's JSON cannot be read: "
        report = decode_json(text, _Benchmark, where=device, error=DeviceError, prefix=prefix)
        with refusing(device, error=DeviceError, prefix=prefix):
            return cls._made(report, device=device, emulated=emulated, asked=asked)

    @classmethod
    def _made(cls, held: _Benchmark, *, device: str, emulated: bool, asked: int) -> Self:
        emulated = emulated or bool(held.instructions)  # an emulator at the end of a serial line
        return cls(
            bundle=held.bundle,
            digest=held.digest,
            device=device,
            label="emulated" if emulated else "measured",
            threads=held.threads,
            runs=len(held.instructions or held.samples_ns),
            **({} if emulated else _measured(held)) or _NOTHING,
            inputs=held.inputs,
            facts=_facts(held),
            warnings=tuple(_version_warnings(held))
            + (() if emulated else tuple(_time_warnings(held, asked))),
            stable=emulated or not _unrest(held.samples_ns),
            cores=held.cores,
            pinned=held.pinned,
            instructions=_median(held.instructions),
            cycles=_median(held.cycles),
        )

    @classmethod
    def from_dict(cls, plain: object) -> Self:
        """Returns the profile that `to_dict` made ``plain`` from.

        Raises:
            InputError: It is none.
        """
        return convert(plain, cls, where="a profile")

    def to_dict(self) -> dict[str, Any]:
        """Returns all of it as plain JSON types."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {**plain, "latency_ms": self.latency_ms, "emulated": self.emulated}

    def __str__(self) -> str:
        if self.latency is None:
            counted = f"{self.instructions} instructions a call, " if self.instructions else ""
            runs = f"{counted}emulated, {self.runs} runs"
            head = f"{self.device}: {runs}; times would say nothing of a device"
        elif self.cycles is not None:
            head = (
                f"{self.device}: {self.latency}, {self.cycles} cycles a call, "
                f"arena {self.peak_memory_mb:.3f} MiB"
            )
        else:
            head = (
                f"{self.device}: {self.latency}, {_threads(self.threads)}; "
                f"load {self.load_ms:.3g} ms, first call {self.first_inference_ms:.3g} ms, "
                f"peak memory {self.peak_memory_mb:.0f} MiB"
            )
        return "\n".join([head, *(f"  ! {warning}" for warning in self.warnings)])


_NOTHING: dict[str, Any] = {
    **dict.fromkeys(("latency", "import_ms", "load_ms", "first_inference_ms")),
    **dict.fromkeys(("peak_memory_mb", "model_memory_mb", "energy_mj")),
    "samples_ns": (),
}


def _median(counts: tuple[int, ...]) -> int | None:
    return sorted(counts)[len(counts) // 2] if counts else None


def _measured(held: _Benchmark) -> dict[str, Any]:
    return {
        "latency": _latency(held),
        "import_ms": held.import_ns / _NS_PER_MS,
        "load_ms": held.load_ns / _NS_PER_MS,
        "first_inference_ms": held.first_inference_ns / _NS_PER_MS,
        "peak_memory_mb": held.peak_memory_kb / 1024,
        "model_memory_mb": (held.peak_memory_kb - held.memory_before_kb) / 1024,
        "samples_ns": held.samples_ns,
        "energy_mj": None if not held.energy_uj else held.energy_uj / 1e3 / len(held.samples_ns),
    }


def _latency(held: _Benchmark) -> Latency:
    """Returns the latency; on a busy device its interval reaches down to the fastest run.

    Other work may slow a whole measurement down, which its runs do not show: of a call without it
    is only known that it takes no less than the fastest of them.
    """
    latency = summarize(held.samples_ns)
    cores = int(held.device.get("cores") or 1)
    if latency.low_ms is None or not is_busy(held.before, cores=cores):
        return latency
    return msgspec.structs.replace(latency, low_ms=min(latency.low_ms, latency.min_ms))


def _facts(held: _Benchmark) -> dict[str, Any]:
    names = ("device", "runtime", "requirements", "before", "after", "readings")
    return {name: msgspec.to_builtins(getattr(held, name)) for name in names}


def _version_warnings(held: _Benchmark) -> list[str]:
    return [
        f"{name} {versions.get('installed') or 'of an unknown version'} is installed there, "
        f"{versions.get('wanted')} is pinned"
        for name, versions in held.requirements.items()
        if versions.get("installed") != versions.get("wanted")
    ]


def _time_warnings(held: _Benchmark, asked: int) -> list[str]:
    lines = conditions_warnings(held.before, held.after, cores=int(held.device.get("cores") or 1))
    latency = summarize(held.samples_ns)
    lines += [*reading_warnings(held.readings, held.asleep_ns), *_unrest(held.samples_ns)]
    if held.why_not_pinned:
        lines.append(f"not pinned to cores: {held.why_not_pinned}")
    if latency.runs < asked:
        lines.append(f"time was up after {latency.runs} of {asked} runs")
    if held.inputs == "noise":
        lines.append("timed on noise: the bundle holds no golden samples")
    return lines


def _unrest(samples_ns: tuple[int, ...]) -> list[str]:
    """Returns why the times are not stable; nothing where they are."""
    latency, lines = summarize(samples_ns), []
    if latency.iqr_ms > _VARIES * latency.median_ms:
        share = latency.iqr_ms / latency.median_ms
        lines.append(f"the times vary: their middle half spans {share:.0%} of the median")
    third = len(samples_ns) // 3
    if third >= _FEWEST:
        first, last = (
            summarize(part).median_ms for part in (samples_ns[:third], samples_ns[-third:])
        )
        if abs(last - first) > _DRIFTS * latency.median_ms:
            lines.append(f"the times drift: {first:.3g} ms at first, {last:.3g} ms at last")
    return lines


def _threads(count: int) -> str:
    return {0: "threads as the runtime likes", 1: "1 thread"}.get(count, f"{count} threads")
