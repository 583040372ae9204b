"""How to measure: what a user may choose, and the words of the runner's command line for it."""

from __future__ import annotations

from dataclasses import dataclass

from edgeopt.errors import InputError

__all__ = ["Timing"]


@dataclass(frozen=True)
class Timing:
    """What a measurement may be told.

    Attributes:
        runs: Runs to time.
        warmup: Runs before; None: until the times are stable.
        threads: Threads of the runtime; 0 leaves it to the runtime.
        max_seconds: Stop timing then, even if not all runs are done.
        min_seconds: Go on timing so long, even if all runs are done.
        cores: Run on these cores of the device only, for example ``0-3``; empty for all.
    """

    runs: int = 100
    warmup: int | None = None
    threads: int = 0
    max_seconds: float = 120.0
    min_seconds: float = 0.0
    cores: str = ""

    def words(self, *, native: bool = False) -> list[str]:
        """Returns the words for it; the native program understands fewer of them.

        Raises:
            InputError: It does not understand what was chosen.
        """
        words = ["--runs", str(self.runs), "--threads", str(self.threads)]
        words += ["--max-seconds", str(self.max_seconds)]
        words += [] if self.warmup is None else ["--warmup", str(self.warmup)]
        if native and self.cores:
            raise InputError("a device without Python cannot pin", where="cores")
        if native:
            return words
        words += ["--min-seconds", str(self.min_seconds)] if self.min_seconds else []
        return words + (["--cores", self.cores] if self.cores else [])
