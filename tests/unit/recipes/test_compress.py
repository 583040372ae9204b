"""Recipes carried out: what each step makes, what is kept, what a killed run repeats."""

from __future__ import annotations

import copy
import json
import runpy
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.errors import CaptureError, InputError, TrainingError
from edgeopt.ir import ReferenceRunner, load_program
from edgeopt.recipes import Finetune, Prune, Quantize, Recipe, Sparsify, TrainQuantized
from edgeopt.recipes.recipe import parse_recipe
from edgeopt.recipes.work import Work

pytestmark = pytest.mark.slow

loss = nn.functional.cross_entropy
BATCH = (torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64))


def names(program):
    return [step.name for step in program.history]


def plain_history(program):
    return [json.loads(json.dumps([s.name, s.settings, s.effect])) for s in program.history]


@pytest.fixture(scope="module")
def made(network, given, evaluate, chain, tmp_path_factory):
    """The chain, carried out once, and its work folder."""
    work = tmp_path_factory.mktemp("chain") / "work"
    return edgeopt.compress(network, chain, **given, evaluate=evaluate, work=work), work


def test_every_step_is_recorded(made, network):
    compressed, _ = made
    records = compressed.steps
    assert [r.name for r in records] == ["prune", "distill", "train_quantized"]
    assert records[0].before.macs > 1.6 * records[0].after.macs
    assert records[0].after.parameters < records[0].before.parameters
    assert records[-1].after.size_bytes < records[-1].before.size_bytes / 3
    assert all(r.after.score is not None and r.seconds > 0 for r in records)
    assert [r.after for r in records[:-1]] == [r.before for r in records[1:]]
    assert compressed.program.precision == "int8"
    wanted = ["prune", "distill", "capture", "quantize", "train_quantized"]
    assert [n for n in names(compressed.program) if n in wanted] == wanted
    prune = compressed.program.history[0]
    assert prune.settings["finetune"]["epochs"] == 1
    assert prune.settings["macs"] == 0.5
    assert compressed.original.precision == "float32"
    assert compressed.original.size_bytes > 6 * compressed.program.size_bytes
    assert not compressed.module.training
    assert compressed.module[3].out_channels < network[3].out_channels == 16


def test_the_table_has_a_row_a_step(made):
    compressed, _ = made
    lines = str(compressed).splitlines()
    assert [line.split()[0] for line in lines[:5]] == [
        "step",
        "as",
        "prune",
        "distill",
        "train_quantized",
    ]
    assert "times smaller" in lines[5]
    plain = compressed.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["recipe"]["steps"][0]["macs"] == 0.5


def test_the_program_is_saved_with_its_history(made, tmp_path):
    compressed, _ = made
    loaded = load_program(compressed.save(tmp_path / "small.zip"))
    assert loaded.digest == compressed.program.digest
    assert plain_history(loaded) == plain_history(compressed.program)


def test_a_second_run_repeats_no_finished_step(made, network, given, chain, pictures):
    compressed, work = made
    refuse = pytest.fail

    def untouched(_fn):
        refuse("it was asked for a score again")

    again = edgeopt.compress(network, chain, **given, evaluate=untouched, work=work)
    assert all(record.resumed for record in again.steps)
    assert again.program.digest == compressed.program.digest
    assert plain_history(again.program) == plain_history(compressed.program)
    assert [r.after for r in again.steps] == [r.after for r in compressed.steps]
    assert "done before" in str(again)
    x, _ = pictures(4, 5)
    assert torch.equal(again.module(x), compressed.module(x))


class Killed(BaseException):
    """As a kill: nothing of edgeopt may catch it."""


@pytest.mark.parametrize(
    "at",
    [("distill", 0.4), ("distill", 1.6), ("train_quantized", 0.9)],
)
def test_a_killed_run_goes_on_to_the_same_program(
    made, network, given, evaluate, chain, tmp_path, at
):
    """Wherever it dies: while pruning (its fine-tuning distils), distilling, or in between."""
    compressed, _ = made

    def kill(stage, done, _total):
        if stage == at[0] and done >= at[1]:
            raise Killed

    work = tmp_path / "work"
    with pytest.raises(Killed):
        edgeopt.compress(network, chain, **given, evaluate=evaluate, work=work, progress=kill)
    again = edgeopt.compress(network, chain, **given, evaluate=evaluate, work=work)
    assert again.program.digest == compressed.program.digest
    finished = {"distill": 0, "train_quantized": 2}[at[0]]
    assert sum(record.resumed for record in again.steps) >= finished
    assert not list((work / "steps").glob("*.part"))


DYING = """
import os, signal, sys
import torch
from torch import nn
import edgeopt
from edgeopt.recipes import Distill, Prune, Recipe

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2)).eval()
data = [torch.randn(16, 8) for _ in range(4)]
recipe = Recipe(steps=(Prune(ratio=0.5, importance="l1"), Distill(epochs=3)))


def progress(stage, done, total):
    if stage == "distill" and done > 1.3 and sys.argv[1] == "dies":
        os.kill(os.getpid(), signal.SIGKILL)


made = edgeopt.compress(
    model, recipe, example_inputs=data[0][:1], data=data, work="work", progress=progress
)
print([record.resumed for record in made.steps], made.program.digest)
"""


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_what_the_next_goes_on_from(tmp_path, monkeypatch):
    (tmp_path / "dying.py").write_text(DYING)

    def run(how):
        command = [sys.executable, "dying.py", how]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert run("dies").returncode == -signal.SIGKILL
    steps = tmp_path / "work" / "steps"
    assert sorted(p.name for p in steps.iterdir()) == ["00-prune", "01-distill.part"]
    assert list(steps.glob("01-distill.part/checkpoint-training/latest.json"))
    again = run("lives").stdout.split()
    assert again[:2] == ["[True,", "False]"]
    shutil.rmtree(tmp_path / "work")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["dying.py", "lives"])
    whole = runpy.run_path("dying.py")["made"]
    assert not any(record.resumed for record in whole.steps)
    assert again[2] == whole.program.digest


def test_pruning_goes_on_after_the_step_that_was_done(network, given, tmp_path):
    recipe = Recipe(steps=(Prune(macs=0.5, steps=3, importance="l1"),))
    work = tmp_path / "work"
    whole = edgeopt.compress(network, recipe, **given, work=tmp_path / "whole")
    rounds = []

    def keep_two(self, module, step, kept=edgeopt.recipes.work._Rounds.keep):
        rounds.append(step)
        kept(self, module, step)
        if step == 2:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgeopt.recipes.work._Rounds.keep", keep_two)
        with pytest.raises(Killed):
            edgeopt.compress(network, recipe, **given, work=work)
    assert (work / "steps" / "00-prune.part" / "after-2").is_dir()
    again = edgeopt.compress(network, recipe, **given, work=work)
    assert rounds == [1, 2]
    assert again.program.digest == whole.program.digest
    assert plain_history(again.program) == plain_history(whole.program)


def test_a_folder_of_another_run_is_refused(made, network, given, chain, make_network, tmp_path):
    _, work = made
    torch.manual_seed(1)
    with pytest.raises(InputError, match="was begun with another model"):
        edgeopt.compress(make_network().eval(), chain, **given, work=work)
    with pytest.raises(InputError, match=r"begun with steps\[1\].epochs = 2, not 3"):
        edgeopt.compress(network, chain, **given, work=work, overrides={"distill.epochs": 3})
    longer = {"prune.finetune.epochs": 2}
    with pytest.raises(InputError, match=r"steps\[0\].finetune.epochs = 1, not 2"):
        edgeopt.compress(network, chain, **given, work=work, overrides=longer)
    with pytest.raises(InputError, match="begun with another target"):
        edgeopt.compress(network, chain, **given, work=work, target="rpi4")
    with pytest.raises(InputError, match="begun with another teacher"):
        edgeopt.compress(network, chain, **given, work=work, teacher=network)
    shorter = {"steps": chain["steps"][:2]}
    with pytest.raises(InputError, match="begun with 3 steps, not 2"):
        edgeopt.compress(network, shorter, **given, work=work)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="holds something else"):
        edgeopt.compress(network, chain, **given, work=tmp_path)
    with pytest.raises(InputError, match="there is a file"):
        edgeopt.compress(network, chain, **given, work=tmp_path / "letter.txt")


def test_a_folder_that_a_run_left_as_it_began_is_taken_up(network, chain, tmp_path):
    (tmp_path / "lock").touch()
    draft = tmp_path / ".run.json.x7oaak3r.draft"
    draft.mkdir()
    (draft / "new").write_text("{")
    work = Work(tmp_path, parse_recipe(chain), network, target="", teacher=None)
    with work.held(resume=True):
        assert not draft.exists()
        assert (tmp_path / "run.json").is_file()


def test_a_damaged_folder_is_named(made, network, given, chain, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(made[1], work)
    weights = work / "steps" / "01-distill" / "module" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(InputError, match=r"damaged: module/weights\.safetensors") as e:
        edgeopt.compress(network, chain, **given, work=work)
    assert "01-distill" in e.value.where
    (work / "run.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        edgeopt.compress(network, chain, **given, work=work)
    ptq = Recipe(steps=(Quantize(rounding="nearest"),))
    done = edgeopt.compress(network, ptq, **given, work=work, resume=False)
    assert not done.steps[0].resumed


def test_two_runs_do_not_share_a_folder(network, given, tmp_path):
    ptq = Recipe(steps=(Quantize(rounding="nearest"),))

    def second(stage, _done, _total):
        if stage == "recipe":
            with pytest.raises(InputError, match="another run is at work there"):
                edgeopt.compress(network, ptq, **given, work=tmp_path / "work")

    edgeopt.compress(network, ptq, **given, work=tmp_path / "work", progress=second)


def test_the_users_model_and_randomness_are_left_alone(network, given, chain):
    before = copy.deepcopy(network.state_dict())
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    edgeopt.compress(network, {"steps": chain["steps"][:2]}, **given)
    assert torch.equal(torch.rand(3), wanted)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert edgeopt.capture(network, given["example_inputs"]).history[0].name == "capture"


def test_without_labels_students_learn_from_the_model_itself(network, given, chain, pictures):
    inputs = [pictures(64, seed)[0] for seed in (1, 3)]
    made = edgeopt.compress(network, chain, example_inputs=given["example_inputs"], data=inputs)
    assert made.program.precision == "int8"
    x, y = pictures(128, 2)
    runner = ReferenceRunner(made.program)
    out = torch.cat([torch.from_numpy(runner(one[None].numpy())) for one in x])
    assert float((out.argmax(dim=1) == y).float().mean()) > 0.5  # four classes


def test_a_program_can_be_quantized_only(network, given, chain, pictures):
    program = edgeopt.capture(network, given["example_inputs"])
    made = edgeopt.compress(program, "ptq", calibration_data=[pictures(16, 1)[0]])
    assert made.module is None
    assert made.program.precision == "int8"
    assert made.steps[0].before.macs == made.steps[0].after.macs
    with pytest.raises(InputError, match=r"steps\[0\] \(prune\) works on a torch module") as caught:
        edgeopt.compress(program, chain, data=given["data"], loss=loss)
    assert "pass the module" in caught.value.hint


def test_costs_of_module_and_program_are_counted_alike(network, given):
    recipe = Recipe(steps=(Quantize(precision="int8-dynamic"),))
    step = edgeopt.compress(network, recipe, **given).steps[0]
    assert step.before.macs == step.after.macs > 0


def test_sparse_weights_are_recorded(network, given):
    recipe = Recipe(steps=(Sparsify(ratio=0.6),))
    made = edgeopt.compress(network, recipe, **given)
    assert [n for n in names(made.program) if n in {"sparsify", "record_sparsity"}] == [
        "sparsify",
        "record_sparsity",
    ]
    assert all(s.density < 0.5 for s in made.program.sparsity.values())
    assert made.program.precision == "float32"


def test_the_target_gives_bits_and_widths(network, given):
    recipe = Recipe(steps=(Prune(macs=0.6), Quantize(rounding="nearest")))
    made = edgeopt.compress(network, recipe, **given, target="generic-x86-64-v2")
    quantize = next(s for s in made.program.history if s.name == "quantize")
    assert quantize.settings["weight_bits"] == 7
    assert made.module[3].out_channels % 8 == 0


NEEDS = [
    (Prune(macs=0.5), {}, "steps[0] (prune) needs to see real inputs", "calibration_data="),
    (
        Prune(macs=0.5, importance="taylor"),
        {"data": [BATCH]},
        "ranks by gradients",
        "loss=",
    ),
    (Prune(latency_ms=1.0, importance="l1"), {}, "has a latency as its goal", 'target="rpi4"'),
    (
        Prune(macs=0.5, importance="l1", finetune=edgeopt.recipes.Training(epochs=1)),
        {},
        "trains after each of its steps",
        "data=",
    ),
    (Finetune(epochs=1), {}, "steps[0] (finetune) needs training data", "data="),
    (Finetune(epochs=1), {"data": [BATCH]}, "needs a loss", "cross_entropy"),
    (Quantize(), {}, "steps[0] (quantize) needs to see real inputs", "about 100 real inputs"),
    (TrainQuantized(epochs=1), {}, "needs training data", "data="),
]


@pytest.mark.parametrize(("step", "beside", "says", "pass_"), NEEDS)
def test_what_is_missing_is_named_before_any_work(network, given, step, beside, says, pass_):
    with pytest.raises(InputError) as caught:
        edgeopt.compress(
            network, Recipe(steps=(step,)), example_inputs=given["example_inputs"], **beside
        )
    assert says in caught.value.what
    assert pass_ in caught.value.hint


def test_what_cannot_be_used_is_named(network, given, chain):
    rest = {k: v for k, v in given.items() if k != "data"}
    with pytest.raises(InputError, match="data: an iterator can be read only once"):
        edgeopt.compress(network, chain, data=iter(given["data"]), **rest)
    with pytest.raises(InputError, match="data: expected an iterable of inputs, got a str"):
        edgeopt.compress(network, chain, data="batches", **rest)
    with pytest.raises(InputError, match="evaluate: expected a function, got a float"):
        edgeopt.compress(network, chain, **given, evaluate=0.9)
    with pytest.raises(InputError, match="Sequential does not say"):
        edgeopt.compress(network, chain, data=given["data"])
    with pytest.raises(InputError, match=r"torch\.nn\.Module"):
        edgeopt.compress("model.pt", chain, **given)


def test_a_model_that_cannot_be_captured_fails_before_anything_is_trained(given, chain):
    class Choosy(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(64, 4)

        def forward(self, x):
            y = self.head(x.flatten(1))
            return y * 2 if y.sum() > 0 else y

    def untouched(stage, _done, _total):
        pytest.fail(f"{stage} was begun")

    with pytest.raises(CaptureError):
        edgeopt.compress(Choosy().eval(), chain, **given, progress=untouched)


def test_the_step_that_fails_is_named_and_the_others_are_kept(network, given, chain, tmp_path):
    calls = []

    def broken(output, target):
        calls.append(1)
        return loss(output, target) * (float("nan") if len(calls) > 9 else 1.0)

    with pytest.raises(TrainingError, match="not finite") as caught:
        edgeopt.compress(network, chain, **{**given, "loss": broken}, work=tmp_path / "work")
    assert caught.value.where.startswith("steps[1] (distill)")
    assert [p.name for p in sorted((tmp_path / "work" / "steps").iterdir())] == [
        "00-prune",
        "01-distill.part",
    ]
    again = edgeopt.compress(network, chain, **given, work=tmp_path / "work")
    assert [r.resumed for r in again.steps] == [True, False, False]
    where = "steps[0] (prune): kept"
    with pytest.raises(InputError) as caught:
        edgeopt.compress(network, chain, **given, overrides={"prune.keep": ["stem"]})
    assert caught.value.where == "steps[0] (prune): prune", where


def test_pruned_and_distilled_modules_carry_their_history(
    network, given, data, make_network, tmp_path
):
    example = given["example_inputs"]
    small = edgeopt.prune(network, example, ratio=0.3, importance="l1")
    student = edgeopt.distill(small.module, network, data, epochs=1).student
    assert names(edgeopt.capture(student, example))[:3] == ["prune", "distill", "capture"]
    small.save(tmp_path / "small")
    loaded = edgeopt.load_pruned(tmp_path / "small", make_network)
    assert names(edgeopt.capture(loaded, example))[:2] == ["prune", "capture"]
