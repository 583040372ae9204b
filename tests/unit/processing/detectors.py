"""Holds our postprocessing against ultralytics' own, on the same outputs; a program of its own.

Prints, as JSON, case to what differs: the number of boxes, and largest differences.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import numpy as np
import torch
from PIL import Image

import edgeopt
from edgeopt.bundles.device.edgeopt_runner.detection import detect
from edgeopt.bundles.device.edgeopt_runner.picture import Placement, prepare_picture

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
INPUT, PICTURE = (640, 640), (427, 610)
KINDS = {
    "detect": (80, 0, {}),
    "segment": (3, 32, {"masks": 32, "prototypes": "p"}),
    "pose": (1, 51, {"keypoints": (17, 3)}),
    "obb": (15, 1, {"rotated": True}),
}


def placed() -> Placement:
    """Returns where a picture of that size lies in the input."""
    picture = Image.new("RGB", PICTURE[::-1])
    spec = edgeopt.Preprocess(resize=INPUT, fit="letterbox", antialias=False)
    return prepare_picture(picture, msgspec.to_builtins(spec))[1]


def head(rng, count, classes, extra):
    place, size = rng.uniform(0, 640, (count, 2)), rng.uniform(5, 200, (count, 2))
    # no two are equal: of those ultralytics leaves the order to a sort that is not stable
    scores = rng.permutation(count * classes).reshape(count, classes) / (count * classes)
    scores = scores**3
    more = rng.normal(size=(count, extra)) * (100 if extra == 51 else 1)
    return np.concatenate([place, size, scores, more], 1).T[None].astype(np.float32)


def theirs(kind, outputs, prototypes, classes):
    """Returns boxes, scores, classes and what belongs to them, as ultralytics' predictors do."""
    from ultralytics.utils import ops
    from ultralytics.utils.nms import non_max_suppression

    values = torch.from_numpy(outputs.copy())
    rows = non_max_suppression(values, 0.25, 0.7, max_det=300, nc=classes, rotated=kind == "obb")[0]
    extra = {}
    if kind == "segment" and len(rows):
        masks = ops.process_mask(prototypes, rows[:, 6:], rows[:, :4], INPUT, upsample=True)
        seen = masks.amax((-2, -1)) > 0
        rows, extra["masks"] = rows[seen], masks[seen].numpy().astype(bool)
    if kind == "obb":
        extra["angles"] = rows[:, 6].numpy()
        boxes = ops.scale_boxes(INPUT, rows[:, :4].clone(), PICTURE, xywh=True)
    else:
        boxes = ops.scale_boxes(INPUT, rows[:, :4].clone(), PICTURE)
    if kind == "pose":
        points = rows[:, 6:].reshape(len(rows), 17, 3).clone()
        extra["keypoints"] = ops.scale_coords(INPUT, points, PICTURE).numpy()
    return {
        "boxes": boxes.numpy(),
        "scores": rows[:, 4].numpy(),
        "classes": rows[:, 5].numpy(),
        **extra,
    }


def difference(ours, peer):
    """Returns the largest difference of each part; the word ``count`` where there are more or fewer."""
    if any(len(getattr(ours, name)) != len(values) for name, values in peer.items()):
        return "count"
    return {
        name: float(np.abs(getattr(ours, name).astype(np.float64) - values).max(initial=0))
        for name, values in peer.items()
    }


def main() -> None:
    from _any_model.packages import make_importable

    library = make_importable()
    rng, place, results = np.random.default_rng(0), placed(), {}
    for kind, (classes, extra, options) in KINDS.items():
        spec = edgeopt.Detection.yolo(classes, output="y", **options)
        for count in (1, 300, 3000):
            outputs, prototypes = (
                head(rng, count, classes, extra),
                rng.normal(size=(1, 32, 160, 160)),
            )
            prototypes = prototypes.astype(np.float32)
            ours = detect({"y": outputs, "p": prototypes}, msgspec.to_builtins(spec), place)
            peer = theirs(kind, outputs, torch.from_numpy(prototypes[0]), classes)
            results[f"{kind} {count}"] = {"boxes found": len(ours), "off": difference(ours, peer)}
    end = rng.uniform(0, 640, (1, 300, 6)).astype(np.float32)
    end[..., 4] = np.sort(rng.uniform(0, 1, 300))[::-1]
    end[..., 5] = rng.integers(0, 80, 300)
    spec = edgeopt.Detection.yolo(80, output="y", end_to_end=True)
    ours = detect({"y": end}, msgspec.to_builtins(spec), place)
    results["end to end"] = {
        "boxes found": len(ours),
        "off": difference(ours, theirs("detect", end, None, 80)),
    }
    del library
    sys.stdout.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
