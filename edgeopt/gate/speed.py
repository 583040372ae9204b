"""Speed against float on the same runtime, in interleaved runs on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgeopt.measure import Latency, Ratio, interleave, ratio, summarize
from edgeopt.units import shown_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from edgeopt.contracts import Runner

__all__ = ["Speed", "check_speed"]

RUNS = 100
MAX_TIME_S = 6.0
ROOM = 1.03
"""Ratios up to this are no reason for a warning, however certain they are."""


class Speed(msgspec.Struct, frozen=True):
    """A compressed artefact beside the float32 one of the same backend.

    Attributes:
        precision: What was compressed to.
        latency: Of a call of the compressed artefact, on this machine.
        float_latency: Of a call of the float32 artefact, likewise.
        ratio: Time of the compressed artefact over that of float; below 1 it is faster.
        threads: Threads of the runtime; 0 where it chose.
        machine: CPU of this machine.
        on_target: Whether this machine is the target. If not, the figures say nothing of it.
        reasons: Why it is slower; empty where it is not.
        unequal: In what the two were not treated alike, apart from the precision.
        size_bytes: Size of the compressed artefact, on a microcontroller of its flash; 0 where it is not known.
        float_size_bytes: Of the float32 artefact, likewise.
    """

    precision: str
    latency: Latency
    float_latency: Latency
    ratio: Ratio
    threads: int
    machine: str
    on_target: bool
    reasons: tuple[str, ...] = ()
    unequal: str = ""
    size_bytes: int = 0
    float_size_bytes: int = 0

    @property
    def ok(self) -> bool:
        """Whether it is not slower than float."""
        return self.ratio.verdict != "slower" or self.ratio.value <= ROOM

    @property
    def is_larger(self) -> bool:
        """Whether the compressed artefact is known to be no smaller than float's."""
        return self.size_bytes >= self.float_size_bytes > 0

    @property
    def sizes(self) -> str:
        """The two sizes in words; empty where they are not known."""
        if not self.size_bytes or not self.float_size_bytes:
            return ""
        return (
            f"{shown_bytes(self.size_bytes)} beside {shown_bytes(self.float_size_bytes)} in float32"
        )

    @property
    def label(self) -> str:
        """What the figures are of: never the target's latency unless they are."""
        return "this machine, the target" if self.on_target else "host, not the target"

    def __str__(self) -> str:
        times = f"{self.precision} {self.latency}, float32 {self.float_latency}"
        threads = f"{self.threads} threads" if self.threads else "threads as the runtime likes"
        unequal = f" ({self.unequal})" if self.unequal else ""
        return f"{times}: ratio {self.ratio} on {self.machine}, {threads}{unequal}"


def check_speed(  # noqa: PLR0913 (what is measured, and how it is called in reports)
    runner: Runner,
    float_runner: Runner,
    sample: Sequence[np.ndarray],
    *,
    precision: str,
    threads: int,
    machine: str,
    on_target: bool,
) -> Speed:
    """Returns how fast ``runner`` is beside ``float_runner``, in interleaved runs.

    Args:
        runner: The compressed artefact.
        float_runner: The float32 artefact of the same backend.
        sample: One call's inputs.
        precision: What was compressed to, for the report.
        threads: Threads of both, for the report.
        machine: CPU of this machine, for the report.
        on_target: Whether this machine is the target.
    """
    functions = {"compressed": lambda: runner(*sample), "float": lambda: float_runner(*sample)}
    times = interleave(functions, runs=RUNS, max_time_s=MAX_TIME_S)
    return Speed(
        precision=precision,
        latency=summarize(times["compressed"]),
        float_latency=summarize(times["float"]),
        ratio=ratio(times["compressed"], times["float"]),
        threads=threads,
        machine=machine,
        on_target=on_target,
    )
