"""The built-in recipes for transformers, on the smallest ones that have all parts."""

from __future__ import annotations

import pytest
import torch

import edgeopt

pytest.importorskip("accelerate")
pytest.importorskip("torch_pruning")
transformers = pytest.importorskip("transformers")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def vision():
    config = transformers.ViTConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        image_size=16,
        patch_size=8,
        num_labels=4,
    )
    data = [{"pixel_values": torch.randn(4, 3, 16, 16), "labels": torch.arange(4)}] * 2
    return transformers.ViTForImageClassification(config), data


def text():
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=16,
        num_labels=3,
    )
    tokens = torch.randint(0, 50, (4, 8))
    data = [{"input_ids": tokens, "labels": torch.tensor([0, 1, 2, 0])}] * 2
    return transformers.BertForSequenceClassification(config), data


@pytest.mark.parametrize(
    ("recipe", "make", "precision"),
    [("vision-transformer", vision, "int8"), ("text-encoder", text, "int8-dynamic")],
)
def test_a_built_in_recipe_takes_a_hugging_face_model_as_it_is(recipe, make, precision):
    """Batches by name, the model's own loss, no further options."""
    model, data = make()
    name = next(iter(data[0]))
    made = edgeopt.compress(
        model.eval(),
        recipe,
        example_inputs={name: data[0][name][:1]},
        data=data,
        overrides={"*.epochs": 1},
    )
    assert made.program.precision == precision
    assert made.steps[-1].after.macs <= 0.75 * made.steps[0].before.macs
    steps = [step.name for step in made.program.history]
    assert steps[:2] == ["prune", "distill"]
    done = edgeopt.deploy(
        model,
        "host",
        recipe=made,
        example_inputs={name: data[0][name][:1]},
        backend="reference",
    )
    assert done.precision == precision
