"""Every task of ultralytics end to end: a photograph in, a drawing out, here and on an emulated Raspberry Pi 4.

What the runner tells is what ultralytics' own predictors tell of the very outputs that the runner had.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import PurePosixPath

import numpy as np
import pytest
import torch
from PIL import Image
from ultralytics.engine.results import Results
from ultralytics_own import BUS, PREDICTORS, theirs

import edgeopt
from edgeopt.bundles import read_bundle
from edgeopt.devices import EmulatedDevice

TASKS = (*PREDICTORS, "-cls")
SIZE = 160


@pytest.fixture(scope="module")
def models():
    """Name of a task to the model."""
    return {
        task: edgeopt.load_model(f"ultralytics:yolo11n{task}.yaml,weights=random,size={SIZE}")
        for task in TASKS
    }


@pytest.fixture(scope="module")
def bundles(models, tmp_path_factory):
    """Name of a task to its bundle for the Raspberry Pi, which tells some hundred boxes."""
    folder = tmp_path_factory.mktemp("bundles")
    return {task: deployed(named, folder / f"yolo{task}") for task, named in models.items()}


def deployed(named, path):
    bundle = {}
    if isinstance(named.postprocess, edgeopt.Detection):
        pictures = edgeopt.pictures([BUS], named.preprocess)
        with torch.no_grad():
            result = named.model(torch.from_numpy(next(iter(pictures))))
        rows = result[0] if isinstance(result, tuple) else result
        best = rows[0, 4 : 4 + named.model.model[-1].nc].max(0).values
        confidence = float(best.sort().values[-250])
        bundle = {"postprocess": named.postprocess.replace(confidence=confidence)}
    edgeopt.deploy(named, "rpi4", backend="tflite", precision="float32", bundle=bundle, output=path)
    return path


WORDS = ("--draw", "drawn.png", "--json", "told.json", "--output", "raw.npz")


def here(bundle, folder):
    command = [sys.executable, str(bundle / "run.py"), "--image", str(BUS), *WORDS]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def emulated(bundles, folder):
    """Runs every bundle on one emulated device; returns a folder for each, with what came of it."""
    with EmulatedDevice(mcpu="cortex-a72") as device:
        site = device.workdir() / "site"
        requirements = read_bundle(bundles[""]).manifest.requirements
        device.install([*requirements, "pillow"], site)
        device.push(BUS, PurePosixPath("bus.jpg"))
        for task, bundle in bundles.items():
            place = PurePosixPath(f"yolo{task}")
            device.push(bundle, place)
            command = ["python3", str(place / "run.py"), "--image", "bus.jpg", *WORDS]
            done = device.run(command, env={"PYTHONPATH": str(site)})
            assert done.returncode == 0, done.stderr
            (folder / f"pi{task}").mkdir()
            for name in WORDS[1::2]:
                device.pull(PurePosixPath(name), folder / f"pi{task}" / name)
    return {task: folder / f"pi{task}" for task in bundles}


def raw(folder):
    arrays = np.load(folder / "raw.npz")
    return [arrays[name] for name in sorted(arrays)]


def check(task, named, bundle, folder):
    """Holds what was told against what ultralytics tells of the same outputs."""
    told = json.loads((folder / "told.json").read_text())
    with Image.open(folder / "drawn.png") as drawing, Image.open(BUS) as photograph:
        assert drawing.size == photograph.size
        assert np.abs(np.asarray(drawing, int) - np.asarray(photograph, int)).max() > 100
    outputs = raw(folder)
    if task == "-cls":
        want = Results(np.zeros((8, 8, 3), np.uint8), "", {}, probs=torch.from_numpy(outputs[0][0]))
        assert [one["class"] for one in told["rows"][0]] == want.probs.top5
        ours = [one["probability"] for one in told["rows"][0]]
        assert np.abs(np.subtract(ours, want.probs.top5conf.numpy())).max() < 1e-4
        return
    confidence = read_bundle(bundle).manifest.postprocess.confidence
    array = np.zeros((1, 3, SIZE, SIZE), np.float32)
    want = theirs(PREDICTORS[task], named, outputs, array, confidence)
    compare(task, told["objects"], want)


def compare(task, ours, want):
    boxes = want.obb if task == "-obb" else want.boxes
    assert len(ours) == len(boxes) > 20
    assert [one["class"] for one in ours] == boxes.cls.int().tolist()
    assert apart([one["score"] for one in ours], boxes.conf) < 1e-4
    if task == "-obb":
        rows = [[*one["middle"], *one["size"], one["angle"]] for one in ours]
        assert apart(rows, boxes.xywhr) < 1e-4
        return
    assert apart([one["box"] for one in ours], boxes.xyxy) < 1e-4
    if task == "-pose":
        assert apart([one["keypoints"] for one in ours], want.keypoints.data) < 1e-4
    if task == "-seg":
        assert all(sum(one["mask"]["counts"]) == np.prod(one["mask"]["size"]) for one in ours)


def apart(ours, want):
    return float(np.abs(np.asarray(ours) - want.numpy()).max())


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_here(task, models, bundles, tmp_path):
    check(task, models[task], bundles[task], here(bundles[task], tmp_path))


@pytest.mark.slow
@pytest.mark.qemu
def test_on_the_emulated_pi(models, bundles, tmp_path):
    for task, folder in emulated(bundles, tmp_path).items():
        check(task, models[task], bundles[task], folder)
