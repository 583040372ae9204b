"""Runs a second, with the interval that parts of the time show."""

from __future__ import annotations

from typing import Annotated, Any, Self

import msgspec
import numpy as np
from msgspec import Meta

from edgeopt.boundary import decode_json
from edgeopt.errors import DeviceError
from edgeopt.measure.statistics import summarize

__all__ = ["Throughput"]

_MOST_WINDOWS = 10_000
Count = Annotated[int, Meta(ge=1, le=1 << 40)]


class _Trial(msgspec.Struct, frozen=True):
    streams: Count
    threads: Annotated[int, Meta(ge=0)]
    runs_per_second: Annotated[float, Meta(ge=0)]


class _Raw(msgspec.Struct, frozen=True):
    bundle: str
    digest: str
    streams: Count
    threads: Annotated[int, Meta(ge=0)]
    batch: Count
    window_ns: Count
    runs: Annotated[tuple[Annotated[int, Meta(ge=0)], ...], Meta(max_length=_MOST_WINDOWS)]
    tried: tuple[_Trial, ...]
    runtime: dict[str, Any]
    device: dict[str, Any]
    peak_memory_kb: Annotated[int, Meta(ge=0)] = 0


class Throughput(msgspec.Struct, frozen=True):
    """What a bundle does when several runs are asked for at once.

    Attributes:
        bundle: Its name.
        digest: Its digest.
        device: Name of the device.
        frames_per_second: Samples a second: median over parts of the time.
        low: Lower end of the 95 % interval; None with fewer than 8 parts.
        high: Upper end, likewise.
        streams: Runs at once.
        threads: Of each; 0: as the runtime likes.
        batch: Samples of each run.
        tried: For each number of streams that was tried, and threads of each, its runs a second.
        peak_memory_kb: Of the process.
        facts: Of ``runtime`` and ``device``.
    """

    bundle: str
    digest: str
    device: str
    frames_per_second: float
    low: float | None
    high: float | None
    streams: int
    threads: int
    batch: int
    tried: tuple[tuple[int, int, float], ...]
    peak_memory_kb: int
    facts: dict[str, Any]

    @classmethod
    def from_json(cls, text: bytes, *, device: str) -> Self:
        """Returns what the runner on a device measured.

        Raises:
            DeviceError: It is not what a runner writes, or no run ended in half of the time.
        """
        raw = decode_json(text, _Raw, where=device, error=DeviceError)
        counts = np.array(raw.runs, np.float64)
        if not len(counts) or np.median(counts) == 0:
            what = "hardly a run ended in the time"
            raise DeviceError(what, where=device, hint="measure longer: --min-seconds 20")
        # A part in which nothing ended counts as half a run: its rate has no inverse.
        times = raw.window_ns / np.maximum(counts, 0.5)
        latency = summarize([max(1, round(time)) for time in times])
        rate = raw.batch * 1000.0
        return cls(
            bundle=raw.bundle,
            digest=raw.digest,
            device=device,
            frames_per_second=rate / latency.median_ms,
            low=None if latency.high_ms is None else rate / latency.high_ms,
            high=None if latency.low_ms is None else rate / latency.low_ms,
            streams=raw.streams,
            threads=raw.threads,
            batch=raw.batch,
            tried=tuple((one.streams, one.threads, one.runs_per_second) for one in raw.tried),
            peak_memory_kb=raw.peak_memory_kb,
            facts={"runtime": raw.runtime, "device": raw.device},
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def __str__(self) -> str:
        ends = "" if self.low is None else f" [{self.low:.4g}, {self.high:.4g}]"
        each = f" of {self.threads} threads" if self.threads else ""
        batch = f", batches of {self.batch}" if self.batch > 1 else ""
        return f"{self.frames_per_second:.4g} a second{ends}: {self.streams} at once{each}{batch}"
