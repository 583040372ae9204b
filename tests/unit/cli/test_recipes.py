"""`edgeopt recipes`, `edgeopt compress` and `edgeopt deploy --recipe`."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.slow

pytest.importorskip("accelerate")
pytest.importorskip("torch_pruning")

MODELS = """
import torch
from torch import nn

x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] > 0).long()
loss = nn.functional.cross_entropy


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2)).eval()


def make():
    return network(), x[:1]


def with_everything():
    return {"model": network(), "example_inputs": x[:1], "train_data": batches(), "loss": loss}


def batches():
    return [(x[:32], y[:32]), (x[32:], y[32:])]


def right(fn):
    return float((fn(x).argmax(dim=1) == y).float().mean())
"""
RECIPE = """
format = 1

[[steps]]
step = "prune"
ratio = 0.5
multiple = 1

[[steps]]
step = "distill"
epochs = 2

[[steps]]
step = "train_quantized"
epochs = 1
"""
TRAIN = ("--train-data", "learners:batches", "--loss", "learners:loss")


@pytest.fixture
def here(folder):
    (folder / "learners.py").write_text(MODELS)
    (folder / "small.toml").write_text(RECIPE)
    return folder


def test_the_built_in_ones_are_listed_and_printed(edgeopt, here):
    done = edgeopt("recipes")
    assert done.returncode == 0
    assert "prune -> distill -> train_quantized" in done.stdout
    listed = json.loads(edgeopt("recipes", "--json").stdout)
    assert {r["name"] for r in listed} >= {"cnn", "vision-transformer", "text-encoder", "ptq"}
    (here / "mine.toml").write_text(edgeopt("recipes", "cnn").stdout)
    again = json.loads(edgeopt("recipes", "mine.toml", "--json").stdout)
    assert again == next(r for r in listed if r["name"] == "cnn")
    assert "ratio = 0.5" in edgeopt("recipes", "small.toml").stdout


def test_a_program_is_written_inspected_and_deployed(edgeopt, process, here):
    words = ("compress", "learners:make", "--recipe", "small.toml", *TRAIN)
    done = edgeopt(*words, "--evaluate", "learners:right", "--work", "work", "-o", "p.zip")
    assert done.returncode == 0, done.stderr
    assert "times smaller" in done.stdout
    assert "distill" in done.stdout
    shown = process("inspect", "p.zip")
    assert not shown.stderr
    shown = shown.stdout
    assert "prune: importance=activation, multiple=1, ratio=0.5" in shown
    assert "train_quantized: epochs=1" in shown
    again = edgeopt(*words, "--evaluate", "learners:right", "--work", "work", "-o", "p.zip")
    assert again.returncode == 2
    assert "something lies there already" in again.stderr
    again = edgeopt(*words, "--work", "work", "-o", "q.zip")
    assert "done before" in again.stdout
    assert (here / "p.zip").read_bytes() == (here / "q.zip").read_bytes()
    assert edgeopt("deploy", "p.zip", "-t", "host", "-b", "reference", "-o", "b").returncode == 0
    assert "prune: importance=activation" in edgeopt("inspect", "b").stdout


def test_deploy_takes_a_recipe(edgeopt, here):
    words = ("deploy", "learners:with_everything", "-t", "host", "-b", "reference")
    plan = edgeopt(*words, "--recipe", "small.toml", "--dry-run")
    assert "step=prune, ratio=0.5" in plan.stdout
    done = edgeopt(
        *words, "--recipe", "small.toml", "--override", "*.epochs=1", "-o", "b", "--json"
    )
    assert done.returncode == 0, done.stderr
    recipe = json.loads(done.stdout)["recipe"]
    assert [s["name"] for s in recipe["steps"]] == ["prune", "distill", "train_quantized"]
    assert recipe["recipe"]["steps"][1]["epochs"] == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--recipe", "smal.toml"), "smal.toml: cannot be read"),
        (("--recipe", "cn"), 'did you mean "cnn"?'),
        (("--recipe", "small.toml", "--override", "distil.epochs=1"), 'did you mean "distill"?'),
        (("--recipe", "small.toml", "--override", "epochs"), "--override: 'epochs': expected NAME"),
        (("--recipe", "small.toml"), "steps[1] (distill) needs training data"),
        (("--recipe", "small.toml", "--loss", "learners:los"), 'did you mean "loss"?'),
        (("--recipe", "small.toml", "--train-data", "learners:batch"), 'mean "batches"?'),
        (TRAIN, "--train-data: is for the steps of a recipe"),
    ],
)
def test_what_is_wrong_is_status_2(edgeopt, here, words, says):
    done = edgeopt("deploy", "learners:make", "-t", "host", "-b", "reference", "-o", "b", *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert not (here / "b").exists()
