"""What came of a search."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.deployment.request import Request
from edgeopt.deployment.result_text import as_text
from edgeopt.errors import InputError
from edgeopt.options import BundleOptions, refuse_unknown
from edgeopt.searching.budget import nearest_to, pareto_front
from edgeopt.searching.picture import front_svg
from edgeopt.searching.trials import Measured, Trial
from edgeopt.units import shown_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from edgeopt.deployment.result import Deployment
    from edgeopt.gate.sensitivity import Sensitivity
    from edgeopt.searching.bench import Bench
    from edgeopt.searching.budget import Budget

__all__ = ["SearchResult"]

SHOWN = 5
HEADER = ("trial", "configuration", "score", "drop", "latency", "size")


@dataclass(frozen=True)
class SearchResult:
    """Every trial of a study, and the best within the budget.

    Attributes:
        target: Name of the target.
        budget: What was asked for.
        trials: What was tried, in the order of the study, earlier runs' included.
        best: The best trial within the budget; None where there is none yet.
        sensitivity: Values whose rounding to int8 does harm, the worst first.
        study: Where the study is kept.
        stopped: Why the run ended: ``trials``, ``minutes``, ``exhausted`` (nothing is left to try)
            or ``interrupted``.
        device: Where latency was measured; empty where it was not.
        warnings: What a person should know.
    """

    target: str
    budget: Budget
    trials: tuple[Trial, ...]
    best: Trial | None
    sensitivity: tuple[Sensitivity, ...]
    study: str
    stopped: str
    device: str = ""
    warnings: tuple[str, ...] = ()
    _bench: Bench | None = field(default=None, repr=False, compare=False)

    @property
    def front(self) -> list[Trial]:
        """The trials that no other one beats in score, latency and size: the best score first."""
        return pareto_front(self.trials)

    @property
    def nearest(self) -> Trial | None:
        """The trial that comes nearest to the budget; a best one where there is any."""
        return self.best or nearest_to(self.trials, self.budget)

    @property
    def new(self) -> int:
        """How many trials this run made; the others were in the study."""
        return sum(trial.new for trial in self.trials)

    @property
    def failed(self) -> list[Trial]:
        """The trials that failed, each with its reason."""
        return [trial for trial in self.trials if trial.state == "failed"]

    def deploy(
        self, trial: int | Trial | None = None, *, output: Path | str | None = None, **options: Any
    ) -> Deployment:
        """Returns the deployment of a trial, checked as by `edgeopt.deploy`.

        Args:
            trial: The trial or its number; the best one where None.
            output: Folder or ``.zip`` of the bundle; None for a temporary one.
            **options: Of `edgeopt.deploy`: ``bundle`` (beside what a model's name says), ``checks``, ``device``,
                ``max_drop``, ``max_flash_kb``, ``max_ram_kb`` (those of the budget where left out), ``progress``, ``shapes``, and with those
                ``calibration_data`` of all of them (that of the search where left out).

        Raises:
            InputError: There is no such trial, it failed, or an option is wrong.
            EdgeoptError: As `edgeopt.deploy`.
        """
        selection = self._chosen(trial)
        if self._bench is None:
            raise InputError("this result has been read, not searched", where="deploy")
        refuse_unknown(options, _OPTIONS, "deploy")
        usual = {name: getattr(self.budget, name) for name in _LIMITS}
        usual["device"] = self._bench.device
        named = self._bench.request.bundle
        bundle = options.pop("bundle", None) or {}
        fields = bundle.changes() if isinstance(bundle, BundleOptions) else bundle
        own = BundleOptions.from_dict({**named.replace(threads=0).changes(), **fields})
        request = Request(**{**usual, **options, "bundle": own, "output": output})
        return self._bench.deploy(selection.configuration, request)

    def _chosen(self, trial: int | Trial | None) -> Trial:
        if isinstance(trial, Trial):
            return trial
        if trial is None:
            if self.best is None:
                raise InputError("no trial keeps to the budget", where="deploy", hint="name one")
            return self.best
        match = next((t for t in self.trials if t.number == trial), None)
        if match is None:
            raise InputError(f"there is no trial {trial}", where="deploy")
        if match.measured is None:
            raise InputError(f"trial {trial} failed: {match.reason}", where="deploy")
        return match

    def rows(self) -> list[tuple[str, str]]:
        """Returns what was found as (what, value) rows."""
        summary = f"{len(self.trials)} trials, {self.new} of this run, stopped by {self.stopped}"
        rows = [
            ("target", self.target),
            ("budget", str(self.budget)),
            ("float score", f"{self.budget.float_score:.4f}"),
            ("trials", summary),
        ]
        rows += [("study", self.study)] if self.study != "none" else []
        label = "best" if self.best is not None else "nearest"
        if self.nearest is not None:
            rows.append((label, self.told(self.nearest)))
        rows += [("front", self.told(trial)) for trial in self.front]
        rows += [("most harmful", str(sensitivity)) for sensitivity in self.sensitivity[:SHOWN]]
        rows += [("failed", f"{t.configuration}: {t.reason}") for t in self.failed]
        rows += [("warning", text) for text in self.warnings]
        return rows

    def told(self, trial: Trial) -> str:
        """Returns a trial in one line."""
        cells = self.cells(trial)
        if trial.measured is None:
            return f"{trial.configuration}: {trial.reason}"
        words = [f"{name} {cell}" for name, cell in zip(HEADER[2:], cells[2:], strict=True) if cell]
        return f"{trial.configuration}: {', '.join(words)} (trial {trial.number})"

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Returns the header and the rows of the front, the best score first."""
        return HEADER, [self.cells(trial) for trial in self.front]

    def cells(self, trial: Trial) -> tuple[str, ...]:
        """Returns the cells of a trial in `table`."""
        result = trial.measured
        if result is None:
            return (str(trial.number), str(trial.configuration), "", "", "", trial.reason)
        drop = self.budget.float_score - result.score
        latency = "" if result.latency_ms is None else f"{result.latency_ms:.3g} ms"
        return (
            str(trial.number),
            str(trial.configuration),
            f"{result.score:.4f}",
            f"{drop:+.4f}",
            latency,
            _sizes(result),
        )

    def __str__(self) -> str:
        return as_text(self.rows())

    def svg(self) -> str:
        """Returns a picture of all trials: the score over latency, or over size without times."""
        budget = self.budget
        least = None if budget.max_drop is None else budget.float_score - budget.max_drop
        most = budget.max_latency_ms if budget.timed else budget.max_size_mb
        return front_svg(self.trials, self.front, self.best, least_score=least, most=most)

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain JSON-able values."""
        return {
            "target": self.target,
            "device": self.device,
            "budget": msgspec.to_builtins(self.budget),
            "trials": [_plain(trial) for trial in self.trials],
            "best": None if self.best is None else self.best.number,
            "nearest": None if self.nearest is None else self.nearest.number,
            "front": [trial.number for trial in self.front],
            "sensitivity": msgspec.to_builtins(self.sensitivity),
            "study": self.study,
            "stopped": self.stopped,
            "new": self.new,
            "warnings": list(self.warnings),
        }


_LIMITS = ("max_drop", "max_flash_kb", "max_ram_kb")
"""What a deployment takes from the budget."""
_OPTIONS = ("bundle", "calibration_data", "checks", "device", "progress", "shapes", *_LIMITS)
"""What may differ where a trial is deployed; the rest is the trial's."""


def _sizes(one: Measured) -> str:
    """Returns the size, and what it takes of a microcontroller's memory."""
    size = shown_bytes(one.size_bytes)
    if one.flash_bytes is None or one.ram_bytes is None:
        return size
    return f"{size}, flash {shown_bytes(one.flash_bytes)}, RAM {shown_bytes(one.ram_bytes)}"


def _plain(trial: Trial) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(trial)
    return {**plain, "state": trial.state, "digest": trial.configuration.digest}
