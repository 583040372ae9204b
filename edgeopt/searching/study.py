"""The study: trials in a database that outlives the run, shared by as many workers as there are.

It is an Optuna study. A trial belongs to whoever wrote its configuration down first; one whose worker
died is given back and tried again.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from edgeopt.boundary import convert
from edgeopt.contracts.storage import Precision
from edgeopt.errors import InputError, PluginError
from edgeopt.searching import workers
from edgeopt.searching.configuration import Configuration
from edgeopt.searching.identity import digest_of
from edgeopt.searching.trials import Measured, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import optuna

    from edgeopt.searching.budget import Budget
    from edgeopt.searching.space import Space

__all__ = ["Claim", "Study", "open_study"]

NAME = "edgeopt"
"""Name of the study in a database of one."""

LIVES = 2
"""How often a configuration is tried whose worker dies or loses the device meanwhile."""

_IDENTITY, _WITHDRAWN, _LOST = "edgeopt", "withdrawn", "lost"
_BUSY_S = 60.0


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
        known = self._held.user_attrs.get(_IDENTITY)
        if known is None:
            if self._held.get_trials(deepcopy=False):
                self._refuse("it holds trials that are not of edgeopt")
            self._held.set_user_attr(_IDENTITY, dict(identity))
            return
        other = [k for k in (*identity, *known) if identity.get(k) != known.get(k)]
        if other:
            said = ", ".join(dict.fromkeys(other))
            self._refuse(f"it is of another search: not the same {said}")

    def _refuse(self, what: str) -> None:
        hint = "name another study, or leave it out: each search then has its own"
        raise InputError(what, where=f"study {self.url}", hint=hint)

    def remember(self, name: str, make: Any) -> Any:
        """Returns what the study holds as ``name``; what ``make`` makes where it holds nothing."""
        known = self._held.user_attrs.get(name)
        if known is None:
            known = make()
            self._held.set_user_attr(name, known)
        return known

    def propose_from(self, space: Space, seed: int, budget: Budget) -> None:
        """Has proposals come from ``space``."""
        from edgeopt.searching.propose import Proposer  # noqa: PLC0415 (optuna)

        def open_ones(number: int) -> tuple[list[Configuration], set[str]]:
            taken = self.taken(but=number)
            wanted = [*self._lost(), *space.first(self._fastest())]
            return [one for one in wanted if one.digest not in taken], taken

        self._space, self._budget = space, budget
        self._held.sampler = Proposer(space, seed, open_ones)

    def claim(self) -> Claim | None:
        """Returns what to try next; None where another worker was quicker, and one may ask again."""
        from edgeopt.searching.propose import distributions  # noqa: PLC0415 (optuna)

        trial = self._held.ask(distributions(self._space))
        try:
            chosen = self._space.configuration(trial.params)
            trial.set_user_attr("worker", workers.myself())
            trial.set_user_attr("configuration", msgspec.to_builtins(chosen))
            if chosen.digest in self.taken(but=trial.number):
                self._fail(trial, _WITHDRAWN, "another worker tries it")
                return None
        except BaseException:  # an interrupt, too: nobody shall wait for this trial
            self._fail(trial, _WITHDRAWN, "it was not begun")
            raise
        self._mine.add(trial.number)
        return Claim(trial.number, chosen, trial)

    def done(self, claim: Claim, measured: Measured) -> None:
        """Notes what was measured."""
        claim.trial.set_user_attr("measured", msgspec.to_builtins(measured))
        for name, beyond in self._budget.excess(measured).items():
            claim.trial.set_constraint(name, beyond)
        times = () if measured.latency_ms is None else (measured.latency_ms,)
        self._held.tell(claim.trial, (measured.score, *times, float(measured.size_bytes)))

    def failed(self, claim: Claim, reason: str) -> None:
        """Notes that a configuration cannot be had, and why."""
        self._fail(claim.trial, "reason", reason)

    def lost(self, claim: Claim, why: str) -> None:
        """Gives a configuration back: it was not its fault, and it will be tried again."""
        self._fail(claim.trial, _LOST, why)

    def _fail(self, trial: Any, key: str, text: str) -> None:
        from optuna.trial import TrialState  # noqa: PLC0415

        trial.set_user_attr(key, text)
        self._held.tell(trial, state=TrialState.FAIL)

    def give_up_the_dead(self) -> int:
        """Returns how many trials' workers have died; their configurations are free again."""
        from optuna.exceptions import UpdateFinishedTrialError  # noqa: PLC0415
        from optuna.trial import TrialState  # noqa: PLC0415

        count = 0
        for one in self._held.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if workers.alive(one.user_attrs.get("worker") or _age(one)):
                continue
            try:
                self._held.tell(one.number, state=TrialState.FAIL)
                count += 1
            except (ValueError, UpdateFinishedTrialError):  # somebody else did
                continue
        return count

    def beating(self, claim: Claim) -> Any:
        """Returns a context in which others see that somebody works on ``claim``."""
        return workers.beating(lambda me: claim.trial.set_user_attr("worker", me))

    def taken(self, *, but: int = -1) -> set[str]:
        """Returns the digests of the configurations that were tried or are being tried.

        Args:
            but: Number of a trial that does not count.
        """
        states = _states()
        busy = {
            one.digest
            for number, one, state, attrs in self._rows()
            if number != but and (state != states.FAIL or "reason" in attrs)
        }
        return busy | self._hopeless()

    def trials(self) -> tuple[Trial, ...]:
        """Returns every configuration that was tried to an end, once, in the order of the trials."""
        states, found, hopeless = _states(), [], self._hopeless()
        for number, one, state, attrs in self._rows():
            new = number in self._mine
            if state == states.COMPLETE:
                measured = convert(
                    attrs.get("measured"), Measured, where=f"trial {number} of the study"
                )
                found.append(Trial(number, one, measured, new=new))
            elif state == states.FAIL and "reason" in attrs:
                found.append(Trial(number, one, None, attrs["reason"], new=new))
            elif state == states.FAIL and one.digest in hopeless and _WITHDRAWN not in attrs:
                why = attrs.get(_LOST, "its process died")
                found.append(Trial(number, one, None, f"given up: {why}", new=new))
                hopeless.discard(one.digest)
        return tuple(found)

    def running(self) -> int:
        """Returns how many trials other workers are at."""
        states = _states()
        return sum(state == states.RUNNING for _, _, state, _ in self._rows())

    def _fastest(self) -> str:
        """Returns the backend whose plain int8 is fastest so far; empty where none is timed."""
        times = [
            (t.measured.latency_ms, t.configuration.backend)
            for t in self.trials()
            if t.measured is not None
            and t.measured.latency_ms is not None
            and Precision(t.configuration.precision).is_integer
            and not t.configuration.floats
            and not t.configuration.pruned
        ]
        return min(times)[1] if times else ""

    def _lost(self) -> list[Configuration]:
        states = _states()
        found = [
            one
            for _, one, state, attrs in self._rows()
            if state == states.FAIL and "reason" not in attrs and _WITHDRAWN not in attrs
        ]
        return list(dict.fromkeys(found))

    def _hopeless(self) -> set[str]:
        states = _states()
        lives: dict[str, int] = {}
        for _, one, state, attrs in self._rows():
            if state == states.FAIL and "reason" not in attrs and _WITHDRAWN not in attrs:
                lives[one.digest] = lives.get(one.digest, 0) + 1
        return {digest for digest, count in lives.items() if count >= LIVES}

    def _rows(self) -> Iterator[tuple[int, Configuration, Any, dict[str, Any]]]:
        """Yields number, configuration, state and notes of the trials that have a configuration."""
        for one in self._held.get_trials(deepcopy=False):
            told = one.user_attrs.get("configuration")
            if told is not None:
                where = f"trial {one.number} of the study"
                configuration = convert(told, Configuration, where=where)
                yield one.number, configuration, one.state, one.user_attrs


@contextmanager
def open_study(
    where: str | Path | None, identity: Mapping[str, str], *, timed: bool
) -> Iterator[Study]:
    """Yields the study at ``where``.

    Args:
        where: A path, a URL of SQLAlchemy (``#name`` behind it names the study), ``none`` for one
            that ends with the run, or None for one in the user's cache folder.
        identity: What the study is of.
        timed: Whether latency is an objective.

    Raises:
        PluginError: Optuna is not installed.
        InputError: The database cannot be opened, or the study is of another search.
    """
    try:
        import optuna  # noqa: PLC0415
    except ImportError as error:
        hint = 'pip install "edgeopt[compress]"'
        raise PluginError("Optuna is not installed", where="search", hint=hint) from error
    url, name = _place(where, identity)
    said = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # put back below: it prints by itself
    try:
        study = Study(_opened(url, name, timed=timed), _shown(url))
        study.identify(identity)
        yield study
    finally:
        optuna.logging.set_verbosity(said)


def _opened(url: str, name: str, *, timed: bool) -> optuna.Study:
    import optuna  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError  # noqa: PLC0415

    goals: list[Literal["minimize", "maximize"]] = ["maximize", "minimize"]
    goals += ["minimize"] if timed else []
    try:
        storage = _storage(url)
        held = optuna.create_study(
            storage=storage, study_name=name, directions=goals, load_if_exists=True
        )
    except (ImportError, ArgumentError) as error:
        hint = "a path, or a URL such as postgresql://user@host/name, its driver installed"
        raise InputError(
            f"no such database: {error}", where=f"study {_shown(url)}", hint=hint
        ) from error
    except (SQLAlchemyError, RuntimeError, OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"it cannot be opened: {first}", where=f"study {_shown(url)}") from error
    if len(held.directions) != len(goals):
        what = "it is of another search: " + ("without" if timed else "with") + " latencies"
        raise InputError(what, where=f"study {_shown(url)}", hint="name another study")
    return held


def _storage(url: str) -> Any:
    import optuna  # noqa: PLC0415

    if url == "none":
        return optuna.storages.InMemoryStorage()
    wait = {"connect_args": {"timeout": _BUSY_S}} if url.startswith("sqlite") else {}
    return optuna.storages.RDBStorage(url, engine_kwargs=wait)


def _place(where: str | Path | None, identity: Mapping[str, str]) -> tuple[str, str]:
    """Returns the URL of the database and the name of the study in it."""
    if where is None:
        from edgeopt.files import cache_folder  # noqa: PLC0415 (only here)

        path = cache_folder() / "searches.sqlite"
        path.parent.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{path}", digest_of(dict(identity))[:16]
    text = str(where)
    if text == "none":
        return text, NAME
    if "://" in text:
        url, _, name = text.partition("#")
        return url, name or NAME
    path = Path(text).expanduser().absolute()
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent}", where="study")
    return f"sqlite:///{path}", NAME


def _shown(url: str) -> str:
    """Returns ``url`` without a password."""
    from sqlalchemy.engine import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        return url if url == "none" else make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url


def _states() -> Any:
    from optuna.trial import TrialState  # noqa: PLC0415

    return TrialState


def _age(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """Returns what stands for the worker of a trial that nobody has signed yet: its start."""
    started = trial.datetime_start
    return {"beat": 0.0 if started is None else started.timestamp()}
