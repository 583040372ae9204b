"""Prune, distil, train quantized, deploy: the artefact computes what was trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.errors import GateError, InputError
from edgeopt.testing.specimens import gratings

pytest.importorskip("accelerate")
pytest.importorskip("torch_pruning")

loss = nn.functional.cross_entropy
RECIPE = {
    "name": "chain",
    "steps": [
        {"step": "prune", "macs": 0.5, "steps": 2, "finetune": {"epochs": 2}},
        {"step": "distill", "epochs": 4},
        {"step": "train_quantized", "epochs": 1},
    ],
}


def pictures(count, seed):
    return gratings(count, seed, noise=0.5)


@pytest.fixture(scope="module")
def data():
    held = torch.utils.data.TensorDataset(*pictures(512, 1))
    return torch.utils.data.DataLoader(held, batch_size=64, shuffle=True)


@pytest.fixture(scope="module")
def network(data):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 4),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(5):
        for x, y in data:
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
    return model.eval()


def top1(fn):
    x, y = pictures(200, 2)
    return float((fn(x).argmax(dim=1) == y).float().mean())


@pytest.fixture(scope="module")
def compressed(network, data):
    return edgeopt.compress(
        network,
        RECIPE,
        example_inputs=torch.zeros(1, 1, 8, 8),
        data=data,
        loss=loss,
        evaluate=top1,
    )


@pytest.mark.parametrize(("backend", "target"), [("openvino", "host"), ("tflite", "rpi4")])
def test_what_a_recipe_made_is_deployed_and_computes_the_same(
    network, data, compressed, tmp_path, backend, target
):
    if edgeopt.backends()[backend].load().available() is not None:
        pytest.skip(f"{backend} is not installed")
    done = edgeopt.deploy(
        network,
        target,
        recipe=compressed,
        example_inputs=torch.zeros(1, 1, 8, 8),
        calibration_data=[pictures(64, 3)[0]],
        evaluate=top1,
        max_drop=0.1,
        backend=backend,
        checks=edgeopt.Checks(speed=False),
        shapes={"batches": (4,)},
        output=tmp_path / "bundle",
    )
    assert done.precision == "int8"
    assert done.parity.ok
    assert done.programs[0].shapes == ((4, 1, 8, 8),)
    assert done.programs[0].parity.ok
    assert done.program.digest == compressed.program.digest
    assert done.accuracy.float_value == top1(network)
    assert done.float_size_bytes > 6 * done.program.size_bytes
    steps = [step["name"] for step in done.bundle.report["history"]]
    assert [s for s in steps if s in {"prune", "distill", "quantize", "train_quantized"}] == [
        "prune",
        "distill",
        "quantize",
        "train_quantized",
    ]
    runner = edgeopt.load(done.bundle)
    x, _ = pictures(32, 4)
    wanted = edgeopt.reference(compressed.program)
    for one in x.numpy():
        assert np.array_equal(runner(one[None]).argmax(), wanted(one[None]).argmax())
    together = runner(x.numpy()[:4])
    assert np.array_equal(together, np.concatenate([runner(one[None]) for one in x.numpy()[:4]]))
    runner.close()


def test_deploy_carries_the_recipe_out(network, data, tmp_path):
    """The steps before, the gate after: against the model as it was, not as it was pruned."""
    recipe = {"steps": [{"step": "prune", "ratio": 0.8, "importance": "random", "multiple": 1}]}
    options = {
        "recipe": recipe,
        "example_inputs": torch.zeros(1, 1, 8, 8),
        "train_data": data,
        "evaluate": top1,
        "checks": edgeopt.Checks(speed=False),
        "backend": "reference",
    }
    done = edgeopt.deploy(network, "host", **options, training={"work": tmp_path / "work"})
    assert done.precision == "int8"  # calibrated on the training inputs
    assert done.compressed.steps[0].name == "prune"
    assert done.accuracy.float_value == top1(network)
    assert "recipe" in str(done)
    assert done.to_dict()["recipe"]["steps"][0]["name"] == "prune"
    assert done.accuracy.drop > 0.1  # most of it is gone, and nothing was trained
    with pytest.raises(GateError, match="outside max_drop"):
        edgeopt.deploy(
            network, "host", **options, max_drop=0.01, training={"work": tmp_path / "work"}
        )


def test_what_goes_wrong_is_said_before_anything_is_trained(network, data):
    def untouched(stage, _done, _total):
        assert stage not in {"recipe", "distill"}, stage

    given = {
        "example_inputs": torch.zeros(1, 1, 8, 8),
        "train_data": data,
        "training": edgeopt.RecipeTraining(loss=loss),
        "progress": untouched,
    }
    with pytest.raises(edgeopt.errors.TargetError):
        edgeopt.deploy(network, "rpi44", recipe="cnn", **given)
    with pytest.raises(InputError, match="the recipe quantizes, and quantization was given too"):
        edgeopt.deploy(network, "host", recipe="cnn", quantization={"weight_bits": 7}, **given)
    with pytest.raises(InputError, match='no recipe "cnm"'):
        edgeopt.deploy(network, "host", recipe="cnm", **given)
    with pytest.raises(InputError, match="train_data: is for the steps of a recipe"):
        edgeopt.deploy(network, "host", **given)
