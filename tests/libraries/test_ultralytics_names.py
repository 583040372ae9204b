"""Models of ultralytics by name: weights and architectures of others decide nothing but layers and numbers."""

from __future__ import annotations

import os
import re

import pytest
import torch
import ultralytics
from torch import nn
from ultralytics.nn import tasks

import edgeopt
from edgeopt.errors import InputError
from edgeopt.sources.yolo_architecture import checked_architecture


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def saved(tmp_path):
    """A checkpoint as ultralytics writes it."""
    torch.manual_seed(4)
    yolo = ultralytics.YOLO("yolo11n.yaml")
    yolo.model.names = {n: f"thing {n}" for n in range(80)}
    yolo.model.args = {"imgsz": 320}
    yolo.save(tmp_path / "mine.pt")
    return yolo.model.eval()


def test_a_checkpoint_is_the_model_that_was_saved(saved):
    named = edgeopt.load_model("ultralytics:mine.pt")
    assert named.labels[3] == "thing 3"
    assert named.example_inputs[0].shape == (1, 3, 320, 320)
    x = torch.rand(1, 3, 320, 320)
    with torch.no_grad():
        ours, theirs = named.model(x), saved.half().float()(x)[0]
    assert torch.allclose(ours, theirs, atol=1e-3)


def test_an_attribute_that_another_version_sets_otherwise_is_taken_over(saved):
    saved.model[9].cv1.act = nn.ReLU()
    saved.model[2].m[0].add = not saved.model[2].m[0].add
    torch.save({"model": saved}, "mine.pt")
    named = edgeopt.load_model("ultralytics:mine.pt")
    assert type(named.model.model[9].cv1.act) is nn.ReLU
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(named.model(x), saved(x)[0], atol=1e-4)


def test_a_layer_of_another_class_is_refused(saved):
    saved.model[9].cv1.act = nn.Softmax(1)
    torch.save({"model": saved}, "mine.pt")
    with pytest.raises(
        InputError, match="it is a Softmax, this version of the library builds a SiLU"
    ):
        edgeopt.load_model("ultralytics:mine.pt")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("was-run",)


def test_what_else_lies_in_a_checkpoint_is_not_run(saved, tmp_path):
    torch.save({"model": saved, "train_args": Bomb(), "ema": None}, "mine.pt")
    edgeopt.load_model("ultralytics:mine.pt")
    assert not (tmp_path / "was-run").exists()


def architecture(**changes):
    found = {
        "nc": 2,
        "backbone": [[-1, 1, "Conv", [8, 3, 2]], [-1, 1, "Conv", [8, 3, 2]]],
        "head": [[[1, 1, 1], 1, "Detect", ["nc"]]],
    }
    return {**found, **changes}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"activation": "__import__('os').mkdir('was-run')"}, "is no layer of torch.nn"),
        ({"activation": "nn.SiLU(__import__('os'))"}, "is no layer of torch.nn"),
        ({"backbone": [[-1, 1, "torch_safe_load", ["x.pt"]]]}, "'torch_safe_load' is no layer"),
        ({"backbone": [[-1, 1, "nn.Module.__init__", []]]}, "is no layer"),
        ({"backbone": [[-1, 1, "nn.modules", []]]}, "is no layer"),
        ({"backbone": [[-1, 1, "DetectionModel", ["yolo11n.yaml"]]]}, "is no layer"),
        ({"backbone": [[-1, 1, "TorchVision", [512, "resnet18", "DEFAULT"]]]}, "is no layer"),
        ({"backbone": [[-1, 1, ["Conv"], [8, 3, 2]]]}, "is no layer"),
        ({"backbone": [[-1, 10**9, "Conv", [8, 3, 2]]]}, "repeats"),
        ({"backbone": [[-1, 1, "Conv", [10**12, 3, 2]]]}, "is no number or short text"),
        ({"backbone": [[-1, 1, "Conv"]]}, "expected \\[from, repeats, layer, arguments\\]"),
        ({"backbone": [[-1, 1, "Conv", [8, "x" * 100]]]}, "is no number or short text"),
        ({"backbone": [[-1, 1, "Conv", [8, 3, 2]]] * 2000}, "layers, more than"),
        ({"head": None}, "no backbone and head"),
    ],
)
def test_an_architecture_that_is_more_than_layers_is_refused(changes, says, tmp_path):
    with pytest.raises(InputError, match=says):
        checked_architecture(architecture(**changes), tasks, "model.yaml")
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize(
    "name",
    ["yolov8n", "yolo11n-seg", "yolo26n-pose", "yolov9t", "yolov10n", "yolo12n", "rtdetr-l"],
)
def test_architectures_of_the_library_pass(name):
    named = edgeopt.load_model(f"ultralytics:{name}.yaml,weights=random,size=64")
    assert isinstance(named.postprocess, edgeopt.Detection)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nc: 2\nbackbone: &a [*a]\n", "references|recursive"),
        ("!!python/object/apply:os.mkdir ['was-run']", "could not determine a constructor"),
        ("nc: [", "not valid YAML"),
        ("a: b", "no backbone and head"),
    ],
)
def test_a_file_of_others_is_plain_yaml(text, says, tmp_path):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError, match=says):
        edgeopt.load_model("ultralytics:mine.yaml,weights=random")
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "ultralytics:yolo11n.pt",
            r"nothing is downloaded: looked in .*yolo11n\.pt.*YOLO\('yolo11n.pt'\)",
        ),
        ("ultralytics:best.pt", r"looked in .*the path of your own \.pt file"),
        ("ultralytics:yolo11n.yaml", "has no weights, and none were named"),
        ("ultralytics:yolo11q.yaml,weights=random", 'did you mean "yolo11.yaml"'),
        ("ultralytics:yolo11n", r"yolo11n\.pt for trained weights"),
        ("ultralytics:yolo11n.yaml,weights=random,size=100", "size=96x96"),
        ("ultralytics:yolo11n.pt,weights=random", r"yolo11n\.yaml,weights=random"),
        ("ultralytics:yolo11n-sem.yaml,weights=random", "not taken by name|knows no model"),
    ],
)
def test_what_is_not_there_says_where_was_looked(name, says):
    with pytest.raises(InputError) as caught:
        edgeopt.load_model(name)
    assert re.search(says, str(caught.value), re.DOTALL)
