"""edgeopt.search, from a module to a deployed best, with backends that run here."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.deployment.fallbacks import keep_counts
from edgeopt.errors import (
    BudgetError,
    CompileError,
    DeviceError,
    InputError,
    PluginError,
    TargetError,
)
from edgeopt.registry import find_backend
from edgeopt.searching.bench import Bench
from edgeopt.testing.specimens import specimen

pytestmark = pytest.mark.slow

RESIDUAL = specimen("residual")
DATA = RESIDUAL.samples


def near(fn):
    """Returns 1 minus the largest error of an output."""
    with torch.no_grad():
        return 1.0 - max(float((fn(*s) - RESIDUAL.model(*s)).abs().max()) for s in DATA)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEOPT_CACHE", str(tmp_path / "cache"))


def search(model=None, target="rpi4", **options):
    """Returns a search for a target that is not here: nothing is timed, so it is quick."""
    wanted = {
        "example_inputs": DATA[0],
        "calibration_data": DATA,
        "evaluate": near,
        "max_drop": 1.0,
        "backends": ["tflite"],
        "trials": 3,
        **options,
    }
    return edgeopt.search(RESIDUAL.model if model is None else model, target, **wanted)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    place = tmp_path_factory.mktemp("study")
    events = []
    done = search(trials=8, study=place / "s.sqlite", watch=events.append)
    return done, events, place / "s.sqlite"


def test_each_engine_comes_first_then_harmful_values_in_float(found):
    done, _, _ = found
    tried = [t.configuration for t in done.trials]
    assert {t.precision for t in tried[:4]} == {"int8", "int8-dynamic", "float16", "float32"}
    counts = keep_counts(len(done.sensitivity))
    assert counts
    assert tuple(t.floats for t in tried[4 : 4 + len(counts)]) == counts
    assert len({t.digest for t in tried}) == 8


def test_more_values_in_float_come_nearer_to_float(found):
    done, _, _ = found
    scores = {
        t.configuration.floats: t.measured.score
        for t in done.trials[: 4 + len(keep_counts(len(done.sensitivity)))]
        if t.configuration.precision == "int8"
    }
    assert sorted(scores) == [0, *keep_counts(len(done.sensitivity))]
    assert list(scores.values()) == sorted(scores.values())


def test_the_sensitivity_is_ordered_by_what_it_gains(found):
    gains = [sensitivity.gain_db for sensitivity in found[0].sensitivity]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 1


def test_without_the_target_there_is_no_latency_and_it_is_said(found):
    done, _, _ = found
    assert all(t.measured.latency_ms is None for t in done.trials)
    assert done.budget.prefer == "size"
    assert any("latency is no objective" in text for text in done.warnings)


def test_the_best_is_the_smallest_within_the_budget(found):
    done, _, _ = found
    assert done.best.measured.size_bytes == min(t.measured.size_bytes for t in done.trials)


def test_progress_is_that_of_the_preparation_and_of_the_search_not_of_each_trial():
    reports = []
    search(trials=2, precisions=["int8"], progress=lambda *report: reports.append(report))
    stages = [stage for stage, *_ in reports]
    first = stages.index("search")
    assert set(stages[:first]) == {
        *("evaluate float", "calibrate", "quantize", "find what does harm"),
    }
    assert reports[first:] == [("search", done, 2) for done in range(3)]


def test_an_event_is_told_after_each_trial(found):
    _, events, _ = found
    assert [event.done for event in events] == list(range(1, 9))
    assert events[-1].left_s == 0
    assert events[0].trials == 8
    assert events[-1].best is not None


def test_it_says_everything_as_plain_values_and_as_text(found):
    done, _, place = found
    plain = json.loads(json.dumps(done.to_dict()))
    assert plain["best"] == done.best.number
    assert len(plain["trials"]) == 8
    assert plain["sensitivity"][0]["keep"]
    text = str(done)
    for part in ("budget", "max_drop 1", "best", "front", "most harmful", str(place)):
        assert part in text


def test_a_second_run_repeats_no_trial(found, monkeypatch):
    done, _, place = found
    measured = []
    real = Bench.measure
    monkeypatch.setattr(
        Bench, "measure", lambda self, one, known: measured.append(one) or real(self, one, known)
    )
    again = search(trials=8, study=place)
    assert measured == []
    assert (again.new, len(again.trials)) == (0, 8)
    assert again.best.number == done.best.number
    more = search(trials=10, study=place)
    assert len(measured) == 2
    assert more.new == 2
    assert not {one.digest for one in measured} & {t.configuration.digest for t in done.trials}


def test_another_budget_is_answered_from_the_same_study(found):
    done, _, place = found
    strict = search(trials=8, study=place, max_drop=1e-5)
    assert strict.new == 0
    assert strict.best.measured.score > done.best.measured.score


def test_the_best_is_deployed_through_the_gate(found, tmp_path):
    done, _, _ = found
    made = done.deploy(
        output=tmp_path / "bundle", checks={"speed": False}, bundle={"name": "smallest"}
    )
    assert made.bundle.path == tmp_path / "bundle"
    assert made.precision == done.best.configuration.precision
    assert made.size_bytes == done.best.measured.size_bytes
    assert made.accuracy.value == pytest.approx(done.best.measured.score)
    assert made.parity.ok


def test_any_trial_can_be_deployed(found):
    done, _, _ = found
    kept = next(t for t in done.trials if t.configuration.floats == 2)
    made = done.deploy(kept.number, checks=edgeopt.Checks(speed=False), shapes={"batches": (2,)})
    assert made.precision == "int8"
    assert made.plan.quantization["keep_float"]
    assert [one.shapes[0][0] for one in made.programs] == [2]


def test_what_a_models_name_says_goes_into_the_bundle(tmp_path):
    named = edgeopt.NamedModel(
        "specimen", RESIDUAL.model, DATA[0], postprocess=edgeopt.Classification(top=2)
    )
    done = search(named, example_inputs=None, trials=1)
    made = done.deploy(0, checks={"speed": False}, bundle={"name": "mine"})
    assert made.bundle.manifest.postprocess.top == 2
    assert made.bundle.manifest.name == "mine"


def test_an_unknown_option_of_deploy_is_named(found):
    with pytest.raises(InputError, match='no keyword "colour"'):
        found[0].deploy(colour="red")


def test_a_budget_that_cannot_be_met_says_the_nearest(found):
    _, _, place = found
    with pytest.raises(BudgetError, match="trials keeps to the budget") as caught:
        search(trials=8, study=place, max_size_mb=0.001)
    error = caught.value
    assert "max_size_mb=0.00" in error.hint
    assert error.result.best is None
    assert error.result.nearest is not None
    assert error.result.new == 0
    assert error.result.deploy(
        error.result.nearest, checks=edgeopt.Checks(speed=False), max_drop=None
    ).bundle


def test_a_study_of_another_model_is_refused(found):
    _, _, place = found
    other = specimen("squeeze")
    with pytest.raises(InputError, match="not the same model") as caught:
        search(
            other.model,
            example_inputs=other.example,
            calibration_data=other.samples,
            evaluate=near,
            study=place,
        )
    assert "another study" in str(caught.value)


def test_a_study_of_another_target_evaluation_or_data_is_refused(found):
    _, _, place = found
    with pytest.raises(InputError, match="not the same target"):
        search(target="rpi5", study=place)
    with pytest.raises(InputError, match="not the same evaluate"):
        search(evaluate=lambda fn: near(fn), study=place)  # noqa: PLW0108 (another function)
    with pytest.raises(InputError, match="not the same data"):
        search(calibration_data=DATA[:5], study=place)
    with pytest.raises(InputError, match="not the same options"):
        search(precisions=["int8"], study=place)


def test_another_score_of_the_float_model_is_refused(tmp_path):
    score = [1.0]
    evaluate = lambda fn: near(fn) * 0 + score[0]  # noqa: E731
    search(evaluate=evaluate, trials=1, study=tmp_path / "s.sqlite")
    score[0] = 0.5
    with pytest.raises(InputError, match=r"scored 1 there, and scores 0\.5 now"):
        search(evaluate=evaluate, trials=1, study=tmp_path / "s.sqlite")


def test_what_fails_is_recorded_with_its_reason(tmp_path, monkeypatch):

    backend = type(find_backend("tflite"))
    real = backend.compile

    def compile_some(self, lowered, *rest):
        if lowered.program.precision == "int8":
            raise CompileError("the toolchain fell over")
        return real(self, lowered, *rest)

    monkeypatch.setattr(backend, "compile", compile_some)
    done = search(trials=3, precisions=["int8", "float16"], study=tmp_path / "s.sqlite")
    assert "the toolchain fell over" in {t.reason for t in done.failed}
    assert done.best.configuration.precision == "float16"
    assert "the toolchain fell over" in str(done)
    monkeypatch.undo()
    again = search(trials=3, precisions=["int8", "float16"], study=tmp_path / "s.sqlite")
    assert again.new == 0, "a failure is not repeated either"


def test_where_every_trial_fails_it_says_why(monkeypatch):

    def never(self, *rest):
        raise CompileError("the toolchain fell over")

    monkeypatch.setattr(type(find_backend("tflite")), "compile", never)
    with pytest.raises(BudgetError, match="no trial of 2 could be measured: the toolchain"):
        search(trials=2)


def test_a_user_function_that_raises_ends_the_search_and_loses_nothing(tmp_path):
    calls = []

    def breaks(fn):
        calls.append(fn)
        if len(calls) == 2:
            raise ZeroDivisionError
        return near(fn)

    with pytest.raises(ZeroDivisionError):
        search(evaluate=breaks, trials=2, study=tmp_path / "s.sqlite")
    done = search(evaluate=breaks, trials=2, study=tmp_path / "s.sqlite")
    assert [t.configuration.precision for t in done.trials] == ["int8", "int8-dynamic"]
    assert done.new == 2


def test_an_interrupted_search_goes_on(tmp_path):
    calls = []

    def interrupts(fn):
        calls.append(fn)
        if len(calls) == 4:  # float, a trial, whether it is a loss, a trial
            raise KeyboardInterrupt
        return near(fn)

    done = search(evaluate=interrupts, trials=4, study=tmp_path / "s.sqlite")
    assert done.stopped == "interrupted"
    finished = len(done.trials)
    assert finished in (1, 2)  # 2 on a machine where nobody asks whether it is a loss
    again = search(evaluate=interrupts, trials=4, study=tmp_path / "s.sqlite")
    assert (again.stopped, again.new, len(again.trials)) == ("trials", 4 - finished, 4)


def test_a_small_space_is_exhausted():
    done = search(precisions=["float16", "float32"], trials=40)
    assert done.stopped == "exhausted"
    assert len(done.trials) == 2


def test_minutes_end_it():
    with pytest.raises(BudgetError, match="there was no time for any"):
        search(minutes=1e-9, trials=0)


def test_without_evaluate_agreement_is_the_score():
    done = search(evaluate=None, max_drop=0.5, trials=2)
    assert done.budget.float_score == 1.0
    assert 0 <= done.trials[0].measured.score <= 1


def test_without_data_there_is_no_int8():
    done = search(calibration_data=None, trials=9)
    assert {t.configuration.precision for t in done.trials} == {
        "int8-dynamic",
        "float16",
        "float32",
    }
    assert done.sensitivity == ()
    assert any("without int8" in text for text in done.warnings)


def test_settings_that_the_user_chose_are_not_searched():
    done = search(
        quantization={"ranges": "minmax", "weight_bits": 7}, precisions=["int8"], trials=3
    )
    assert {t.configuration.ranges for t in done.trials} == {"minmax"}
    assert done.deploy(0, checks=edgeopt.Checks(speed=False)).plan.quantization["weight_bits"] == 7


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU()
        )
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def test_pruned_models_are_trained_once_and_kept(tmp_path):
    model, steps = Plain().eval(), []

    def finetune(module, step):
        steps.append(step)
        with torch.no_grad():
            module.head.bias.add_(1e-3)

    def ask(trials):
        return search(
            model,
            evaluate=None,
            max_drop=1.0,
            pruning=[0.5],
            finetune=finetune,
            precisions=["float32", "float16"],
            trials=trials,
            study=tmp_path / "s.sqlite",
        )

    done = ask(4)
    sizes = {
        (t.configuration.precision, t.configuration.pruned): t.measured.size_bytes
        for t in done.trials
    }
    assert len(sizes) == 4
    assert sizes["float32", 0.5] < sizes["float32", 0.0]
    assert steps == [1], "two precisions of one pruned model"
    again, loaded = ask(4), []
    prune = again._bench.prune
    again._bench.prune = lambda share: loaded.append(share) or prune(share)
    pruned = next(t for t in done.trials if t.configuration.pruned)
    made = again.deploy(pruned, checks=edgeopt.Checks(speed=False))
    assert loaded == [0.5], "its program is enough, but for further shapes"
    assert made.program.size_bytes < edgeopt.capture(model, DATA[0]).size_bytes
    assert steps == [1], "it lies beside the study"


def test_a_deployment_keeps_to_the_memory_of_the_budget():
    done = search(Plain().eval(), evaluate=None, max_drop=1.0, precisions=["float32"], trials=1)
    asked = []
    bench = SimpleNamespace(
        device=None, request=done._bench.request, deploy=lambda one, request: asked.append(request)
    )
    budget = msgspec.structs.replace(done.budget, max_flash_kb=64.0, max_ram_kb=16.0)
    done = replace(done, budget=budget, _bench=bench)
    (trial,) = done.trials
    done.deploy(trial)
    done.deploy(trial, max_ram_kb=8)
    assert [(one.max_flash_kb, one.max_ram_kb) for one in asked] == [(64, 16), (64, 8)]


def test_only_a_module_can_be_pruned():
    program = edgeopt.capture(RESIDUAL.model, DATA[0])
    with pytest.raises(InputError, match=r"only an nn\.Module can be pruned"):
        search(program, pruning=[0.5])


def test_latency_is_measured_on_this_machine_where_it_is_the_target():
    done = search(target="host", precisions=["float32"], trials=1)
    held = done.best.measured
    assert held.latency_ms > 0
    assert held.low_ms <= held.latency_ms <= held.high_ms
    assert done.budget.prefer == "latency"
    assert done.device


def test_the_same_program_is_measured_once():
    done = search(
        quantization={"smoothing": "off", "equalization": "off", "rounding": "nearest"},
        precisions=["int8"],
        trials=8,
    )
    digests = [t.measured.program for t in done.trials]
    repeated = [t for t in done.trials if t.measured.same_as is not None]
    assert len(set(digests)) + len(repeated) == len(digests)
    for trial in repeated:
        first = next(t for t in done.trials if t.number == trial.measured.same_as)
        assert first.measured.score == trial.measured.score


@pytest.mark.parametrize(
    ("options", "where", "said"),
    [
        ({"trials": -1}, "trials", "0 or more"),
        ({"trials": 1.5}, "trials", "0 or more"),
        ({"trials": 0}, "trials", "above 0"),
        ({"minutes": -2.0}, "minutes", "0 or more"),
        ({"max_drop": -0.1}, "max_drop", "0 or more"),
        ({"max_latency_ms": 0.0}, "max_latency_ms", "above 0"),
        ({"max_latency_ms": 5.0}, "max_latency_ms", "no latency can be measured"),
        ({"prefer": "latency"}, "prefer", "no latency can be measured"),
        ({"prefer": "speed"}, "prefer", "speed"),
        ({"max_size_mb": float("nan")}, "max_size_mb", "above 0"),
        ({"evaluate": 3}, "evaluate", "expected a function"),
        ({"finetune": "train"}, "finetune", "expected a function"),
        ({"backends": 3}, "backends", "a list of 1 or more strings"),
        ({"backends": []}, "backends", "a list of 1 or more strings"),
        ({"precisions": ["int9"]}, "precisions[0]", "int8"),
        ({"quantization": {"precision": "int8"}}, "quantization", "part of the search"),
        ({"quantization": {"colour": 1}}, "quantization.colour", "expected one of the fields"),
        ({"pruning": [1.5]}, "pruning", "expected shares from 0 to below 1"),
        ({"pruning": "half"}, "pruning", "expected shares, true"),
        ({"evaluate": None, "calibration_data": None}, "search", "nothing to tell good from bad"),
        ({"calibration_data": None, "precisions": ["int8"]}, "calibration_data", "real inputs"),
    ],
)
def test_a_wrong_option_is_named(options, where, said):
    with pytest.raises(InputError, match=said) as caught:
        search(**options)
    assert caught.value.where == where


def test_other_wrong_inputs():
    with pytest.raises(TargetError, match="rpi44"):
        search(target="rpi44")
    with pytest.raises(PluginError, match="tflit"):
        search(backends=["tflit"])
    with pytest.raises(InputError, match="returned nan"):
        search(evaluate=lambda fn: near(fn) * float("nan"))
    with pytest.raises(DeviceError):
        search(device="ssh://nobody@127.0.0.1:1")
    with pytest.raises(InputError, match="int8 already"):
        search(edgeopt.quantize(RESIDUAL.model, DATA, example_inputs=DATA[0]))


def test_a_model_without_classes_needs_evaluate():
    class Regression(nn.Module):
        def forward(self, x):
            return x.mean((1, 2, 3)) * 2

    with pytest.raises(InputError, match="not one score a class"):
        search(Regression().eval(), evaluate=None)


def test_an_emulated_device_has_no_latency(monkeypatch):
    from edgeopt.testing import ScriptedDevice

    with pytest.raises(InputError, match="no latency can be measured"):
        search(device=ScriptedDevice(emulated=True), max_latency_ms=5.0)


def test_optuna_missing_says_what_to_type(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(PluginError, match="search"):
        search()


def test_the_study_is_plain_sqlite(found):
    with sqlite3.connect(found[2]) as database:
        (count,) = database.execute("select count(*) from trials").fetchone()
    assert count >= 8


KILLED = """
import os, sys
sys.path.insert(0, {here!r})
import test_search
def tell(event):
    print(event.last.configuration.digest, flush=True)
def dies(fn):
    if os.path.exists({mark!r}):
        os.kill(os.getpid(), 9)
    return test_search.near(fn)
dies.__module__, dies.__qualname__ = "m", "score"
def mark(event):
    tell(event)
    if event.done == 2:
        open({mark!r}, "w").close()
test_search.search(evaluate=dies, trials=5, study={where!r}, watch=mark)
"""


@pytest.mark.slow
def test_a_killed_search_goes_on_where_it_was(tmp_path):
    where, mark = str(tmp_path / "s.sqlite"), str(tmp_path / "mark")
    code = KILLED.format(here=str(Path(__file__).parent), where=where, mark=mark)
    killed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )
    assert killed.returncode == -9
    before = killed.stdout.split()
    assert len(before) == 2

    def score(fn):
        return near(fn)

    score.__module__, score.__qualname__ = "m", "score"
    done = search(evaluate=score, trials=5, study=where)
    assert [t.configuration.digest for t in done.trials if not t.new] == before
    assert (done.new, len(done.trials)) == (3, 5)
    assert len({t.configuration.digest for t in done.trials}) == 5
    plain = search(evaluate=score, trials=5, study="none")
    assert [t.configuration for t in done.trials] == [t.configuration for t in plain.trials]
