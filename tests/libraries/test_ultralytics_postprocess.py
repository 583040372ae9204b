"""What a bundle's runner tells of raw outputs is what ultralytics tells of the same, for every head."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import torch
import ultralytics
from PIL import Image
from ultralytics.data.augment import LetterBox
from ultralytics.models.rtdetr.predict import RTDETRPredictor
from ultralytics_own import BUS, PREDICTORS, theirs

import edgeopt
from edgeopt.bundles.device.edgeopt_runner.detection import detect
from edgeopt.bundles.device.edgeopt_runner.picture import prepare_picture
from edgeopt.bundles.postprocess import settled_postprocess
from edgeopt.contracts.signature import Signature, TensorSpec

BOXES = 1500
"""Candidates, so that suppression has much to do."""


def photograph():
    with Image.open(BUS) as picture:
        return picture.convert("RGB")


def settled(spec, outputs):
    """Returns the manifest's postprocess, as a bundle of these outputs would have it."""
    names = [f"output_{n}" for n in range(len(outputs))]
    specs = tuple(
        TensorSpec(n, tuple(o.shape), "float32") for n, o in zip(names, outputs, strict=True)
    )
    whole = settled_postprocess(spec, Signature((), specs), None)
    plain = msgspec.to_builtins(whole)
    return {**plain, "classes": plain.get("classes")}, dict(zip(names, outputs, strict=True))


def raw(named):
    """Returns the input made of the photograph, where it lies in it, and what the model makes of it."""
    plain = msgspec.to_builtins(named.preprocess)
    array, placement = prepare_picture(photograph(), plain)
    with torch.no_grad():
        result = named.model(torch.from_numpy(np.ascontiguousarray(array)))
    outputs = result if isinstance(result, tuple) else (result,)
    return array, placement, [one.numpy().copy() for one in outputs]


@pytest.mark.parametrize("size", ["320", "256x448"])
@pytest.mark.parametrize("task", list(PREDICTORS))
@pytest.mark.parametrize("version", ["yolo11n", "yolov8n", "yolo26n"])
def test_boxes_scores_masks_keypoints_and_angles_are_ultralytics_own(version, task, size):
    named = edgeopt.load_model(f"ultralytics:{version}{task}.yaml,weights=random,size={size}")
    array, placement, outputs = raw(named)
    classes = named.model.model[-1].nc
    best = outputs[0][0, 4 : 4 + classes].max(0)
    confidence = float(np.sort(best)[max(-BOXES, -len(best))])
    spec, arrays = settled(named.postprocess.replace(confidence=confidence), outputs)
    ours = detect(arrays, spec, placement)
    want = theirs(PREDICTORS[task], named, outputs, array, confidence)
    boxes = want.obb if task == "-obb" else want.boxes
    assert len(ours) == len(boxes) > 50
    assert np.array_equal(ours.classes, boxes.cls.numpy())
    assert np.abs(ours.scores - boxes.conf.numpy()).max() < 1e-4
    if task == "-obb":
        assert np.abs(ours.boxes - boxes.xywhr[:, :4].numpy()).max() < 1e-4
        assert np.abs(ours.angles - boxes.xywhr[:, 4].numpy()).max() < 1e-4
    else:
        assert np.abs(ours.boxes - boxes.xyxy.numpy()).max() < 1e-4
    if task == "-seg":
        unlike = ours.masks != want.masks.data.numpy().astype(bool)
        assert unlike.mean() < 1e-6  # a pixel whose sum is 0 but for the last bits
    if task == "-pose":
        assert np.abs(ours.keypoints - want.keypoints.data.numpy()).max() < 1e-4


@pytest.mark.parametrize("size", [(320, 320), (256, 448), (640, 640)])
def test_the_letterbox_is_ultralytics_own(size):
    named = edgeopt.load_model("ultralytics:yolo11n.yaml", weights="random", size=size)
    ours, _ = prepare_picture(photograph(), msgspec.to_builtins(named.preprocess))
    picture = cv2.cvtColor(cv2.imread(str(BUS)), cv2.COLOR_BGR2RGB)
    want = LetterBox(size, auto=False)(image=picture).transpose(2, 0, 1)[None] / np.float32(255)
    steps = np.abs(ours - want) * 255  # decoders of JPEG may differ by themselves
    assert steps.max() <= 3
    assert steps.mean() < 0.2


def test_transformer_detectors_too():
    named = edgeopt.load_model("ultralytics:rtdetr-l.yaml,weights=random,size=256")
    array, placement, outputs = raw(named)
    confidence = float(np.sort(outputs[0][0, :, 4])[-200])
    spec, arrays = settled(named.postprocess.replace(confidence=confidence), outputs)
    ours = detect(arrays, spec, placement)
    want = theirs(RTDETRPredictor, named, outputs, array, confidence).boxes
    assert len(ours) == len(want) == 199
    assert np.array_equal(ours.classes, want.cls.numpy())
    width, height = photograph().size  # ours are cut where the picture ends
    limits = np.array([width, height, width, height])
    assert np.abs(ours.boxes - want.xyxy.numpy().clip(0, limits)).max() < 1e-3


def test_classes_are_ultralytics_own():
    named = edgeopt.load_model("ultralytics:yolo11n-cls.yaml,weights=random,size=64")
    assert named.task == "classification"
    ours, _ = prepare_picture(photograph(), msgspec.to_builtins(named.preprocess))
    with torch.no_grad():
        probabilities = named.model(torch.from_numpy(np.ascontiguousarray(ours)))
    assert named.postprocess.activation == "none"
    assert float(probabilities.sum()) == pytest.approx(1.0, abs=1e-5)


def test_a_detector_that_was_trained_finds_what_its_own_library_finds():
    package = pytest.importorskip("uitag")
    folder = Path(package.__path__[0])
    named = edgeopt.load_model(f"ultralytics:{folder}/models/yolo-ui.pt")
    assert named.labels[:2] == ("Button", "Menu")
    own = ultralytics.YOLO(folder / "models" / "yolo-ui.pt").model.float().eval()
    array, _, outputs = raw(named)
    with torch.no_grad():
        want = own(torch.from_numpy(array.copy()))[0].numpy()
    assert np.abs(outputs[0] - want).max() < 1e-3
