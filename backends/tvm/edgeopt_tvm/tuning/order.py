"""Which kernel to work on next: where time is, and where trials still bring something."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgeopt.contracts import TunedKernel
from edgeopt_tvm.tuning.search import Search

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.tuning import Record
    from edgeopt_tvm.tuning.tasks import Task

__all__ = ["State", "next_state", "opened_state"]

DEFAULT = "default"
_HOPE = 0.2
"""Share of a kernel's time that the next trial might gain, before anything is known."""


@dataclass
class State:
    """A kernel and what is known of it.

    Attributes:
        task: The kernel.
        search: What has been tried of it.
        default_s: Seconds of one run without tuning.
        best: The fastest candidate, as text, or ``default``.
        gain: How many times as fast as the default it is.
        before: Trials that the database held.
        trials: Trials of this run.
        stale: Trials since the last one that gained.
        pace: Share of the time that recent trials gained, each half as important as the next.
        confirmed: Whether the best one was measured once more.
        note: Why the kernel is left out; empty where it is not.
    """

    task: Task
    search: Search = field(default_factory=lambda: Search((), ""))
    default_s: float = 0.0
    best: str = DEFAULT
    gain: float = 1.0
    before: int = 0
    trials: int = 0
    stale: int = 0
    pace: float = 0.0
    confirmed: bool = True
    note: str = ""

    @property
    def best_s(self) -> float:
        """Seconds of one run in the fastest form."""
        return self.default_s / self.gain

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to try."""
        return bool(self.note) or self.search.left == 0

    def learn(self, name: str, result: dict[str, Any]) -> None:
        """Takes in what came of the candidate ``name``."""
        self.trials += 1
        self.stale += 1
        self.pace /= 2
        ratio = None
        if result["status"] == "ok":
            self.pace += max(0.0, 1 - self.gain / result["gain"]) / 2
            self.search.learn(self.best, 1 / result.get("rival_gain", self.gain))
            self.best, self.gain, self.stale = name, result["gain"], 0
            self.confirmed = False
            ratio = 1 / result["gain"]
        elif result["status"] == "slower":
            ratio = result.get("versus", result["seconds"] / self.best_s) / self.gain
        self.search.learn(name, ratio)

    def kernel(self) -> TunedKernel:
        """Returns what is known, for reports."""
        return TunedKernel(
            name=str(self.task.name),  # a string of TVM, which is no plain one
            count=self.task.count,
            default_ms=1e3 * self.default_s,
            best_ms=1e3 * self.best_s,
            trials=self.before + self.trials,
            exhausted=not self.note and self.search.left == 0,
            note=self.note,
        )


def opened_state(task: Task, found: dict[str, Any], known: Sequence[Record], seed: int) -> State:
    """Returns the state of a kernel that was just opened.

    Args:
        task: The kernel.
        found: What the measurement worker says of it.
        known: Its trials so far.
        seed: Where chance starts. Trials known move it on, so that nothing is proposed in vain.
    """
    if found["status"] != "ok":
        return State(task, note=f"{found['status']}: {found.get('detail', '')}")
    trials = [r for r in known if r.choices != DEFAULT]
    search = Search(found["points"], f"{seed}/{task.key.workload}/{len(trials)}")
    search.learn_default()
    for record in trials:
        search.learn(record.choices, _ratio(record, found["seconds"]))
    won = [r for r in trials if r.status == "ok" and r.gain > 1]
    best = max(won, key=lambda r: r.gain, default=None)
    name, gain = (best.choices, best.gain) if best else (DEFAULT, 1.0)
    state = State(task, search, found["seconds"], name, gain, before=len(trials))
    state.stale = len(trials)
    return state


def _ratio(record: Record, default_s: float) -> float | None:
    if record.gain > 0:
        return 1 / record.gain
    if record.status in ("ok", "slower") and record.seconds:
        return record.seconds / default_s
    return None


def next_state(states: Sequence[State], *, least: int) -> State | None:
    """Returns the kernel to try a candidate of, None where all are finished.

    First each gets ``least`` trials, those that cost most first; then the one that promises most: its
    time, times what its last trials gained and what is hoped for, which fades with trials in vain.
    """
    open_states = [s for s in states if not s.finished]
    fresh = [s for s in open_states if s.before + s.trials < least]
    return max(fresh or open_states, key=_promise, default=None)


def _promise(state: State) -> float:
    hope = _HOPE / (1 + state.stale)
    return state.task.count * state.best_s * (state.pace + hope)
