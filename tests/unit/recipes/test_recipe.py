"""The format: what is read, what is refused, and in which words."""

from __future__ import annotations

import tomllib

import pytest
import torch

from edgeopt.errors import InputError
from edgeopt.recipes import (
    STEPS,
    Distill,
    Prune,
    Quantize,
    Recipe,
    Training,
    TrainQuantized,
    builtin_recipes,
    builtin_text,
    find_recipe,
    parse_recipe,
    read_recipe,
    with_overrides,
)

TEXT = """
format = 1
description = "half of it"

[[steps]]
step = "prune"
ratio = { "layer.0" = 0.5 }
finetune = { epochs = 2 }

[[steps]]
step = "distill"
epochs = 3
attention = { 0 = 1, "a.b" = "c" }

[[steps]]
step = "train_quantized"
epochs = 1
quantization = { weight_bits = 4 }
"""


def test_a_file_and_python_say_the_same(tmp_path):
    (tmp_path / "half.toml").write_text(TEXT)
    made = Recipe(
        name="half",
        description="half of it",
        steps=(
            Prune(ratio={"layer.0": 0.5}, finetune=Training(epochs=2)),
            Distill(epochs=3, attention={"0": 1, "a.b": "c"}),
            TrainQuantized(epochs=1, quantization={"weight_bits": 4}),
        ),
    )
    read = read_recipe(tmp_path / "half.toml")
    assert read == made
    assert read.digest == made.digest
    assert find_recipe(str(tmp_path / "half.toml")) == made
    assert find_recipe(made) is made


def test_what_is_written_is_read_again(tmp_path):
    for recipe in (*builtin_recipes().values(), parse_recipe(tomllib.loads(TEXT))):
        assert parse_recipe(tomllib.loads(recipe.to_toml())) == recipe
        assert parse_recipe(recipe.to_dict()) == recipe


def test_only_steps_count_for_the_digest():
    plain = Recipe(steps=(Quantize(),))
    assert Recipe(steps=(Quantize(),), name="a", description="b").digest == plain.digest
    assert Recipe(steps=(Quantize(rounding="nearest"),)).digest != plain.digest


def test_the_built_in_ones_are_sound_and_named_as_their_files():
    found = builtin_recipes()
    assert {"cnn", "vision-transformer", "text-encoder", "ptq"} <= set(found)
    for name, recipe in found.items():
        assert recipe.name == name
        assert recipe.description
        assert tomllib.loads(builtin_text(name))["format"] == 1
    assert find_recipe("Vision_Transformer").name == "vision-transformer"


QUANTIZE = {"step": "quantize"}
WRONG = [
    ({"format": 2, "steps": [QUANTIZE]}, "r.toml: format: expected a known format (1), got 2"),
    ({"stepz": [QUANTIZE]}, 'did you mean "steps"?'),
    ({}, "r.toml: steps: expected at least one step, got nothing"),
    ({"steps": []}, "expected at least one step"),
    ({"steps": "prune"}, 'expected at least one step, got "prune"'),
    ({"steps": ["prune"]}, 'r.toml: steps[0]: expected a table, got "prune"'),
    ({"steps": [{"ratio": 0.5}]}, "steps[0].step: expected one of prune, sparsify"),
    ({"steps": [{"step": "prun"}]}, 'got "prun"\n  -> did you mean "prune"?'),
    (
        {"steps": [{"step": "distill"}]},
        "steps[0].epochs: expected a whole number of 1 or more, got nothing",
    ),
    ({"steps": [{"step": "prune"}]}, "steps[0]: one goal is needed, none given"),
    ({"steps": [{"step": "prune", "macs": 0.5, "ratio": 0.5}]}, "ratio and macs given"),
    (
        {"steps": [{"step": "prune", "ratio": 1.5}]},
        "r.toml: steps[0].ratio: expected a number between 0 and 1, got 1.5",
    ),
    (
        {"steps": [{"step": "prune", "ratio": "much"}]},
        'r.toml: steps[0].ratio: expected a number between 0 and 1 or a table of numbers, got "much"',
    ),
    ({"steps": [{"step": "prune", "macs": 0.5, "keep": [1]}]}, "steps[0].keep[0]: expected a str"),
    (
        {"steps": [{"step": "prune", "macs": 0.5, "importance": "activaton"}]},
        'got "activaton"\n  -> did you mean "activation"?',
    ),
    (
        {"steps": [{"step": "prune", "macs": 0.5, "finetune": {"epochs": 1, "learning_rat": 1}}]},
        "steps[0].finetune.learning_rat: expected one of the fields epochs, learning_rate, optim",
    ),
    (
        {"steps": [{"step": "prune", "macs": 0.5, "finetune": {"epochs": 0}}]},
        "steps[0].finetune.epochs: expected a whole number of 1 or more, got 0",
    ),
    ({"steps": [{"step": "prune", "macs": 0.5, "residual_width": 1}]}, "expected true or false"),
    (
        {"steps": [{"step": "distill", "epochs": True}]},
        "expected a whole number of 1 or more, got true",
    ),
    (
        {"steps": [{"step": "distill", "epochs": 1, "temperature": 0}]},
        "steps[0].temperature: expected a number above 0",
    ),
    ({"steps": [{"step": "distill", "epochs": 1, "patience": -1}]}, "steps[0].patience"),
    ({"steps": [{"step": "finetune", "epochs": 1, "learning_rate": 0}]}, "steps[0].learning_rate"),
    ({"steps": [{"step": "sparsify", "ratio": 0.5, "pattern": "2:4"}]}, "steps[0].ratio: 0.5 does"),
    (
        {"steps": [{"step": "sparsify", "ratio": 2}]},
        "steps[0].ratio: expected a number between 0 and 1, got 2",
    ),
    ({"steps": [{"step": "quantize", "weight_bits": 9}]}, "steps[0].weight_bits: expected one of"),
    ({"steps": [{"step": "quantize", "precision": "int4"}]}, "steps[0].precision"),
    (
        {"steps": [{"step": "quantize", "overrides": {"conv": {"rnages": "mse"}}}]},
        "rnages",
    ),
    (
        {"steps": [{"step": "train_quantized", "epochs": 1, "quantization": {"weight_bit": 4}}]},
        'got "weight_bit"\n  -> did you mean "weight_bits"?',
    ),
    (
        {"steps": [{"step": "train_quantized", "epochs": 1, "freeze_after": 2}]},
        "steps[0].freeze_after: expected a number from 0 to 1, got 2",
    ),
    (
        {"steps": [QUANTIZE, {"step": "distill", "epochs": 1}]},
        "steps[1].step: distill works on the module, and quantize has made a Program of it",
    ),
    ({"steps": [QUANTIZE, QUANTIZE]}, "steps[1].step: nothing is left to do for quantize"),
    (
        {"steps": [{"step": "sparsify", "ratio": 0.5}, {"step": "finetune", "epochs": 1}]},
        "steps[1].step: finetune would fill the zeros",
    ),
    ("cnn", "expected a table"),
]


@pytest.mark.parametrize(("table", "says"), WRONG)
def test_what_is_wrong_is_named(table, says):
    with pytest.raises(InputError) as caught:
        parse_recipe(table, file="r.toml")
    assert says in str(caught.value)


def test_all_that_is_wrong_is_named_at_once():
    steps = [{"step": "prune", "ratoi": 0.5}, {"step": "distil", "epochs": 1}]
    with pytest.raises(InputError) as caught:
        parse_recipe({"steps": steps}, file="r.toml")
    text = str(caught.value)
    assert "steps[0].ratoi: expected one of the fields ratio" in text
    assert 'did you mean "ratio"?' in text
    assert "r.toml: steps[1].step" in text
    assert 'did you mean "distill"?' in text


def test_what_python_lets_through_is_refused_too():
    with pytest.raises(InputError, match=r"^epochs: expected a whole number of 1 or more"):
        Distill(epochs=0)
    with pytest.raises(InputError, match="expected at least one step"):
        Recipe(steps=())
    with pytest.raises(InputError, match=r"steps\[1\].step: nothing is left to do"):
        Recipe(steps=(Quantize(), Quantize()))
    with pytest.raises(InputError, match=r"steps\[0\].optimizer: expected one of"):
        Recipe(steps=(Distill(epochs=1, optimizer=torch.optim.SGD),))
    with pytest.raises(InputError, match="expected a name, a path or a Recipe, got a int"):
        find_recipe(3)


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read"), (b"steps = [", "is not valid TOML"), (b"\xff", "is not valid TOML")],
)
def test_files_that_cannot_be_read(tmp_path, content, says):
    file = tmp_path / "r.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=says):
        find_recipe(str(file))


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(InputError, match='no recipe "cn"') as caught:
        find_recipe("cn")
    assert 'did you mean "cnn"?' in caught.value.hint


def test_overrides_reach_what_they_name():
    made = with_overrides(
        builtin_recipes()["cnn"],
        {"prune.macs": 0.4, "*.epochs": 1, "steps[1].temperature": 2.0, "prune.finetune.seed": 3},
    )
    prune, distill, train = made.steps
    assert (prune.macs, prune.finetune.epochs, prune.finetune.seed) == (0.4, 1, 3)
    assert (distill.epochs, distill.temperature, train.epochs) == (1, 2.0, 1)
    assert builtin_recipes()["cnn"].steps[0].macs == 0.5


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("macs", 0.5, "expected a step and its option"),
        ("prun.macs", 0.5, 'did you mean "prune"?'),
        ("steps[7].macs", 0.5, "has no such step"),
        ("prune.mac", 0.5, 'did you mean "macs"?'),
        ("*.nothing", 0.5, "no step has such an option"),
        ("prune.macs", "half", "expected a number"),
    ],
)
def test_overrides_that_mean_nothing(key, value, says):
    with pytest.raises(InputError) as caught:
        with_overrides(builtin_recipes()["cnn"], {key: value})
    assert says in str(caught.value)


def test_each_step_is_documented():
    for kind in STEPS.values():
        assert kind.__doc__
