"""The run: opens kernels, tries candidates until the budget is spent, keeps every trial at once."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgeopt.contracts import TuningEvent, TuningReport
from edgeopt.errors import InputError
from edgeopt.progress import report_progress
from edgeopt.tuning import Record, TuningDatabase
from edgeopt_tvm.tuning.order import DEFAULT, State, next_state, opened_state
from edgeopt_tvm.tuning.search import name_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.contracts import Watch
    from edgeopt.options import TuneOptions
    from edgeopt_tvm.tuning.measurement_worker import MeasurementWorker
    from edgeopt_tvm.tuning.tasks import Task

__all__ = ["Tuner", "check_options"]

LEAST = 6
"""Trials that each kernel gets before time decides who gets more."""

BATCH = 4
"""Trials of one kernel in a row: its code and data are warm then."""

FINALISTS = 3
"""How many of a kernel's fastest candidates are measured again at the end."""

LOST = 5
"""Trials in a row without the device after which it counts as gone."""

_TRIAL_S = 0.3
_BUSY = 1.5
_PART_OF_MEASURING = 0.9


class _GoneError(Exception):
    """The device did not come back."""


def check_options(options: TuneOptions) -> None:
    """Checks that there is a budget.

    Raises:
        InputError: There is none.
    """
    if not options.active:
        hint = "pass trials=500, or minutes=10"
        raise InputError("there is no budget", where="trials and minutes", hint=hint)


@dataclass
class Tuner:
    """One run.

    Attributes:
        tasks: The kernels.
        worker: Where candidates are built and measured.
        database: Where trials are kept.
        options: The budget.
        watch: Told after each trial.
        pause_s: Seconds to wait for a device that is away.
    """

    tasks: Sequence[Task]
    worker: MeasurementWorker
    database: TuningDatabase
    options: TuneOptions
    watch: Watch | None = None
    states: list[State] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    _begun: float = field(default_factory=time.monotonic)
    pause_s: float = 2.0
    _measuring: float = 0.0
    _lost_in_a_row: int = 0

    def run(self, *, target: str = "") -> TuningReport:
        """Returns what came of it. An interrupt ends it early; what was tried stays.

        Raises:
            InputError: The database cannot be written.
            CompileError: The toolchain does not start.
        """
        notes: tuple[str, ...] = ()
        try:
            self._open()
            self._measuring = time.monotonic()
            stopped = self._search()
            self._confirm()
        except KeyboardInterrupt:
            stopped = "interrupted"
        except _GoneError as error:
            stopped, notes = "device", (f"the device went away and did not come back: {error}",)
        states = sorted(self.states, key=lambda s: -s.task.count * s.default_s)
        return TuningReport(
            backend="tvm",
            target=target,
            database=str(self.database.path),
            kernels=tuple(s.kernel() for s in states),
            trials=self._trials,
            known=sum(s.before for s in self.states),
            failures=dict(sorted(self.failures.items())),
            seconds=time.monotonic() - self._begun,
            stopped=stopped,
            notes=(*notes, *_busy_note()),
        )

    @property
    def _trials(self) -> int:
        return sum(s.trials for s in self.states)

    def _open(self) -> None:
        for done, task in enumerate(self.tasks):
            self._tell("measure kernels", done, len(self.tasks))
            answer = self.worker.open(task)
            self.states.append(
                opened_state(task, answer, self.database.find(task.key), self.options.seed)
            )
            if answer["status"] == "ok":
                self._keep(task, DEFAULT, {"gain": 1.0, **answer})
            elif answer["status"] == "lost":
                raise _GoneError(answer.get("detail", ""))
            else:
                self.failures[answer["status"]] += 1
        self._tell("measure kernels", len(self.tasks), len(self.tasks))

    def _search(self) -> str:
        state: State | None = None
        self._tell("tune", 0, 1)
        while True:
            if self.options.trials and self._trials >= self.options.trials:
                return "trials"
            if self._seconds_left() <= 0:
                return "minutes"
            if state is None or state.finished or state.trials % BATCH == 0:
                state = next_state(self.states, least=LEAST)
            if state is None:
                return "exhausted"
            self._attempt(state)

    def _attempt(self, state: State) -> None:
        config = state.search.propose()
        if config is None:
            return
        name, rival = name_of(config), state.best
        result = self.worker.attempt(state.task, config, rival)
        if result["status"] == "lost":
            self._lost(state, str(result.get("detail", "")))
            return
        self._lost_in_a_row = 0
        self._keep(state.task, name, result)
        if "rival_gain" in result:  # measured beside each other, they keep their order
            renewed = {"status": "ok", "gain": result["rival_gain"]}
            seconds = result["seconds"] / result["versus"]
            self._keep(state.task, rival, {**renewed, "seconds": seconds})
        state.learn(name, result)
        if result["status"] not in ("ok", "slower"):
            self.failures[result["status"]] += 1
        self._report(state)

    def _lost(self, state: State, detail: str) -> None:
        """Counts a trial that said nothing of its candidate: the device was away."""
        self.failures["lost"] += 1
        self._lost_in_a_row += 1
        state.trials += 1
        self._report(state)
        if self._lost_in_a_row >= LOST:
            raise _GoneError(detail)
        time.sleep(self.pause_s)

    def _confirm(self) -> None:
        """Measures the best once more beside the default; what does not hold is taken back."""
        fresh = [s for s in self.states if not s.confirmed]
        for done, state in enumerate(fresh):
            self._tell("measure the best again", done, len(fresh))
            self._confirm_one(state)
        self._tell("measure the best again", len(fresh), len(fresh))

    def _confirm_one(self, state: State) -> None:
        records = [r for r in self.database.find(state.task.key) if r.choices != DEFAULT]
        won = sorted((r for r in records if r.status == "ok"), key=lambda r: -r.gain)[:FINALISTS]
        answer = self.worker.confirm(state.task, [json.loads(r.choices) for r in won])
        if answer["status"] != "ok":
            return
        state.default_s, state.best, state.gain = answer["seconds"], DEFAULT, 1.0
        state.confirmed = True
        for record, result in zip(won, answer["found"], strict=True):
            self._keep(state.task, record.choices, result)
            if result["status"] == "ok" and result["gain"] > state.gain:
                state.best, state.gain = record.choices, result["gain"]

    def _keep(self, task: Task, name: str, result: dict[str, Any]) -> None:
        record = Record(
            key=task.key,
            choices=name,
            status=result["status"],
            seconds=result.get("seconds"),
            gain=result.get("gain", 0.0),
            name=task.name,
            detail=str(result.get("detail", ""))[:1000],
            created=int(time.time()),
        )
        self.database.add([record])

    def _seconds_left(self) -> float:
        if not self.options.minutes:
            return float("inf")
        spent = time.monotonic() - self._begun
        return 60 * self.options.minutes * _PART_OF_MEASURING - spent

    def _report(self, state: State) -> None:
        done, every = self._trials, self.options.trials
        share = max(
            done / every if every else 0.0,
            1 - max(0.0, self._seconds_left()) / (60 * self.options.minutes)
            if self.options.minutes
            else 0.0,
        )
        self._tell("tune", min(share, 1.0), 1)
        if self.watch is not None:
            self.watch(self._event(state, done, every))

    def _event(self, state: State, done: int, every: int) -> TuningEvent:
        each = (time.monotonic() - self._measuring) / done if done else _TRIAL_S
        open_points = sum(s.search.left for s in self.states if not s.note)
        ahead = min(every - done, open_points) if every else open_points
        return TuningEvent(
            trial=done,
            trials=min(every, done + open_points) if every else 0,
            kernel=state.task.name,
            best_ms=1e3 * sum(s.task.count * s.best_s for s in self.states),
            default_ms=1e3 * sum(s.task.count * s.default_s for s in self.states),
            left_s=max(0.0, min(ahead * each, self._seconds_left())),
            failed=sum(n for kind, n in self.failures.items() if kind != "wrong"),
            wrong=self.failures["wrong"],
        )

    def _tell(self, stage: str, done: float, total: float) -> None:
        report_progress(stage, done, max(total, 1))


def _busy_note() -> tuple[str, ...]:
    """Returns a note where others used the processor too; times are less certain then."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load <= _BUSY * cores:
        return ()
    return (f"the machine was busy (load {load:.1f} on {cores} cores); an idle one tunes better",)
