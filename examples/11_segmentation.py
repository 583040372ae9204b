"""A segmentation model by name: picture in, areas out, drawn here and on an emulated Raspberry Pi 4.

    python examples/11_segmentation.py [folder] [--quick]

What to look at: a SegFormer is trained here, in a minute, to find discs, squares and triangles that
lie on photographs, and saved as every model of Hugging Face is, with ``save_pretrained``. From then on
its folder is its name: ``hf:FOLDER`` knows how pictures become inputs, what the outputs mean and how
the classes are called. It goes to int8, its areas are scored beside float's, and the bundle's own
``run.py`` draws them. Needs transformers and scikit-image, for its photographs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import numpy as np
import skimage
import torch
from PIL import Image, ImageDraw
from torch.nn import functional
from transformers import (
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SegformerImageProcessorPil,
)

import edgeopt
from edgeopt.bundles import read_bundle
from edgeopt.devices import EmulatedDevice

NAMES = ("background", "disc", "square", "triangle")
RANGES = {
    1: ((150, 0, 0), (256, 90, 90)),
    2: ((0, 0, 150), (90, 90, 256)),
    3: ((0, 150, 0), (90, 256, 90)),
}
"""Least and largest red, green and blue of each shape: discs are reddish, squares bluish, triangles greenish."""
SIDE = 96
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")


def scene(
    chance: np.random.Generator, grounds: list[Image.Image]
) -> tuple[Image.Image, np.ndarray]:
    """Returns a picture of shapes on a piece of a photograph, and the class of each pixel."""
    ground = grounds[chance.integers(len(grounds))]
    left, top = (int(chance.integers(0, size - SIDE)) for size in ground.size)
    picture = ground.crop((left, top, left + SIDE, top + SIDE))
    truth = Image.new("L", picture.size)
    for _ in range(chance.integers(1, 4)):
        number, size = int(chance.integers(1, 4)), int(chance.integers(18, 44))
        x, y = (int(value) for value in chance.integers(0, SIDE - size, 2))
        color = tuple(int(value) for value in chance.integers(*RANGES[number]))
        for pen, fill in ((ImageDraw.Draw(picture), color), (ImageDraw.Draw(truth), number)):
            if number == 1:
                pen.ellipse((x, y, x + size, y + size), fill=fill)
            elif number == 2:  # noqa: PLR2004 (the third name)
                pen.rectangle((x, y, x + size, y + size), fill=fill)
            else:
                pen.polygon([(x, y + size), (x + size // 2, y), (x + size, y + size)], fill=fill)
    return picture, np.array(truth)


def scenes(seed: int, count: int) -> list[tuple[Image.Image, np.ndarray]]:
    """Returns pictures with the class of each pixel, the same for one seed."""
    data = Path(skimage.__file__).parent / "data"
    grounds = [Image.open(data / name).convert("RGB") for name in PHOTOGRAPHS]
    chance = np.random.default_rng(seed)
    return [scene(chance, grounds) for _ in range(count)]


def trained(steps: int, folder: Path) -> None:
    """Trains a small SegFormer, and saves it with its image processor."""
    torch.manual_seed(0)
    sizes = {"hidden_sizes": [24, 48, 96, 128], "depths": [1, 1, 1, 1], "decoder_hidden_size": 64}
    names = dict(enumerate(NAMES))
    config = SegformerConfig(**sizes, id2label=names, label2id={n: i for i, n in names.items()})
    model = SegformerForSemanticSegmentation(config).train()
    processor = SegformerImageProcessorPil(size={"height": SIDE, "width": SIDE})
    data = scenes(1, 1200)
    inputs = processor([picture for picture, _ in data], return_tensors="pt")["pixel_values"]
    truth = torch.from_numpy(np.stack([one for _, one in data])).long()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(len(inputs), (16,))
        logits = model(pixel_values=inputs[chosen]).logits
        large = functional.interpolate(logits, size=(SIDE, SIDE), mode="bilinear")
        loss = functional.cross_entropy(large, truth[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)


def overlap(areas: np.ndarray, truth: np.ndarray) -> float:
    """Returns the mean over classes of intersection over union."""
    classes = range(len(NAMES))
    shares = [
        ((areas == n) & (truth == n)).sum() / ((areas == n) | (truth == n)).sum() for n in classes
    ]
    return float(np.mean(shares))


def found_on_pi(path: Path, pictures: list[Path], folder: Path) -> list[dict]:
    """Returns what the bundle finds on an emulated Raspberry Pi 4, and fetches its drawings."""
    found = []
    with EmulatedDevice(mcpu="cortex-a72") as device:
        site = device.workdir() / "site"
        device.install([*read_bundle(path).manifest.requirements, "pillow"], site)
        device.push(path, PurePosixPath("bundle"))
        for number, picture in enumerate(pictures):
            device.push(picture, PurePosixPath(picture.name))
            words = ["--image", picture.name, "--draw", "pi.png", "--json", "-"]
            done = device.run(["python3", "bundle/run.py", *words], env={"PYTHONPATH": str(site)})
            if done.returncode:
                sys.exit(done.stderr)
            device.pull(PurePosixPath("pi.png"), folder / drawing("pi", number))
            found.append(json.loads(done.stdout))
    return found


def drawing(where: str, number: int) -> str:
    """Returns what the drawing of a picture is called."""
    return f"{where}-{number}.png" if number else f"{where}.png"


def main(folder: Path, *, quick: bool) -> None:
    """Trains, deploys by name, scores and draws."""
    if not (folder / "shapes" / "config.json").is_file():
        trained(200 if quick else 800, folder / "shapes")
    named = edgeopt.load_model(f"hf:{folder}/shapes")
    print(f"{named.name}: {named.task} of {', '.join(named.labels)}")

    photos = folder / "photos"
    photos.mkdir(parents=True, exist_ok=True)
    for number, (picture, _) in enumerate(scenes(2, 40)):
        picture.save(photos / f"{number}.png")
    for target in ("host", "rpi4"):
        deployment = edgeopt.deploy(
            named,
            target,
            backend="tflite",
            precision="int8",  # the same numbers on both: "auto" takes float where a machine gains nothing
            calibration_data=edgeopt.pictures(photos, named.preprocess),
            output=folder / target,
            bundle={"overwrite": True},
        )
        print(deployment, "\n")

    checks = scenes(3, 60)
    truth = np.stack([one for _, one in checks])
    with edgeopt.Application.open(folder / "host") as application:
        areas = np.stack([application(picture).areas for picture, _ in checks])
    print(f"overlap with the truth, int8: {overlap(areas, truth):.3f}")
    inputs = list(edgeopt.pictures(saved(checks, folder / "checks"), named.preprocess))
    with torch.no_grad():
        logits = torch.cat([named.model(torch.from_numpy(one))["logits"] for one in inputs])
    large = functional.interpolate(logits, size=(SIDE, SIDE), mode="bilinear")
    print(f"overlap with the truth, float: {overlap(large.argmax(1).numpy(), truth):.3f}")
    draw(folder)


def saved(checks: list[tuple[Image.Image, np.ndarray]], folder: Path) -> list[Path]:
    """Returns files of these pictures."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.png" for number in range(len(checks))]
    for path, (picture, _) in zip(paths, checks, strict=True):
        picture.save(path)
    return paths


DRAWN = 10
"""Pictures that both draw."""
ROUNDING = 1e-3
"""Shares of the picture that two processors may differ by: nine of its pixels. Of the ten drawings of
``python examples/11_segmentation.py --quick`` no pixel differs between an AMD EPYC and the emulated Pi."""


def alike(here: list[dict], there: list[dict]) -> bool:
    """Returns whether both find the same areas, but for pixels where last bits decide."""
    labels = [area["label"] for area in here] == [area["label"] for area in there]
    return labels and all(
        abs(a["share"] - b["share"]) < ROUNDING for a, b in zip(here, there, strict=True)
    )


def differing(folder: Path, number: int) -> float:
    """Returns the share of a drawing's pixels that are others on the two; the numbers written on it are among them."""
    here, there = (
        np.asarray(Image.open(folder / drawing(where, number))) for where in ("host", "pi")
    )
    return float((here != there).any(-1).mean())


def draw(folder: Path) -> None:
    """Has the bundle's own runner draw pictures: here, and on an emulated Raspberry Pi 4."""
    pictures = [folder / "checks" / f"{number}.png" for number in range(DRAWN)]
    here = []
    for number, picture in enumerate(pictures):
        words = ["--image", picture, "--draw", folder / drawing("host", number), "--json", "-"]
        command = [sys.executable, folder / "rpi4" / "run.py", *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        here.append(json.loads(done.stdout))
    for area in here[0]["areas"]:
        print(f"  {area['label']}: {area['share']:.1%} of the picture")
    if shutil.which("qemu-aarch64-static") is None:
        print("qemu-user-static is not installed: the emulated Raspberry Pi is left out")
        return
    there = found_on_pi(folder / "rpi4", pictures, folder)
    shares = [differing(folder, number) for number in range(DRAWN)]
    same = all(alike(a["areas"], b["areas"]) for a, b in zip(here, there, strict=True))
    print(f"drawn: {folder}/host.png, and on the emulated Raspberry Pi 4 {folder}/pi.png")
    print(f"of {DRAWN} drawings the two differ in {max(shares):.4%} of the pixels at most")
    print("the same areas" if same else f"THE TWO DISAGREE: {there}")
    if not same:
        sys.exit(1)


if __name__ == "__main__":
    given = [word for word in sys.argv[1:] if not word.startswith("-")]
    main(Path(given[0] if given else "out/segmentation"), quick="--quick" in sys.argv)
