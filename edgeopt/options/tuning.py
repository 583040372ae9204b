"""What a user may choose about compiling and tuning; the same for all backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.options.base import Options
from edgeopt.options.kinds import NonNegative, Positive, Whole
from edgeopt.registry.schema import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CompileOptions", "TuneOptions"]


class CompileOptions(Options, frozen=True):
    """How to compile.

    Attributes:
        threads: Threads that the runtime shall use; 0 leaves it to the runtime.
        tuning_database: Path of a tuning database to take kernels from; empty for the one in the
            user's cache folder, ``none`` for the kernels as they are without tuning. Backends that
            do not tune have no use for it.
    """

    threads: Whole = 0
    tuning_database: str = ""


class TuneOptions(Options, frozen=True):
    """How long to look for faster kernels, and where they are kept.

    Attributes:
        trials: How many candidates to try at most; 0 sets no limit of that kind. Where ``minutes``
            is 0 too, nothing is tried, and kernels are taken from the database as they are.
        minutes: How long to try at most; 0 sets no limit of that kind.
        seed: Where the search starts. The same seed proposes the same candidates as long as the
            measurements rank them alike.
        database: Path of the tuning database; empty for the one in the user's cache folder, ``none``
            for kernels as they are without tuning.
        limit_s: Seconds after which a candidate counts as hanging.
        memory_mb: Memory that building and running one candidate may take; 0 for any.
    """

    trials: Whole = 0
    minutes: NonNegative = 0.0
    seed: Whole = 0
    database: str = ""
    limit_s: Positive = 20.0
    memory_mb: Whole = 4096

    def conflicts(self) -> Iterable[Problem]:
        """Returns that nothing would be tried, or that what is found could not be kept."""
        idle = set(self.changes()) - {"database"}
        if not self.active and idle:
            yield Problem(
                "trials", f"{', '.join(sorted(idle))} but no budget", "pass trials or minutes"
            )
        if self.active and self.database == "none":
            yield Problem("database", "tuning needs a database", "name a file, or leave it out")

    @property
    def active(self) -> bool:
        """Whether anything is tried."""
        return bool(self.trials or self.minutes)
