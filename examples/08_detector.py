"""A detector by name: picture in, boxes out, on this machine and on an emulated Raspberry Pi 4.

    python examples/08_detector.py [folder] [--quick] [--model NAME] [--picture FILE]

What to look at: ``edgeopt.load_model`` knows how pictures become inputs (a letterbox), what the
outputs mean and how the classes are called; the bundle's own ``run.py`` draws the boxes; and they are
those of ultralytics' own postprocessing of the same outputs.

The model is the detector of elements of user interfaces that the package uitag carries, which was
trained, and its screenshot; without that package YOLO11n with random weights, whose boxes mean nothing.
Needs ultralytics.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import numpy as np
import torch
import ultralytics
from ultralytics.utils import nms, ops

import edgeopt
from edgeopt.bundles import read_bundle
from edgeopt.devices import EmulatedDevice
from edgeopt.measure import PlacedBundle

TOLERANCE = 1e-4
SIZE, QUICK = (384, 640), (320, 512)
"""Height and width of the input: of about the shape of the pictures, so that a letterbox fills little."""
MANY = 0.0001
"""A confidence at which there are hundreds of boxes, so that suppression has much to do."""


def chosen() -> tuple[str, Path]:
    """Returns a trained detector and a picture for it, or an untrained one."""
    trained = importlib.util.find_spec("uitag")
    if trained is not None and trained.origin:
        folder = Path(trained.origin).parent
        return (
            f"ultralytics:{folder}/models/yolo-ui.pt",
            folder / "assets/vscode-dark-1920x1080.png",
        )
    picture = Path(ultralytics.__file__).parent / "assets" / "bus.jpg"
    return "ultralytics:yolo11n.yaml,weights=random", picture


def deployed(named: edgeopt.NamedModel, target: str, folder: Path, confidence: float) -> Path:
    """Returns the bundle for ``target``, which tells boxes above ``confidence``."""
    if not isinstance(named.postprocess, edgeopt.Detection):
        sys.exit(f"{named.name} is no detector: {named.task}")
    deployment = edgeopt.deploy(
        named,
        target,
        precision="float32",
        backend="tflite",
        output=folder,
        bundle={
            "overwrite": True,
            "postprocess": named.postprocess.replace(confidence=confidence),
        },
    )
    print(f"{target}: {deployment.precision}, {deployment.size_bytes / 1e6:.1f} MB in {folder}")
    return folder


def compare(prediction: edgeopt.Prediction, classes: int, confidence: float) -> None:
    """Holds the boxes against those that ultralytics makes of the same outputs."""
    sys.modules.pop("torchvision", None)  # where it is imported, ultralytics takes its kernel
    raw = torch.from_numpy(prediction.outputs[0].copy())
    (rows,) = nms.non_max_suppression(raw, confidence, 0.7, nc=classes, max_det=300)
    height, width = prediction.answer.placement.input
    rows[:, :4] = ops.scale_boxes((height, width), rows[:, :4], prediction.answer.placement.picture)
    ours = prediction.detections
    theirs = rows.numpy()
    if len(ours) != len(theirs) or not np.array_equal(ours.classes, theirs[:, 5]):
        sys.exit(f"{len(ours)} boxes, of ultralytics {len(theirs)}")
    unlike = max(
        float(np.abs(ours.boxes - theirs[:, :4]).max(initial=0)),
        float(np.abs(ours.scores - theirs[:, 4]).max(initial=0)),
    )
    print(f"{len(ours)} boxes above {confidence}: at most {unlike:.1e} from ultralytics' own")
    if unlike > TOLERANCE:
        sys.exit("THEY DIFFER")


def drawn_here(bundle: Path, picture: Path, folder: Path) -> dict:
    """Returns what the bundle's runner finds on this machine; it draws that too."""
    words = ["--image", str(picture), "--draw", str(folder / "host.png"), "--json", "-"]
    command = [sys.executable, str(bundle / "run.py"), *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def drawn_on_pi(path: Path, picture: Path, folder: Path) -> dict:
    """Returns what the same bundle finds on an emulated Raspberry Pi 4, and fetches its drawing."""
    bundle = read_bundle(path)
    with EmulatedDevice(mcpu="cortex-a72") as device:
        print("\n".join(PlacedBundle.push(bundle, device).verify().lines))
        site = device.workdir() / "site"
        device.install([*bundle.manifest.requirements, "pillow"], site)
        device.push(path, PurePosixPath("bundle"))
        device.push(picture, PurePosixPath(picture.name))
        words = ["--image", picture.name, "--draw", "pi.png", "--json", "-"]
        done = device.run(["python3", "bundle/run.py", *words], env={"PYTHONPATH": str(site)})
        if done.returncode:
            sys.exit(done.stderr)
        device.pull(PurePosixPath("pi.png"), folder / "pi.png")
    return json.loads(done.stdout)


def apart(here: dict, there: dict) -> float:
    """Returns how far the boxes of two answers are apart, in pixels; infinite where they are others."""
    pairs = list(zip(here["objects"], there["objects"], strict=False))
    same = len(here["objects"]) == len(there["objects"])
    if not same or any(one["class"] != other["class"] for one, other in pairs):
        return float("inf")
    boxes = [np.subtract(one["box"], other["box"]) for one, other in pairs]
    return float(np.abs(boxes).max(initial=0))


def main(arguments: argparse.Namespace) -> None:
    """Deploys, compares, draws."""
    name, picture = chosen()
    name, picture = arguments.model or name, arguments.picture or picture
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    named = edgeopt.load_model(name, size=QUICK if arguments.quick else SIZE)
    print(f"{named.name}: {named.task}, weights {named.weights}, {len(named.labels)} names")

    for confidence in (0.25, MANY):
        bundle = deployed(named, "host", folder / "host", confidence)
        prediction = edgeopt.predict(bundle, picture)
        compare(prediction, int(named.model.yaml["nc"]), confidence)

    bundle = deployed(named, "rpi4", folder / "rpi4", 0.25)
    here = drawn_here(bundle, picture, folder)
    for one in here["objects"][:5]:
        print(f"  {one.get('label', one['class'])} {one['score']:.2f} at {np.round(one['box'])}")
    if shutil.which("qemu-aarch64-static") is None:
        print("qemu-user-static is not installed: the emulated Raspberry Pi is left out")
        return
    pixels = apart(here, drawn_on_pi(bundle, picture, folder))
    print(f"drawn: {folder}/host.png, and on the emulated Raspberry Pi 4 {folder}/pi.png")
    print(f"the same {len(here['objects'])} boxes, within {pixels:.3f} pixels")
    if pixels > 1:
        sys.exit("THE TWO DISAGREE")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("out/detector"))
    parser.add_argument("--quick", action="store_true", help="a smaller input")
    parser.add_argument("--model", help="any detector of ultralytics, by name")
    parser.add_argument("--picture", type=Path)
    main(parser.parse_args())
