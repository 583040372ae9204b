"""The study: trials in a database that outlives the run, shared by as many workers as there are.

It is an Optuna study. A trial belongs to whoever wrote its configuration down first; one whose worker
gives no sign of life any more is given back and tried again (Optuna's heartbeat and retry), and at once
where the worker was a process of this machine that has ended.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.storages._heartbeat import get_heartbeat_thread
from optuna.trial import TrialState

from edgeopt.boundary import convert
from edgeopt.errors import InputError
from edgeopt.searching.configuration import Configuration
from edgeopt.searching.propose import Proposer, distributions
from edgeopt.searching.trials import Measured, Trial
from edgeopt.searching.worker import Worker, this_worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import optuna

    from edgeopt.searching.budget import Budget
    from edgeopt.searching.space import Space

__all__ = ["Claim", "Study", "storage"]

_LOG = logging.getLogger(__name__)

LIVES = 2
"""How often a configuration is tried whose worker dies or loses the device meanwhile."""

BEAT_S = 15
GRACE_S = 120
"""A worker that has given no sign of life for so many seconds is given up."""

_RETRIES = "retry_history"  # Optuna's: the numbers of the trials that a trial repeats
_IDENTITY, _WITHDRAWN, _LOST, _WORKER = "edgeopt", "withdrawn", "lost", "worker"


class Claim(msgspec.Struct, frozen=True):
    """A configuration that this worker tries.

    Attributes:
        number: The trial's number.
        configuration: What to try.
        trial: Optuna's trial.
    """

    number: int
    configuration: Configuration
    trial: Any


class Study:
    """An open study.

    Args:
        held: Optuna's study.
        url: Where it is kept, for people.
    """

    def __init__(self, held: optuna.Study, url: str) -> None:
        self._held, self.url = held, url
        self._space: Space
        self._budget: Budget
        self._mine: set[int] = set()

    def identify(self, identity: Mapping[str, str]) -> None:
        """Checks that the study is of this search; an empty one becomes it.

        Raises:
            InputError: It is of another search; says what differs.
        """
        record = self._held.user_attrs.get(_IDENTITY)
        if record is None:
            if self._held.get_trials(deepcopy=False):
                self._refuse("it holds trials that are not of edgeopt")
            self._held.set_user_attr(_IDENTITY, dict(identity))
            return
        other = [k for k in (*identity, *record) if identity.get(k) != record.get(k)]
        if other:
            names = ", ".join(dict.fromkeys(other))
            self._refuse(f"it is of another search: not the same {names}")

    def _refuse(self, what: str) -> None:
        hint = "name another study, or leave it out: each search then has its own"
        raise InputError(what, where=f"study {self.url}", hint=hint)

    def remember(self, name: str, make: Any) -> Any:
        """Returns what the study holds as ``name``; what ``make`` makes where it holds nothing."""
        value = self._held.user_attrs.get(name)
        if value is None:
            value = make()
            self._held.set_user_attr(name, value)
        return value

    def propose_from(self, space: Space, seed: int, budget: Budget) -> None:
        """Has proposals come from ``space``."""

        def open_ones(number: int) -> tuple[list[Configuration], set[str]]:
            digests = self.taken(but=number)
            first = space.first(self._fastest())
            return [one for one in first if one.digest not in digests], digests

        self._space, self._budget = space, budget
        self._held.sampler = Proposer(space, seed, open_ones)

    def claim(self) -> Claim | None:
        """Returns what to try next; None where another worker was quicker, and one may ask again."""
        with _quiet():
            trial = self._held.ask(distributions(self._space))
        try:
            configuration = self._space.configuration(trial.params)
            with self._beating(trial):  # before anybody counts it: what is counted can grow stale
                pass
            trial.set_user_attr(_WORKER, msgspec.to_builtins(this_worker(trial.number)))
            trial.set_user_attr("configuration", msgspec.to_builtins(configuration))
            if configuration.digest in self.taken(but=trial.number):
                self._fail(trial, _WITHDRAWN, "another worker tries it")
                return None
        except BaseException:  # an interrupt, too: nobody shall wait for this trial
            self._fail(trial, _WITHDRAWN, "it was not begun")
            raise
        self._mine.add(trial.number)
        return Claim(trial.number, configuration, trial)

    def done(self, claim: Claim, measured: Measured) -> None:
        """Notes what was measured."""
        values = (measured.score, measured.latency_ms, float(measured.size_bytes))
        with _unless_finished():
            claim.trial.set_user_attr("measured", msgspec.to_builtins(measured))
            for name, beyond in self._budget.excess(measured).items():
                claim.trial.set_constraint(name, beyond)
            self._held.tell(claim.trial, [value for value in values if value is not None])

    def failed(self, claim: Claim, reason: str) -> None:
        """Notes that a configuration cannot be had, and why."""
        self._fail(claim.trial, "reason", reason)

    def lost(self, claim: Claim, why: str) -> None:
        """Gives a configuration back: it was not its fault, and it will be tried again."""
        self._fail(claim.trial, _LOST, why)
        self._retry(claim.number)

    def _retry(self, number: int) -> None:
        with _quiet():
            retry = RetryHeartbeatStaleTrialCallback(max_retry=LIVES - 1)
            retry(self._held, self._held.get_trials(deepcopy=True)[number])

    def _fail(self, trial: Any, key: str, text: str) -> None:
        with _unless_finished():
            trial.set_user_attr(key, text)
            self._held.tell(trial, state=TrialState.FAIL)

    def give_up_the_dead(self) -> None:
        """Gives back the configurations of workers that have ended or give no sign of life any more."""
        with _quiet():
            fail_stale_trials(self._held)
        for number, _, state, attrs in list(self._rows()):
            if state != TrialState.RUNNING or attrs.get(_WORKER) is None:
                continue
            worker = convert(attrs[_WORKER], Worker, where=f"trial {number} of the study")
            if worker.is_gone(number):
                self._give_up(number)

    def _give_up(self, number: int) -> None:
        storage = self._held._storage  # noqa: SLF001 (nothing public ends what another began)
        trial = self._held.get_trials(deepcopy=False)[number]
        with _unless_finished():  # somebody else was quicker
            storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)  # noqa: SLF001
            self._retry(number)

    def beating(self, claim: Claim) -> Any:
        """Returns a context in which others see that somebody works on ``claim``."""
        return self._beating(claim.trial)

    def _beating(self, trial: Any) -> Any:
        # What `Study.optimize` does around a trial; nothing public does it for `ask` and `tell`.
        return get_heartbeat_thread(trial._trial_id, self._held._storage)  # noqa: SLF001

    def taken(self, *, but: int = -1) -> set[str]:
        """Returns the digests of the configurations that were tried or are being tried.

        Args:
            but: Number of a trial that does not count.
        """
        busy = {
            one.digest
            for number, one, state, attrs in self._rows()
            if number != but and (state != TrialState.FAIL or "reason" in attrs)
        }
        return busy | self._hopeless()

    def trials(self) -> tuple[Trial, ...]:
        """Returns every configuration that was tried to an end, once, in the order of the trials."""
        results, hopeless = [], self._hopeless()
        for number, one, state, attrs in self._rows():
            new = number in self._mine
            if state == TrialState.COMPLETE:
                measured = convert(
                    attrs.get("measured"), Measured, where=f"trial {number} of the study"
                )
                results.append(Trial(number, one, measured, new=new))
            elif state == TrialState.FAIL and "reason" in attrs:
                results.append(Trial(number, one, None, attrs["reason"], new=new))
            elif state == TrialState.FAIL and one.digest in hopeless and _WITHDRAWN not in attrs:
                why = attrs.get(_LOST, "its process died")
                results.append(Trial(number, one, None, f"given up: {why}", new=new))
                hopeless.discard(one.digest)
        return tuple(results)

    def is_waiting(self) -> bool:
        """Returns whether a configuration was given back that nobody has taken up again yet."""
        return any(state == TrialState.WAITING for _, _, state, _ in self._rows())

    def running(self) -> int:
        """Returns how many trials other workers are at."""
        return sum(state == TrialState.RUNNING for _, _, state, _ in self._rows())

    def _fastest(self) -> str:
        """Returns the backend whose plain int8 is fastest so far; empty where none is timed."""
        times = [
            (t.measured.latency_ms, t.configuration.backend)
            for t in self.trials()
            if t.measured is not None
            and t.measured.latency_ms is not None
            and t.configuration.precision.is_integer
            and not t.configuration.floats
            and not t.configuration.pruned
        ]
        return min(times)[1] if times else ""

    def _hopeless(self) -> set[str]:
        """Returns the configurations whose workers were lost as often as is allowed."""
        retries = {
            one.number: len(one.system_attrs.get(_RETRIES, ()))
            for one in self._held.get_trials(deepcopy=False)
        }
        return {
            one.digest
            for number, one, state, attrs in self._rows()
            if state == TrialState.FAIL
            and not {"reason", _WITHDRAWN} & set(attrs)
            and retries[number] >= LIVES - 1
        }

    def _rows(self) -> Iterator[tuple[int, Configuration, Any, dict[str, Any]]]:
        """Yields number, configuration, state and notes of the trials that have a configuration."""
        for one in self._held.get_trials(deepcopy=False):
            content = one.user_attrs.get("configuration")
            if content is not None:
                where = f"trial {one.number} of the study"
                configuration = convert(content, Configuration, where=where)
                yield one.number, configuration, one.state, one.user_attrs


def storage(url: str, engine_options: dict[str, Any]) -> RDBStorage:
    """Returns the database at ``url``; workers give signs of life in it, and the dead are replaced."""
    with _quiet():
        return RDBStorage(
            url,
            engine_options,
            heartbeat_interval=BEAT_S,
            grace_period=GRACE_S,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=LIVES - 1),
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Optuna from warning that its heartbeat is experimental, and begun by ``optimize`` only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", "Heartbeat of storage", UserWarning)
        yield


@contextmanager
def _unless_finished() -> Iterator[None]:
    """Lets pass what somebody else ended: this worker was taken for dead, and another one is at it."""
    try:
        yield
    except UpdateFinishedTrialError as error:
        _LOG.debug("a result is dropped: %s", error)
