"""Models of timm and torchvision by name: theirs to the byte, with what their configurations say."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image

import edgeopt
from edgeopt.errors import ConfigError, InputError, PluginError
from edgeopt.installation import install_command


@pytest.fixture(autouse=True)
def caches(monkeypatch, tmp_path):
    """Empty caches of torch.hub; that of Hugging Face is offline."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


def photograph(tmp_path):
    chance = np.random.default_rng(0)
    path = tmp_path / "noise.png"
    Image.fromarray(chance.integers(0, 256, (300, 400, 3), np.uint8)).save(path)
    return path


def same(ours, theirs):
    ours, theirs = ours.state_dict(), theirs.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


def test_a_file_of_weights_fills_timms_own_model(tmp_path):
    torch.manual_seed(1)
    own = timm.create_model("mobilenetv3_small_050", num_classes=7).eval()
    torch.save({"state_dict": own.state_dict()}, tmp_path / "w.pth")
    named = edgeopt.load_model(
        "timm:mobilenetv3_small_050", weights=str(tmp_path / "w.pth"), classes=7, size=96
    )
    assert same(named.model, own)
    assert not named.model.training
    assert named.example_inputs[0].shape == (1, 3, 96, 96)
    assert named.labels == ()


def test_the_preprocessing_is_timms(tmp_path):
    named = edgeopt.load_model("timm:mobilenetv3_small_050,weights=random")
    config = timm.data.resolve_data_config({}, model=named.model)
    with Image.open(photograph(tmp_path)) as picture:
        want = timm.data.create_transform(**config)(picture).numpy()
    (ours,) = edgeopt.pictures([tmp_path / "noise.png"], named.preprocess)
    assert np.abs(ours[0] - want).max() < 1e-5
    assert len(named.labels) == 1000
    assert named.labels[0].startswith("tench")


def test_what_timm_downloaded_is_used_and_nothing_else(caches, tmp_path):
    name = "efficientnet_lite0"
    with pytest.raises(InputError, match="nothing is downloaded: looked in") as caught:
        edgeopt.load_model(f"timm:{name}")
    assert "timm.create_model('efficientnet_lite0', pretrained=True)" in str(caught.value)
    url = timm.get_pretrained_cfg(name).url
    torch.manual_seed(2)
    own = timm.create_model(name)
    caches.mkdir(parents=True)
    path = caches / url.rpartition("/")[2]
    torch.save(own.state_dict(), tmp_path / "w.pth")
    digest = hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    path.write_bytes((tmp_path / "w.pth").read_bytes())
    if not path.name.rpartition("-")[2].startswith(digest[:8]):
        with pytest.raises(InputError, match="another SHA-256"):
            edgeopt.load_model(f"timm:{name}")


def test_a_folder_that_timm_wrote(tmp_path):
    torch.manual_seed(3)
    own = timm.create_model("resnet10t", num_classes=3).eval()
    timm.models.save_for_hf(
        own,
        tmp_path / "mine",
        model_config={"label_names": ["a", "b", "c"]},
        safe_serialization=True,
    )
    named = edgeopt.load_model(f"timm:{tmp_path}/mine")
    assert same(named.model, own)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(named.model(x), own(x))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"architecture": "os.system"}, "no architecture of timm"),
        ({"model_args": {"checkpoint_path": "/etc/passwd"}}, "is not taken from a file"),
        ({"model_args": {"act_layer": {"a": 1}}}, "is not taken from a file"),
    ],
)
def test_a_folder_of_others_decides_nothing_but_sizes(tmp_path, change, says):
    own = timm.create_model("resnet10t", num_classes=3)
    timm.models.save_for_hf(own, tmp_path / "mine", safe_serialization=True)
    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    (tmp_path / "mine" / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(InputError, match=says):
        edgeopt.load_model(f"timm:{tmp_path}/mine")


def test_torchvisions_weights_are_read_where_it_keeps_them(caches, monkeypatch, tmp_path):
    chosen = torchvision.models.ResNet18_Weights.DEFAULT
    with pytest.raises(InputError, match=r"resnet18-\w+\.pth"):
        edgeopt.load_model("torchvision:resnet18")
    own = torchvision.models.resnet18()
    torch.save(own.state_dict(), tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    caches.mkdir(parents=True)
    digest = hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    name = f"resnet18-{digest[:8]}.pth"
    monkeypatch.setattr(type(chosen), "url", property(lambda _: f"https://example.org/{name}"))
    (caches / name).write_bytes((tmp_path / "w.pth").read_bytes())
    named = edgeopt.load_model("torchvision:resnet18")
    assert same(named.model, own)
    assert named.weights == str(caches / name)
    assert named.labels[:2] == ("tench", "goldfish")
    with Image.open(photograph(tmp_path)) as picture:
        want = chosen.transforms()(picture).numpy()
    (ours,) = edgeopt.pictures([tmp_path / "noise.png"], named.preprocess)
    assert np.abs(ours[0] - want).max() < 1e-5


def test_a_segmentation_model_of_torchvision(tmp_path):
    named = edgeopt.load_model("torchvision:lraspp_mobilenet_v3_large,weights=random,size=96x128")
    assert named.task == "segmentation"
    assert named.labels[0] == "__background__"
    edgeopt.deploy(named, "host", backend="tflite", precision="float32", output=tmp_path / "areas")
    told = edgeopt.predict(tmp_path / "areas", photograph(tmp_path))
    assert told.areas.shape == (300, 400)
    (x,) = edgeopt.pictures([tmp_path / "noise.png"], named.preprocess)
    with torch.no_grad():
        want = named.model(torch.from_numpy(x))["out"]
    large = torch.nn.functional.interpolate(want, size=(300, 400), mode="bilinear").argmax(1)[0]
    assert (told.areas == large.numpy()).mean() > 0.999


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("timm:mobilnetv3_small_050", "did you mean"),
        ("timm:resnet18.no_such_tag", "knows no model"),
        ("torchvision:resnet81", 'did you mean "resnet18"'),
        ("torchvision:fasterrcnn_resnet50_fpn", "between two networks"),
        ("torchvision:r3d_18", "films"),
        ("timm:resnet18,length=3", "length makes no difference here"),
        ("torchvision:resnet18,weights=no-such-file.pth", "No such file"),
    ],
)
def test_what_there_is_not_says_what_there_is(name, says):
    with pytest.raises((InputError, ConfigError), match=says):
        edgeopt.load_model(name)


def test_random_weights_are_the_same_for_one_seed_and_leave_chance_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (
        edgeopt.load_model("timm:resnet10t,weights=random,size=64", seed=seed).model
        for seed in (0, 0, 1)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(first, again)
    assert not same(first, other)


def test_a_library_that_is_missing_says_what_to_type(monkeypatch):
    import importlib

    def gone(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

    monkeypatch.setattr(importlib, "import_module", gone)
    with pytest.raises(PluginError, match="timm is not installed") as caught:
        edgeopt.load_model("timm:resnet18")
    assert install_command("timm") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("ssdlite320_mobilenet_v3_large", "320x320"),
        ("retinanet_resnet50_fpn", "128x160"),
        ("fcos_resnet50_fpn", "128x160"),
    ],
)
def test_boxes_and_scores_of_a_detector_are_torchvisions(name, size, monkeypatch):
    named = edgeopt.load_model(f"torchvision:{name},weights=random,size={size}")
    assert named.task == "detection"
    assert len(named.labels) == 91 - (named.postprocess.background == "first")
    own = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=91)
    own.backbone, own.head = named.model.backbone, named.model.head
    sides = tuple(named.example_inputs[0].shape[2:])
    x = torch.randn(1, 3, *sides)
    with torch.no_grad():
        found, features = named.model(x), list(own.backbone(x).values())
        outputs, coder = own.head(features), own.box_coder
        picture = torchvision.models.detection.image_list.ImageList(x, [sides])
        anchors = own.anchor_generator(picture, features)[0]
        decode = coder.decode if name.startswith("fcos") else coder.decode_single
        boxes = decode(outputs["bbox_regression"][0], anchors)
    torch.testing.assert_close(found["boxes"][0], boxes)
    if not name.startswith("fcos"):
        assert torch.equal(found["scores"], outputs["cls_logits"])
        return
    # torchvision's own selection, of every box and class: nothing too low, too many, or suppressed
    monkeypatch.setattr(
        torchvision.ops.boxes, "batched_nms", lambda b, s, c, i: torch.arange(len(s))
    )
    own.score_thresh, own.topk_candidates, own.detections_per_img = -1.0, 10**6, 10**6
    parts = {key: [value] for key, value in outputs.items()}  # as of one level
    (told,) = own.postprocess_detections(parts, [[anchors]], [sides])
    for one in (told["scores"], found["scores"].flatten()):
        assert len(one) == len(anchors) * 91
    torch.testing.assert_close(
        told["scores"].sort().values, found["scores"].flatten().sort().values
    )


def selected(boxes, scores, classes, most):
    """Returns the places that suppression within each class leaves; torchvision's own needs its C++ operators."""
    overlaps = torchvision.ops.box_iou(boxes, boxes)
    kept = []
    for place in scores.argsort(descending=True).tolist():
        if all(classes[one] != classes[place] or overlaps[one, place] <= most for one in kept):
            kept.append(place)
    return kept


def test_a_detector_of_torchvision_is_deployed_and_selects(tmp_path):
    named = edgeopt.load_model("torchvision:ssdlite320_mobilenet_v3_large,weights=random")
    with torch.no_grad():
        (x,) = edgeopt.pictures([photograph(tmp_path)], named.preprocess)
        found = named.model(torch.from_numpy(x))
        scores, classes = found["scores"][0].softmax(-1)[:, 1:].max(1)
    limit = float(scores.sort(descending=True).values[20:22].mean())
    post = named.postprocess.replace(confidence=limit)
    bundle = {"postprocess": post, "preprocess": named.preprocess, "labels": named.labels}
    edgeopt.deploy(named, "host", backend="tflite", precision="float32", bundle=bundle,
                   output=tmp_path / "boxes")  # fmt: skip
    told = edgeopt.predict(tmp_path / "boxes", tmp_path / "noise.png").detections
    over = scores > limit
    kept = selected(found["boxes"][0][over], scores[over], classes[over], post.iou)
    np.testing.assert_allclose(told.scores, scores[over][kept].numpy(), rtol=1e-3)
    assert list(told.classes) == classes[over][kept].tolist()
