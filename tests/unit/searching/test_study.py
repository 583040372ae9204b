"""The study: no configuration twice, whoever asks; what was lost is tried again."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from edgeopt.errors import InputError
from edgeopt.searching import study as study_module
from edgeopt.searching.budget import Budget
from edgeopt.searching.configuration import Configuration
from edgeopt.searching.opening import open_study
from edgeopt.searching.space import Space
from edgeopt.searching.trials import Measured

pytestmark = pytest.mark.slow

SPACE = Space(
    engines=(("a", "int8"), ("b", "int8"), ("a", "float32")),
    floats=(0, 3, 6),
    ranges=("auto", "minmax"),
    rounding=("auto", "nearest"),
)
SIZE = 2 * 3 * 2 * 2 + 1
IDENTITY = {"model": "m", "target": "t"}
BUDGET = Budget(1.0, max_drop=0.1, max_latency_ms=2.0)


def measured(one: Configuration) -> Measured:
    """Returns figures that depend on the configuration alone."""
    score = 1.0 - 0.2 / (1 + one.floats) + 0.01 * (one.ranges == "minmax")
    slow = 3.0 if one.precision == "float32" else 1.0 + 0.1 * one.floats
    return Measured(score, 1000 + one.floats, slow * (1.5 if one.backend == "a" else 1.0))


def opened(where, identity=IDENTITY, *, timed=True):
    return open_study(where, identity, timed=timed)


def propose(where, count, *, seed=0):
    """Returns the digests that a run of ``count`` trials tries."""
    found = []
    with opened(where) as study:
        study.propose_from(SPACE, seed, BUDGET)
        for _ in range(count):
            claim = study.claim()
            found.append(claim.configuration.digest)
            study.done(claim, measured(claim.configuration))
    return found


def test_the_space_holds_each_meaning_once():
    every = list(SPACE.all())
    assert len(every) == len({one.digest for one in every}) == SIZE
    for one in every:
        assert SPACE.configuration(SPACE.places(one)) == one


def test_a_float_configuration_has_no_switches_of_int8():
    plain = Configuration("a", "float32")
    assert Configuration("a", "float32", floats=3, ranges="mse").digest == plain.digest
    assert Configuration("a", "int8", floats=3).digest != Configuration("a", "int8").digest


@pytest.mark.slow
def test_the_whole_space_is_proposed_without_a_repetition(tmp_path):
    found = propose(tmp_path / "s.sqlite", SIZE)
    assert len(set(found)) == SIZE


@pytest.mark.slow
def test_a_run_that_goes_on_proposes_what_one_run_would_have(tmp_path):
    whole = propose(tmp_path / "one.sqlite", 18, seed=3)
    parts = [propose(tmp_path / "two.sqlite", 6, seed=3) for _ in range(3)]
    assert list(itertools.chain(*parts)) == whole


@pytest.mark.slow
def test_another_seed_proposes_otherwise(tmp_path):
    first, second = (propose(tmp_path / f"{n}.sqlite", 16, seed=n) for n in (0, 1))
    assert first[:3] == second[:3], "each engine as it is comes first"
    assert first != second


def test_the_fastest_backend_gets_the_harmful_values_first(tmp_path):
    with opened("none") as study:
        study.propose_from(SPACE, 0, BUDGET)
        tried = []
        for _ in range(5):
            claim = study.claim()
            tried.append(claim.configuration)
            study.done(claim, measured(claim.configuration))
    assert [(t.backend, t.floats) for t in tried[3:]] == [("b", 3), ("b", 6)]


def test_two_workers_share_one_study(tmp_path):
    where = tmp_path / "s.sqlite"
    with opened(where) as one, opened(where) as two:
        for study in (one, two):
            study.propose_from(SPACE, 0, BUDGET)
        claims = [study.claim() for _ in range(4) for study in (one, two)]
        digests = [claim.configuration.digest for claim in claims]
        assert len(set(digests)) == 8
        assert one.running() == 8
        for claim, study in zip(claims, itertools.cycle((one, two))):
            study.done(claim, measured(claim.configuration))
        assert one.trials() == tuple(
            msgspec.structs.replace(t, new=not t.new) for t in two.trials()
        )
        assert one.running() == 0


def test_what_another_worker_took_meanwhile_is_withdrawn(tmp_path, monkeypatch):
    where = tmp_path / "s.sqlite"
    with opened(where) as one, opened(where) as two:
        for study in (one, two):
            study.propose_from(SPACE, 0, BUDGET)
        taken = one.claim()
        seen = [set()]  # as two sees it when it proposes: nobody has begun
        real = two.taken
        monkeypatch.setattr(two, "taken", lambda *, but=-1: seen.pop() if seen else real(but=but))
        assert two.claim() is None
        assert two.claim().configuration != taken.configuration
        assert [t.number for t in two.trials()] == []


def test_a_failure_is_kept_with_its_reason_and_not_repeated(tmp_path):
    where = tmp_path / "s.sqlite"
    with opened(where) as study:
        study.propose_from(SPACE, 0, BUDGET)
        claim = study.claim()
        study.failed(claim, "no kernel for that")
    with opened(where) as study:
        study.propose_from(SPACE, 0, BUDGET)
        (trial,) = study.trials()
        assert (trial.state, trial.reason, trial.new) == ("failed", "no kernel for that", False)
        assert study.claim().configuration != claim.configuration


def test_what_was_lost_is_tried_again_but_not_for_ever(tmp_path):
    with opened(tmp_path / "s.sqlite") as study:
        study.propose_from(SPACE, 0, BUDGET)
        first = study.claim()
        study.lost(first, "interrupted")
        assert study.trials() == ()
        second = study.claim()
        assert second.configuration == first.configuration
        study.lost(second, "interrupted")
        assert study.claim().configuration != first.configuration
        (trial,) = study.trials()
        assert trial.reason == "given up: interrupted"


KILLED = """
import sys
sys.path.insert(0, {here!r})
from test_study import BUDGET, SPACE, opened, study_module
{change}
with opened({where!r}) as study:
    study.propose_from(SPACE, 0, BUDGET)
    claim = study.claim()
    with study.beating(claim):
        print(claim.configuration.digest, flush=True)
        sys.stdin.read()
"""


ELSEWHERE = """
from edgeopt.searching import worker
worker._machine = lambda: "another boot"
study_module.BEAT_S, study_module.GRACE_S = 1, 3
"""
OF = {"this machine": ("", 0), "another machine": (ELSEWHERE, 5)}


@pytest.mark.parametrize("of", OF)
def test_the_trial_of_a_killed_process_is_tried_again(tmp_path, monkeypatch, of):
    change, wait_s = OF[of]
    if wait_s:
        monkeypatch.setattr(study_module, "BEAT_S", 1)
        monkeypatch.setattr(study_module, "GRACE_S", 3)
    where = str(tmp_path / "s.sqlite")
    code = KILLED.format(here=str(Path(__file__).parent), where=where, change=change)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        digest = process.stdout.readline().strip()
        with opened(where) as study:
            study.propose_from(SPACE, 0, BUDGET)
            time.sleep(wait_s)  # longer than the grace: it gives signs of life
            study.give_up_the_dead()
            assert study.running() == 1
            assert digest in study.taken()
        process.kill()
    with opened(where) as study:
        study.propose_from(SPACE, 0, BUDGET)
        time.sleep(wait_s)
        study.give_up_the_dead()
        assert study.running() == 0
        assert study.is_waiting()
        claim = study.claim()
        assert claim.configuration.digest == digest
        study.give_up_the_dead()  # the repetition carries the first one's notes; it is not dead
        assert (study.running(), study.is_waiting()) == (1, False)
        study.done(claim, measured(claim.configuration))
        assert [trial.configuration.digest for trial in study.trials()] == [digest]


def test_a_worker_that_was_taken_for_dead_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(study_module, "GRACE_S", 1)
    with opened(tmp_path / "s.sqlite") as study:
        study.propose_from(SPACE, 0, BUDGET)
        slow = study.claim()
        time.sleep(3)
        study.give_up_the_dead()
        again = study.claim()
        assert again.configuration == slow.configuration
        study.done(slow, measured(slow.configuration))
        study.failed(slow, "too late")
        assert study.trials() == ()
        study.done(again, measured(again.configuration))
        (trial,) = study.trials()
        assert trial.number == again.number


WORKER = """
import sys
sys.path.insert(0, {here!r})
from test_study import BUDGET, SIZE, SPACE, measured, opened
with opened({where!r}) as study:
    study.propose_from(SPACE, {seed}, BUDGET)
    while len(study.taken()) < SIZE:
        claim = study.claim()
        if claim is not None:
            print(claim.configuration.digest, flush=True)
            study.done(claim, measured(claim.configuration))
"""


@pytest.mark.slow
def test_processes_that_search_at_once_repeat_nothing_and_miss_nothing(tmp_path):
    where = str(tmp_path / "s.sqlite")
    here = str(Path(__file__).parent)
    codes = [WORKER.format(here=here, where=where, seed=seed) for seed in (0, 0, 1)]
    with opened(where):
        pass
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for code in codes
    ]
    told = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    digests = list(itertools.chain(*told))
    assert len(digests) == len(set(digests)) == SIZE


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ({"model": "other", "target": "t"}, "not the same model"),
        ({"model": "other", "target": "u"}, "not the same model, target"),
        ({"model": "m", "target": "t", "evaluate": "e"}, "not the same evaluate"),
    ],
)
def test_a_study_of_another_search_is_refused(tmp_path, identity, said):
    where = tmp_path / "s.sqlite"
    propose(where, 1)
    with pytest.raises(InputError, match=said) as caught, opened(where, identity):
        pass
    assert str(where) in str(caught.value)


def test_a_study_with_other_objectives_is_refused(tmp_path):
    propose(tmp_path / "s.sqlite", 1)
    with (
        pytest.raises(InputError, match="another search: with latencies"),
        opened(tmp_path / "s.sqlite", timed=False),
    ):
        pass


def test_a_study_of_somebody_else_is_refused(tmp_path):
    import optuna

    url = f"sqlite:///{tmp_path / 's.sqlite'}"
    foreign = optuna.create_study(
        storage=url, study_name="edgeopt", directions=["maximize", "minimize", "minimize"]
    )
    foreign.ask()
    with pytest.raises(InputError, match="not of edgeopt"), opened(url):
        pass


def test_several_studies_live_in_one_database(tmp_path):
    url = f"sqlite:///{tmp_path / 's.sqlite'}"
    propose(f"{url}#first", 2)
    with opened(f"{url}#second", {"model": "other"}) as study:
        assert study.trials() == ()


def test_each_search_has_its_own_study_where_none_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEOPT_CACHE", str(tmp_path / "cache"))
    propose(None, 2)
    with opened(None) as study:
        assert len(study.trials()) == 2
    with opened(None, {"model": "other"}) as study:
        assert study.trials() == ()
    assert (tmp_path / "cache" / "searches.sqlite").exists()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "s.sqlite").write_text("no database at all, whatever its name says")
    with pytest.raises(InputError, match="cannot be opened"), opened(tmp_path / "s.sqlite"):
        pass


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="no folder"), opened(tmp_path / "no" / "s.sqlite"):
        pass


def test_a_database_without_its_driver_is_refused_and_keeps_its_password():
    url = "nosuch://user:secret@host/name"
    with pytest.raises(InputError, match="no such database") as caught, opened(url):
        pass
    assert "secret" not in str(caught.value)


def test_optuna_speaks_as_before_afterwards():
    import optuna

    before = optuna.logging.get_verbosity()
    propose("none", 1)
    assert optuna.logging.get_verbosity() == before
