"""The program without Python tells what outputs mean: the numbers, and the drawn pixels, of run.py."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from tellers import assert_same, both, photograph, run

import edgeopt
from edgeopt import Classification, Detection, Embedding, Preprocess, Segmentation
from edgeopt.bundles import write_bundle
from edgeopt.bundles.device.edgeopt_runner.detection import Detections
from edgeopt.bundles.device.edgeopt_runner.draw import draw_outline, pen_of
from edgeopt.options import CompileOptions
from edgeopt.registry.target_registry import find_target
from edgeopt_tvm import TVMBackend

pytestmark = pytest.mark.slow
SIZE, COUNT = (64, 48), 10_000
HOST = find_target("host")
LETTERBOX = Preprocess(
    input="pixels", resize=SIZE, fit="letterbox", antialias=False, inside=True, fill=(0.0,)
)
SHAPES = {
    "boxes": (1, 7, COUNT),
    "keypoints": (1, 11, 40),
    "areas": (1, 5, 16, 12),
    "classes": (2, 7),
    "vectors": (1, 6, 8),
}
AFTER = {
    "boxes": Detection.yolo(3, iou=0.5, activation="sigmoid"),
    "keypoints": Detection.yolo(1, keypoints=(2, 3)),
    "areas": Segmentation(),
    "classes": Classification(top=3, threshold=0.1),
    "vectors": Embedding(pooling="mean"),
}
LABELS = {"boxes": ["cat", "gr\u00f6\u00dfe", "a\tb"], "classes": [f"class {n}" for n in range(7)]}


class Twice(torch.nn.Module):
    """Gives back what it is told to find: twice the values."""

    def forward(self, pixels, values):
        return {"y": values * 2.0, "mean": pixels.float().mean((1, 2))}


@pytest.fixture(scope="module")
def write(tmp_path_factory):
    """Returns a function: kind, and what the outputs mean, to a bundle."""
    artifacts = {}

    def made(kind, postprocess=None, before=LETTERBOX, target=HOST):
        if (kind, target.name) not in artifacts:
            pixels, values = torch.zeros(1, *SIZE, 3, dtype=torch.uint8), torch.zeros(SHAPES[kind])
            program = edgeopt.capture(Twice().eval(), {"pixels": pixels, "values": values})
            backend = TVMBackend()
            lowered = backend.lower(program, target)
            artifacts[kind, target.name] = backend.compile(lowered, CompileOptions())
        return write_bundle(
            artifacts[kind, target.name], TVMBackend().device_runtime(target), target, preprocess=before,
            path=tmp_path_factory.mktemp(kind) / "bundle", postprocess=postprocess or AFTER[kind],
            labels=LABELS.get(kind) if postprocess is None else None,
        )  # fmt: skip

    return made


@pytest.fixture(scope="module")
def bundles(write):
    """Returns a bundle of each kind, made when it is first asked for."""

    class Bundles(dict):
        def __missing__(self, kind):
            self[kind] = write(kind)
            return self[kind]

    return Bundles()


def heads(seed, count=COUNT, found=200):
    """Returns a detector's values: clusters of boxes above the threshold, the rest below."""
    rng = np.random.default_rng(seed)
    values = np.zeros((1, 7, count), np.float32)
    middle = rng.uniform(5, 45, (12, 2))[rng.integers(0, 12, count)] + rng.normal(0, 2, (count, 2))
    values[0, :2], values[0, 2:4] = middle.T, rng.uniform(4, 20, (2, count))
    values[0, 4:] = -20
    rows = rng.permutation(count)[:found]
    values[0, 4 + rng.integers(0, 3, found), rows] = rng.uniform(-2, 3, found)
    return values / 2


@pytest.mark.parametrize("found", [0, 1, 200, COUNT])
def test_boxes_are_those_of_run_py(bundles, tmp_path, found):
    photograph(tmp_path)
    native, expected = both(bundles["boxes"], tmp_path, heads(found, found=found))
    assert_same(native, expected)
    assert (len(native["objects"]) > 0) == (found > 0)
    assert len(native["objects"]) <= 300


@pytest.mark.parametrize(
    "fields",
    [
        {"units": "normalized", "box_format": "xywh", "agnostic": True},
        {"box_format": "yxyx", "activation": "softmax", "background": "last", "confidence": 0.1},
        {"box_format": "xyxy", "background": "first", "max_detections": 7, "confidence": 0.0},
        {"nms": False, "max_detections": 20},
    ],
)
def test_every_kind_of_head(write, tmp_path, fields):
    bundle = write("boxes", Detection.yolo(3, **{"activation": "sigmoid", **fields}))
    photograph(tmp_path)
    values = heads(3)
    if fields.get("units"):
        values[0, :4] /= 64
    native, expected = both(bundle, tmp_path, values)
    assert_same(native, expected)
    assert native["objects"]


@pytest.mark.parametrize("size", [(90, 130), (600, 801), (64, 48), (3, 200)])
def test_drawn_boxes_are_the_pixels_of_run_py(bundles, tmp_path, size):
    photograph(tmp_path, size)
    native, _ = both(bundles["boxes"], tmp_path, heads(1))
    words = ["--input", f"pixels={tmp_path / 'p.ppm'}", "--input", tmp_path / "v.npy"]
    run(bundles["boxes"], *words, "--draw", tmp_path / "d.ppm", "--output", tmp_path / "y.npy")
    found = Detections(np.array([o["box"] for o in native["objects"]], np.float32), [],
                       [o["class"] for o in native["objects"]])  # fmt: skip
    with Image.open(tmp_path / "p.ppm") as picture:
        picture.load()
    pen, width = pen_of(picture)
    for number in reversed(range(len(found.boxes))):
        draw_outline(pen, found, number, width)
    with Image.open(tmp_path / "d.ppm") as drawn:
        np.testing.assert_array_equal(np.asarray(drawn), np.asarray(picture))


def test_keypoints(bundles, tmp_path):
    photograph(tmp_path)
    values = np.random.default_rng(0).uniform(0, 30, SHAPES["keypoints"])
    values[0, 4] = np.linspace(0, 0.5, 40)
    native, expected = both(bundles["keypoints"], tmp_path, values)
    assert_same(native, expected)
    assert len(native["objects"][0]["keypoints"]) == 2


@pytest.mark.parametrize("fields", [{}, {"upsample": "nearest"}])
@pytest.mark.parametrize("size", [(90, 130), (64, 48), (9, 100)])
def test_areas(write, bundles, tmp_path, fields, size):
    pixels = photograph(tmp_path, size)
    bundle = write("areas", Segmentation(**fields)) if fields else bundles["areas"]
    values = np.random.default_rng(0).standard_normal(SHAPES["areas"])
    native, expected = both(bundle, tmp_path, values)
    assert_same(native, expected)
    words = ["--input", f"pixels={tmp_path / 'p.ppm'}", "--input", tmp_path / "v.npy"]
    run(bundle, *words, "--result", tmp_path / "c.pgm", "--draw", tmp_path / "d.ppm")
    with Image.open(tmp_path / "c.pgm") as picture:
        classes = np.asarray(picture)
    assert classes.shape == size
    shares = {one["class"]: one["share"] for one in native["areas"]}
    assert shares == {n: pytest.approx((classes == n).mean()) for n in np.unique(classes)}
    with Image.open(tmp_path / "d.ppm") as picture:
        drawn = np.asarray(picture)
    np.testing.assert_array_equal(drawn[classes == 0], pixels[classes == 0])
    tinted = pixels[classes == 1] * 0.55 + np.array([60, 180, 75]) * 0.45
    np.testing.assert_array_equal(drawn[classes == 1], tinted.astype(np.uint8))


def test_areas_of_one_class_and_of_numbers(write, tmp_path):
    photograph(tmp_path)
    values = np.random.default_rng(0).standard_normal((1, 5, 16, 12))
    native, expected = both(
        write("areas", Segmentation(values="scores", axis=-3)), tmp_path, values
    )
    assert_same(native, expected)
    SHAPES["one"] = (1, 1, 16, 12)
    for fields in ({"values": "binary", "threshold": 0.6}, {"values": "classes"}):
        after = Segmentation(**fields)
        native, expected = both(write("one", after), tmp_path, np.abs(values[:, :1]).round(0))
        assert_same(native, expected)


@pytest.mark.parametrize("top", [(), ("--top", "5")])
def test_classes_with_their_names(bundles, tmp_path, top):
    photograph(tmp_path)
    values = np.random.default_rng(0).standard_normal(SHAPES["classes"])
    native, expected = both(bundles["classes"], tmp_path, values, *top)
    assert_same(native, expected)
    assert native["rows"][0][0]["label"].startswith("class ")


@pytest.mark.parametrize("fields", [{}, {"pooling": "first"}, {"normalize": False}])
def test_vectors(write, bundles, tmp_path, fields):
    photograph(tmp_path)
    bundle = write("vectors", Embedding(**fields)) if fields else bundles["vectors"]
    values = np.random.default_rng(0).standard_normal(SHAPES["vectors"])
    native, expected = both(bundle, tmp_path, values)
    assert_same(native, expected)
    words = ["--input", f"pixels={tmp_path / 'p.ppm'}", "--input", tmp_path / "v.npy"]
    run(bundle, *words, "--result", tmp_path / "r.npy")
    np.testing.assert_allclose(np.load(tmp_path / "r.npy"), expected["rows"], atol=1e-6)


def test_what_cannot_be_told_is_refused(write, bundles, tmp_path):
    photograph(tmp_path)
    np.save(tmp_path / "v.npy", heads(0))
    np.save(tmp_path / "pixels.npy", np.zeros((1, *SIZE, 3), np.uint8))
    photo, values = f"pixels={tmp_path / 'p.ppm'}", f"values={tmp_path / 'v.npy'}"
    words = ["--input", photo, "--input", values]
    boxes = bundles["boxes"]
    assert ".ppm expected" in run(boxes, *words, "--draw", "d.png", code=2)
    assert "--result writes areas" in run(boxes, *words, "--result", "c.pgm", code=2)
    plain = ["--input", f"pixels={tmp_path / 'pixels.npy'}", "--input", values]
    assert "--draw draws on a picture" in run(boxes, *plain, "--draw", "d.ppm", code=2)
    assert "--each goes with" in run(boxes, *plain, "--each", "--json", "-", code=2)
    (tmp_path / "p.ppm").write_bytes((tmp_path / "p.ppm").read_bytes()[:-1])
    assert "ends early" in run(boxes, *words, code=2)
    values = heads(0)
    values[0, 5, 7] = np.nan
    np.save(tmp_path / "v.npy", values)
    assert "scores are NaN" in run(boxes, *plain, code=1)
    run(boxes, *plain, "--output", f"y={tmp_path / 'y.npy'}")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), values * 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, 2.0**31])
def test_classes_that_are_no_numbers(write, tmp_path, value):
    photograph(tmp_path)
    given = ["--input", f"pixels={tmp_path / 'p.ppm'}", "--input", f"values={tmp_path / 'v.npy'}"]
    heads = np.zeros((1, 7, COUNT), np.float32)
    heads[0, 4, :9], heads[0, 5, 8] = 0.9, value
    after = Detection.yolo(3, end_to_end=True, confidence=0.25)
    after = after.replace(
        **{n: getattr(after, n).replace(axis=1) for n in ("boxes", "scores", "classes")}
    )
    areas = np.ones((1, 1, 16, 12), np.float32)
    areas[0, 0, 3, 4] = value
    SHAPES["one"] = areas.shape
    for kind, one, values in (
        ("boxes", after, heads),
        ("one", Segmentation(values="classes"), areas),
    ):
        np.save(tmp_path / "v.npy", values)
        assert "NaN" in run(write(kind, one), *given, code=1)


def test_a_bundle_that_does_not_say_what_it_means(write, tmp_path):
    bundle = write("classes", before=None, postprocess=Classification())
    said = run(bundle, "--input", "a.npy", "--input", "b.npy", "--method", "other", code=2)
    assert "the methods are: forward" in said


@pytest.mark.qemu
@pytest.mark.parametrize("arch", ["aarch64", "armv7"])
def test_a_device_without_python_finds_the_same_boxes(
    write, bundles, tmp_path, arch, emulator, without_python
):
    by = [emulator(arch)]
    bundle = write("boxes", target=without_python(arch))
    photograph(tmp_path)
    np.save(tmp_path / "v.npy", heads(2))
    words = ["--input", f"pixels={tmp_path / 'p.ppm'}", "--input", tmp_path / "v.npy"]
    told = []
    for name, one, start in (("a", bundle, by), ("b", bundles["boxes"], [])):
        drawn = tmp_path / f"{name}.ppm"
        told.append(json.loads(run(one, *words, "--draw", drawn, "--json", "-", by=start)))
    assert_same(*told)
    assert told[0]["objects"]
    assert (tmp_path / "a.ppm").read_bytes() == (tmp_path / "b.ppm").read_bytes()
