"""The program without Python tells masks of boxes and rotated boxes: the numbers, and the pixels, of run.py."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from tellers import assert_same, photograph, python, run

import edgeopt
from edgeopt import Detection, Preprocess
from edgeopt.bundles import write_bundle
from edgeopt.bundles.device.edgeopt_runner.detection import Detections
from edgeopt.bundles.device.edgeopt_runner.draw import draw_outline, pen_of
from edgeopt.options import CompileOptions
from edgeopt.registry.target_registry import find_target
from edgeopt_tvm import TVMBackend

pytestmark = pytest.mark.slow
SIZE, COUNT, PROTOTYPES = (64, 48), 3000, 8
HOST = find_target("host")
LETTERBOX = Preprocess(
    input="pixels", resize=SIZE, fit="letterbox", antialias=False, inside=True, fill=(0.0,)
)
MASKS = Detection.yolo(3, masks=PROTOTYPES, prototypes="areas", iou=0.5)
ROTATED = Detection.yolo(3, rotated=True, iou=0.3)


class Given(torch.nn.Module):
    """Gives back what it is told to find."""

    def forward(self, pixels, values, prototypes):
        return {"y": values * 2.0, "areas": prototypes * 2.0, "mean": pixels.float().mean((1, 2))}


@pytest.fixture(scope="module")
def write(tmp_path_factory):
    """Returns a function: what the outputs mean, and a device, to a bundle."""
    artifacts = {}

    def made(postprocess, target=HOST):
        channels = 7 + (PROTOTYPES if postprocess.masks else 1)
        if (channels, target.name) not in artifacts:
            inputs = {
                "pixels": torch.zeros(1, *SIZE, 3, dtype=torch.uint8),
                "values": torch.zeros(1, channels, COUNT),
                "prototypes": torch.zeros(1, PROTOTYPES, 16, 12),
            }
            backend = TVMBackend()
            lowered = backend.lower(edgeopt.capture(Given().eval(), inputs), target)
            artifacts[channels, target.name] = backend.compile(lowered, CompileOptions())
        return write_bundle(
            artifacts[channels, target.name], TVMBackend().device_runtime(target), target,
            preprocess=LETTERBOX, path=tmp_path_factory.mktemp("instances") / "bundle",
            postprocess=postprocess, labels=["cat", "dog", "fish"],
        )  # fmt: skip

    return made


@pytest.fixture(scope="module")
def segmenter(write):
    return write(MASKS)


@pytest.fixture(scope="module")
def rotated(write):
    return write(ROTATED)


def heads(channels, seed, found=40):
    """Returns a detector's values, halved as `Given` doubles them: clusters of boxes, most below the threshold.

    Coefficients and prototypes are small whole numbers, whose sums are exact in any order.
    """
    rng = np.random.default_rng(seed)
    values = np.zeros((1, channels, COUNT), np.float32)
    middle = rng.uniform(5, 45, (12, 2))[rng.integers(0, 12, COUNT)] + rng.normal(0, 2, (COUNT, 2))
    values[0, :2], values[0, 2:4] = middle.T, rng.uniform(4, 20, (2, COUNT))
    values[0, 4 + rng.integers(0, 3, found), rng.permutation(COUNT)[:found]] = rng.uniform(
        0.3, 1, found
    )
    if channels > 8:
        values[0, 7:] = rng.integers(-4, 5, (PROTOTYPES, COUNT))
    else:
        values[0, 7] = rng.uniform(-4, 4, COUNT)
    prototypes = rng.integers(-4, 5, (1, PROTOTYPES, 16, 12))
    return values / 2, prototypes.astype(np.float32) / 2


def words_of(folder, values, prototypes):
    np.save(folder / "v.npy", values)
    np.save(folder / "p.npy", prototypes)
    return ["--input", f"values={folder / 'v.npy'}", "--input", f"prototypes={folder / 'p.npy'}"]


def both(bundle, folder, values, prototypes):
    """Returns what both tell, as JSON."""
    words = [*words_of(folder, values, prototypes), "--json", "-"]
    photo = folder / "p.ppm"
    native = run(bundle, "--input", f"pixels={photo}", *words)
    return json.loads(native), json.loads(python(bundle, "--image", photo, *words))


def drawing(bundle, folder, values, prototypes):
    words = words_of(folder, values, prototypes)
    place = folder / "d.ppm"
    run(bundle, "--input", f"pixels={folder / 'p.ppm'}", *words, "--draw", place)
    with Image.open(place) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("size", [(90, 130), (64, 48), (9, 200), (333, 57)])
@pytest.mark.parametrize("found", [0, 40])
def test_masks_are_those_of_run_py(segmenter, tmp_path, size, found):
    photograph(tmp_path, size)
    native, expected = both(segmenter, tmp_path, *heads(15, found, found))
    assert_same(native, expected)
    assert bool(native["objects"]) == bool(found)
    assert all(sum(one["mask"]["counts"]) == size[0] * size[1] for one in native["objects"])


def test_masks_of_any_numbers(segmenter, tmp_path):
    """Sums in another order may move an edge by a pixel, never more."""
    photograph(tmp_path)
    rng = np.random.default_rng(7)
    values, prototypes = heads(15, 7)
    values[0, 7:] = rng.standard_normal((PROTOTYPES, COUNT))
    prototypes = rng.standard_normal(prototypes.shape).astype(np.float32)
    native, expected = both(segmenter, tmp_path, values, prototypes)
    assert len(native["objects"]) == len(expected["objects"]) > 0
    for one, other in zip(native["objects"], expected["objects"], strict=True):
        masks = [filled(each["mask"]) for each in (one, other)]
        assert (masks[0] != masks[1]).mean() < 1e-3


def filled(mask):
    """Returns a mask of run lengths as pixels."""
    counts = mask["counts"]
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(mask["size"][::-1]).T


def test_an_object_without_a_pixel_is_none(segmenter, tmp_path):
    photograph(tmp_path)
    values, prototypes = heads(15, 3)
    native, expected = both(segmenter, tmp_path, values, -np.abs(prototypes))
    assert_same(native, expected)
    values[0, 7:] = np.abs(values[0, 7:])
    native, expected = both(segmenter, tmp_path, values, -np.abs(prototypes) - 1)
    assert native["objects"] == expected["objects"] == []


def test_masks_are_drawn_below_the_boxes(segmenter, tmp_path):
    photo = photograph(tmp_path).astype(np.float64)
    values, prototypes = heads(15, 5)
    drawn = drawing(segmenter, tmp_path, values, prototypes)
    told, _ = both(segmenter, tmp_path, values, prototypes)
    colors = np.array([(230, 25, 75), (60, 180, 75), (67, 99, 216)])
    for one in told["objects"]:
        mask = filled(one["mask"])
        photo[mask] = np.floor(photo[mask] * (1 - 0.45) + colors[one["class"]] * 0.45)
    expected = outlines(Image.fromarray(photo.astype(np.uint8)), told)
    np.testing.assert_array_equal(drawn, expected)


def outlines(picture, told):
    """Returns a picture with the boxes on it as run.py draws them, without their names."""
    objects = told["objects"]
    angles = [one["angle"] for one in objects if "angle" in one]
    boxes = [one["box"] if "box" in one else one["middle"] + one["size"] for one in objects]
    found = Detections(
        np.array(boxes, np.float32), [], [one["class"] for one in objects],
        angles=np.array(angles, np.float32) if angles else None,
    )  # fmt: skip
    pen, width = pen_of(picture)
    for number in reversed(range(len(objects))):
        draw_outline(pen, found, number, width)
    return np.asarray(picture)


@pytest.mark.parametrize("size", [(90, 130), (64, 48), (600, 801)])
@pytest.mark.parametrize("found", [1, 40, COUNT])
def test_rotated_boxes_are_those_of_run_py(rotated, tmp_path, size, found):
    photograph(tmp_path, size)
    native, expected = both(rotated, tmp_path, *heads(8, found, found))
    assert_same(native, expected)
    assert 0 < len(native["objects"]) <= 300


@pytest.mark.parametrize("fields", [{"agnostic": True}, {"units": "normalized"}, {"nms": False}])
def test_every_kind_of_rotated_head(write, tmp_path, fields):
    photograph(tmp_path)
    values, prototypes = heads(8, 11, 400)
    values[0, :4] /= 64 if "units" in fields else 1
    native, expected = both(
        write(ROTATED.replace(max_detections=50, **fields)), tmp_path, values, prototypes
    )
    assert_same(native, expected)
    assert native["objects"]


def test_lines_tell_the_angle(rotated, tmp_path):
    photograph(tmp_path)
    words = words_of(tmp_path, *heads(8, 2, 5))
    native = run(rotated, "--input", f"pixels={tmp_path / 'p.ppm'}", *words)
    assert native == python(rotated, "--image", tmp_path / "p.ppm", *words)
    assert "degrees" in native


@pytest.mark.parametrize("size", [(90, 130), (64, 48), (600, 801), (1500, 1100)])
@pytest.mark.parametrize("seed", range(3))
def test_rotated_boxes_are_drawn(rotated, tmp_path, size, seed):
    photograph(tmp_path, size)
    values, prototypes = heads(8, seed, 12)
    drawn = drawing(rotated, tmp_path, values, prototypes)
    told, _ = both(rotated, tmp_path, values, prototypes)
    with Image.open(tmp_path / "p.ppm") as picture:
        picture.load()
        expected = outlines(picture, told)
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.qemu
@pytest.mark.parametrize("arch", ["aarch64", "armv7"])
@pytest.mark.parametrize("after", [MASKS, ROTATED], ids=["masks", "rotated"])
def test_a_device_without_python_finds_the_same(
    write, segmenter, rotated, tmp_path, arch, after, emulator, without_python
):
    by, bundle = [emulator(arch)], write(after, without_python(arch))
    photograph(tmp_path)
    words = words_of(tmp_path, *heads(15 if after.masks else 8, 2))
    given = ["--input", f"pixels={tmp_path / 'p.ppm'}", *words, "--json", "-"]
    here = segmenter if after.masks else rotated
    assert_same(json.loads(run(bundle, *given, by=by)), json.loads(run(here, *given)))
