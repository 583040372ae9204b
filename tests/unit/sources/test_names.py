"""What may be written where a model is named, and who is asked for it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.bundles import read_bundle
from edgeopt.cli.sources import load_model
from edgeopt.errors import ConfigError, InputError, PluginError
from edgeopt.sources import is_name, source_names
from edgeopt.sources.spec import parse
from edgeopt.sources.weights import find_cached, load_into, torch_hub_file


def test_a_name_and_its_options():
    spec = parse("timm:resnet18.a1_in1k,weights=random,size=160x224,classes=7", {})
    assert (spec.source, spec.name) == ("timm", "resnet18.a1_in1k")
    assert spec.options.sides == (160, 224)
    assert (spec.options.weights, spec.options.classes) == ("random", 7)
    assert parse("timm:a,size=96", {}).options.sides == (96, 96)
    assert parse("timm:a,size=96", {"size": 64}).options.sides == (64, 64)


def test_commas_and_colons_of_paths_are_no_options():
    assert parse("hf:./a,b/c=d", {}).name == "./a,b/c=d"
    assert parse("ultralytics:C:/x/best.pt", {}).name == "C:/x/best.pt"
    assert parse("timm:a,weights=./w, 1.pth", {}).options.weights == "./w, 1.pth"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("timm:", "expected a name behind the colon"),
        ("timm:a,wieghts=random", 'did you mean "weights"'),
        ("timm:a,size=big", "expected a number, or HEIGHTxWIDTH"),
        ("timm:a,classes=2x2", "classes: expected a number"),
        ("timm:a,size=0", "size"),
        ("timm:a,weights=", "expected pretrained, random or a file"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, says):
    with pytest.raises(InputError, match=says):
        parse(text, {})


def test_who_offers_models_is_seen_without_importing_them():
    assert {"hf", "timm", "torchvision", "ultralytics"} <= set(source_names())
    assert is_name("timm:resnet18")
    assert not is_name("my_models:make")
    assert not is_name("model.pt2")
    assert not is_name(nn.Identity())


@pytest.mark.parametrize("call", [edgeopt.load_model, load_model])
def test_a_source_that_does_not_exist(call):
    with pytest.raises((InputError, PluginError), match="did you mean") as caught:
        call("tim:resnet18")
    assert "timm" in str(caught.value)


def test_text_that_is_no_name():
    with pytest.raises(InputError, match="timm:NAME"):
        edgeopt.load_model("resnet18")
    with pytest.raises(InputError, match="timm:NAME"):
        edgeopt.deploy("model.pt2", "host")


TOYS = """
import edgeopt
import torch
from torch import nn


class Toys:
    name = "toys"

    def load(self, spec):
        return edgeopt.NamedModel(
            name=spec.text,
            model=nn.Sequential(nn.Flatten(), nn.Linear(12, spec.options.classes or 2)).eval(),
            example_inputs=(torch.zeros(1, 3, 2, 2),),
            preprocess=edgeopt.Preprocess(resize=(2, 2)),
            postprocess=edgeopt.Classification(),
            labels=("a", "b"),
        )

    def names(self):
        return ["toy"]

    def options(self):
        return ("classes",)
"""


@pytest.fixture
def toys(monkeypatch, tmp_path):
    """A package that offers a source of models, as pip would have installed it."""
    place = tmp_path / "site"
    facts = place / "toys_of_others-1.dist-info"
    facts.mkdir(parents=True)
    (place / "toys_of_others.py").write_text(TOYS)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: toys-of-others\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[edgeopt.sources]\ntoys = toys_of_others:Toys\n")
    monkeypatch.syspath_prepend(str(place))


def test_other_packages_offer_models_too(toys, tmp_path):
    assert edgeopt.load_model("toys:toy").labels == ("a", "b")
    deployment = edgeopt.deploy(
        "toys:toy", "host", backend="reference", precision="float32", output=tmp_path / "toy"
    )
    manifest = deployment.bundle.manifest
    assert manifest.preprocess.resize == (2, 2)
    assert isinstance(manifest.postprocess, edgeopt.Classification)
    assert (tmp_path / "toy" / "labels.txt").read_text() == "a\nb\n"


def test_what_a_user_says_wins_over_what_is_known(toys, tmp_path):
    bundle = edgeopt.BundleOptions(labels=["x", "y"])
    edgeopt.deploy(
        "toys:toy",
        "host",
        backend="reference",
        precision="float32",
        bundle=bundle,
        output=tmp_path / "toy",
    )
    assert (tmp_path / "toy" / "labels.txt").read_text() == "x\ny\n"
    assert read_bundle(tmp_path / "toy").manifest.preprocess is not None


def test_an_option_that_makes_no_difference_is_refused(toys):
    with pytest.raises(ConfigError, match="size makes no difference here"):
        edgeopt.load_model("toys:toy,size=8")


def test_named_models_are_taken_everywhere(toys):
    named = edgeopt.load_model("toys:toy")
    assert (
        edgeopt.capture(named).digest == edgeopt.capture(named.model, named.example_inputs).digest
    )
    assert [s.shape for s in edgeopt.capture("toys:toy").signature.inputs] == [(1, 3, 2, 2)]
    assert load_model("toys:toy").bundle["labels"] == ("a", "b")
    assert edgeopt.quantize("toys:toy", precision="float16").precision == "float16"


def test_weights_that_are_not_there_say_where_was_looked(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    place = torch_hub_file("https://example.org/files/net-0123abcd.pth")
    spec = parse("timm:net", {})
    with pytest.raises(InputError, match="nothing is downloaded: looked in") as caught:
        find_cached([place], spec, fetch="COMMAND fetches them")
    said = str(caught.value)
    assert str(tmp_path / "hub" / "checkpoints" / "net-0123abcd.pth") in said
    assert "COMMAND fetches them or timm:net,weights=FILE or timm:net,weights=random" in said


def test_a_download_that_was_broken_off_is_seen(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save({"a": torch.ones(1)}, folder / "net-0123abcd.pth")
    place = torch_hub_file("https://example.org/files/net-0123abcd.pth")
    with pytest.raises(InputError, match="another SHA-256"):
        find_cached([place], parse("timm:net", {}), fetch="")


def test_weights_of_another_model_are_refused():
    model = nn.Linear(2, 3)
    state = dict(model.state_dict())
    load_into(model, state, "w.pt")
    with pytest.raises(InputError, match=r"weight is \[4, 2\], the model's \[3, 2\]"):
        load_into(model, {**state, "weight": torch.zeros(4, 2)}, "w.pt")
    with pytest.raises(InputError, match="no bias; more is not the model's"):
        load_into(model, {"weight": state["weight"], "more": state["bias"]}, "w.pt")
