"""The compiler's side: the fastest known form of a kernel."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgeopt.tuning import open_database
from edgeopt_tvm.tuning.templates import KERNELS, Templates
from edgeopt_tvm.tuning.workload import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt.tuning import TuningDatabase
    from edgeopt_tvm.machine import Machine

__all__ = ["Chooser", "best", "open_chooser"]

OFF = "none"
"""In place of a database's path: take none."""


def best(
    function: Any, machine: Machine, database: TuningDatabase, templates: Templates = KERNELS
) -> tuple[Any, float] | None:
    """Returns ``function`` scheduled as was fastest, and its gain; None where nothing is known.

    A candidate is only applied if it is one of those that the templates offer for this kernel:
    a database says which, and nothing else.

    Raises:
        InputError: The database is damaged.
    """
    if not templates.tunable(function):
        return None
    record = database.best(key_of(function, machine, templates))
    if record is None:
        return None
    config = json.loads(record.choices)
    if config not in templates.configurations(function, machine):
        return None
    return templates.scheduled(function, machine, config), record.gain


@dataclass
class Chooser:
    """Schedules kernels: as tuned where that is known, else as they are without tuning.

    Attributes:
        machine: What code is made for.
        database: Where it is known; None for nowhere.
        templates: What schedules are made from.
        tuned: Kernels scheduled as tuned so far.
        untuned: Kernels that could have been tuned, and were not.
        notes: Records that did not apply, with the reason.
    """

    machine: Machine
    database: TuningDatabase | None = None
    templates: Templates = KERNELS
    tuned: int = 0
    untuned: int = 0
    notes: list[str] = field(default_factory=list)

    def __call__(self, function: Any, machine: Machine | None = None) -> Any:
        """Returns ``function``, a PrimFunc as fusion leaves it, ready for code generation."""
        target = machine or self.machine
        if not self.templates.tunable(function):
            return self.templates.scheduled(function, target)
        hit = None
        if self.database is not None:
            try:
                hit = best(function, target, self.database, self.templates)
            except Exception as error:
                from edgeopt.errors import EdgeoptError  # noqa: PLC0415 (only where one failed)

                if isinstance(error, EdgeoptError):
                    raise
                self.notes.append(f"a record of the tuning database did not apply: {error}")
        if hit is None:
            self.untuned += 1
            return self.templates.scheduled(function, target)
        self.tuned += 1
        return hit[0]

    def plain(self, function: Any) -> Any:
        """Returns ``function`` scheduled as it is without tuning."""
        return self.templates.scheduled(function, self.machine)

    def reject(self, wrong: Mapping[str, str]) -> None:
        """Takes note of kernels that computed something else, with how they differed."""
        self.notes += [
            f"kernel {name} was wrong as scheduled: {how}" for name, how in wrong.items()
        ]

    def close(self) -> None:
        """Closes the database."""
        if self.database is not None:
            self.database.close()


def open_chooser(machine: Machine, database: str = "") -> Chooser:
    """Returns a chooser that looks into a database.

    Args:
        machine: What code is made for.
        database: Its path; empty for the one in the user's cache folder, ``none`` for none.

    Raises:
        InputError: There is none at a path that was named, or it cannot be read.
    """
    from pathlib import Path  # noqa: PLC0415 (only here)

    from edgeopt.errors import InputError  # noqa: PLC0415

    if database == OFF:
        return Chooser(machine)
    if database and not Path(database).exists():
        hint = "edgeopt tune makes one"
        raise InputError("there is no tuning database", where=database, hint=hint)
    return Chooser(machine, open_database(database))
