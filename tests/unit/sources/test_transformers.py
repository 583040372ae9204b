"""Models of Hugging Face by folder: what their files say, and what files of others may not."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

import edgeopt
from edgeopt.errors import InputError

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.slow


def quietly(save, folder):
    transformers.utils.logging.disable_progress_bar()
    save(folder)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A small ResNet with names and an image processor."""
    torch.manual_seed(0)
    names = {0: "cat", 1: "dog", 2: "cow"}
    config = transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        id2label=names,
        label2id={name: number for number, name in names.items()},
    )
    folder = tmp_path_factory.mktemp("classifier")
    quietly(transformers.ResNetForImageClassification(config).eval().save_pretrained, folder)
    settings = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": 32, "width": 32},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.3, 0.4],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A small BERT without its head."""
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=99,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )
    folder = tmp_path_factory.mktemp("encoder")
    quietly(transformers.BertModel(config).eval().save_pretrained, folder)
    return folder


def copied(folder, place, **changes):
    place.mkdir()
    for path in folder.iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**config, **changes}))
    return place


def test_a_classifier(classifier, tmp_path):
    named = edgeopt.load_model(f"hf:{classifier}")
    assert named.labels == ("cat", "dog", "cow")
    assert named.task == "classification"
    assert named.example_inputs[0].shape == (1, 3, 32, 32)
    own = transformers.ResNetForImageClassification.from_pretrained(classifier).eval()
    Image.fromarray(np.arange(50 * 40 * 3, dtype=np.uint8).reshape(50, 40, 3)).save(
        tmp_path / "a.png"
    )
    (x,) = edgeopt.pictures([tmp_path / "a.png"], named.preprocess)
    with torch.no_grad():
        want = own(torch.from_numpy(x)).logits
        assert torch.allclose(named.model(torch.from_numpy(x))["logits"], want, atol=1e-6)
    edgeopt.deploy(
        f"hf:{classifier}",
        "host",
        backend="reference",
        precision="float32",
        output=tmp_path / "bundle",
    )
    told = edgeopt.predict(tmp_path / "bundle", tmp_path / "a.png")
    assert told.classes[0][0] == int(want.argmax())
    assert told.classes[0][1] == pytest.approx(float(want.softmax(1).max()), abs=1e-5)


def test_another_size(classifier):
    named = edgeopt.load_model(f"hf:{classifier}", size=(48, 64))
    assert named.example_inputs[0].shape == (1, 3, 48, 64)
    assert named.preprocess.resize == (48, 64)


def test_an_encoder_of_text(encoder):
    named = edgeopt.load_model(f"hf:{encoder},length=20")
    assert {name: tuple(one.shape) for name, one in named.example_inputs.items()} == {
        "input_ids": (1, 20),
        "attention_mask": (1, 20),
        "token_type_ids": (1, 20),
    }
    assert isinstance(named.postprocess, edgeopt.Embedding)
    signature = edgeopt.capture(named).signature
    assert [spec.name for spec in signature.outputs] == ["last_hidden_state"]
    usual = edgeopt.load_model(f"hf:{encoder}")
    assert usual.example_inputs["input_ids"].shape == (1, 40)


def test_weights_that_were_pickled_are_read_without_unpickling(encoder, tmp_path):
    folder = copied(encoder, tmp_path / "old")
    own = transformers.BertModel.from_pretrained(encoder).eval()
    torch.save(own.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    named = edgeopt.load_model(f"hf:{folder}")
    kept = named.model.model.state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in own.state_dict().items())
    assert named.weights.endswith("pytorch_model.bin")


def test_weights_that_are_missing_are_not_made_up(encoder, tmp_path):
    folder = copied(encoder, tmp_path / "more", num_hidden_layers=2)
    with pytest.raises(InputError, match="weights of another model: no encoder"):
        edgeopt.load_model(f"hf:{folder}")
    assert edgeopt.load_model(f"hf:{folder},weights=random").weights == "random, seed 0"
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"looked in .*pytorch_model\.bin"):
        edgeopt.load_model(f"hf:{folder}")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"auto_map": {"AutoModel": "evil.Model"}}, "code of its own"),
        ({"attn_implementation": "somebody/kernel"}, "a kernel from elsewhere"),
        ({"quantization_config": {"quant_method": "x"}}, "weights that are quantized already"),
        ({"text_config": {"auto_map": {"a": "b"}}}, "code of its own"),
        ({"architectures": ["os.system"]}, "not taken by name"),
        ({"architectures": None}, "not named"),
        ({"architectures": ["BertForMaskedLM"]}, "…ForImageClassification"),
        ({"architectures": ["LlamaForCausalLM"]}, "examples/13_language_model.py"),
        ({"architectures": ["GPT2LMHeadModel"]}, "two edgeopt.Method"),
        ({"architectures": ["VisionEncoderDecoderModel"]}, "two edgeopt.Method"),
        ({"model_type": "no-such-type"}, "cannot read it"),
        ({"hidden_size": 17}, "cannot build it"),
    ],
)
def test_a_configuration_of_others_loads_nothing_else(encoder, tmp_path, changes, says):
    folder = copied(encoder, tmp_path / "other", **changes)
    with pytest.raises(InputError, match=says):
        edgeopt.load_model(f"hf:{folder}")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hf:nobody/no-such-model", "hf download nobody/no-such-model"),
        ("hf:./no/such/folder", "nothing is downloaded: looked in"),
        ("hf:../../../etc", "hf:./FOLDER that model.save_pretrained wrote"),
    ],
)
def test_what_is_not_there_says_where_was_looked(name, says, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        edgeopt.load_model(name)
    assert says in str(caught.value)


def test_a_segmentation_model_and_a_detector(tmp_path):
    torch.manual_seed(0)
    segformer = transformers.SegformerForSemanticSegmentation(
        transformers.SegformerConfig(
            hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], decoder_hidden_size=16, num_labels=4
        )
    )
    quietly(segformer.save_pretrained, tmp_path / "areas")
    named = edgeopt.load_model(f"hf:{tmp_path}/areas,size=64")
    assert isinstance(named.postprocess, edgeopt.Segmentation)
    assert named.preprocess is None  # nobody says how pictures become inputs, and none is made up
    yolos = transformers.YolosForObjectDetection(
        transformers.YolosConfig(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            image_size=[64, 64],
            num_detection_tokens=5,
            num_labels=3,
        )
    )
    quietly(yolos.save_pretrained, tmp_path / "boxes")
    named = edgeopt.load_model(f"hf:{tmp_path}/boxes")
    assert (named.postprocess.background, named.postprocess.nms) == ("last", False)
    names = [spec.name for spec in edgeopt.capture(named).signature.outputs]
    assert names == ["logits", "pred_boxes"]
