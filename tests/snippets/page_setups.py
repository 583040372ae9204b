"""What pages take as given: a trained model, data, a bundle. Small and real; files go into the current folder.

Each function is a setup, named in a page's comment ``<!-- snippet: setup=NAME -->``; it returns the names that
the page's blocks then have.
"""

from __future__ import annotations

import functools
import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from page_blocks import ROOT
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import edgeopt

Names = dict[str, Any]


@functools.cache
def _digits() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Returns the quickstart's network, its pictures and what they show."""
    example = runpy.run_path(str(ROOT / "examples" / "01_quickstart.py"))
    torch.manual_seed(0)
    images, labels = example["digits"]()
    return example["trained"](images[:1400], labels[:1400]), images, labels


def classifier() -> Names:
    """A trained classifier of handwritten digits, with all that calls want of one."""
    model, images, labels = _digits()
    test, truth = images[1400:], labels[1400:]

    def top1(fn: Any) -> float:
        return float((fn(test).argmax(1) == truth).float().mean())

    loader = DataLoader(TensorDataset(images[:512], labels[:512]), 32)
    return {
        "edgeopt": edgeopt,
        "torch": torch,
        "np": np,
        "Path": Path,
        "model": model,
        "x": images[:1],
        "images": images,
        "labels": labels,
        "loader": loader,
        "data": loader,
        "top1": top1,
        "names": [str(digit) for digit in range(10)],
        "cross_entropy": nn.functional.cross_entropy,
        "train_a_little": lambda module, step: None,
        "make_model": _untrained,
    }


def _untrained() -> nn.Module:
    with torch.random.fork_rng():
        return runpy.run_path(str(ROOT / "examples" / "01_quickstart.py"))["trained"](
            torch.zeros(2, 1, 8, 8), torch.zeros(2, dtype=torch.long)
        )


def command_line() -> Names:
    """The same model for the command line: ``my_models.py``, and a bundle ``cat-detector``."""
    names = classifier()
    torch.save(names["model"].state_dict(), "weights.pt")
    Path("my_models.py").write_text(MY_MODELS.format(root=str(ROOT)), encoding="utf-8")
    for bundle in ("cat-detector", "cat-v1", "cat-v2"):
        _deployed(names, bundle)
    np.save("x.npy", names["x"].numpy())
    np.save("photo.npy", names["x"].numpy())
    return names


MY_MODELS = """
import runpy

import torch
from torch import nn

EXAMPLE = runpy.run_path("{root}/examples/01_quickstart.py")
images, labels = EXAMPLE["digits"]()
loss = nn.functional.cross_entropy


def make():
    torch.manual_seed(0)
    return EXAMPLE["trained"](images[:1400], labels[:1400]), images[:1], images[:64].split(1), top1


def top1(fn):
    return float((fn(images[1400:]).argmax(1) == labels[1400:]).float().mean())


def batches():
    return list(zip(images[:512].split(32), labels[:512].split(32)))
"""


def _deployed(names: Names, output: str, target: str = "rpi4") -> edgeopt.Deployment:
    return edgeopt.deploy(
        names["model"],
        target,
        example_inputs=names["x"],
        calibration_data=names["images"][:64].split(1),
        checks=edgeopt.Checks(speed=False),
        output=output,
    )


def bundle() -> Names:
    """A bundle of the classifier, the parts that it was written from, and a device to run it on."""
    from edgeopt.devices import find_device
    from edgeopt.measure import PlacedBundle
    from edgeopt.registry import find_backend, find_target

    names, target, device = classifier(), find_target("rpi4"), find_device("local")
    done = _deployed(names, "out/lite0-rpi4")
    inputs = [(one.numpy(),) for one in names["images"][:4].split(1)]
    runner = edgeopt.reference(done.program)
    return names | {
        "deployment": done,
        "bundle": done.bundle,
        "other": PlacedBundle.push(_deployed(names, "out/other").bundle, device),
        "artifact": done.bundle.artifact(),
        "runtime": find_backend("tflite").device_runtime(target),
        "target": target,
        "reference": runner,
        "inputs": inputs,
        "samples": inputs,
        "device": device,
        "report": {"note": "measured on a bench"},
        "path": Path("unpacked"),
    }


def microcontroller() -> Names:
    """The classifier as a C library: ``kws/``."""
    names = classifier()
    return names | {"deployment": _deployed(names, "kws", "pico2")}


class _Head(nn.Module):
    """From pictures (n, 3, h, w) to what a YOLO head says, (n, 4 + classes, cells), untrained."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.ReLU(), nn.Conv2d(8, 16, 4, 4))
        self.boxes, self.scores = nn.Conv2d(16, 4, 1), nn.Conv2d(16, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        cells = self.stem(x)
        boxes, scores = self.boxes(cells).relu() * 100, self.scores(cells).sigmoid()
        return torch.cat([boxes.flatten(2), scores.flatten(2)], 1)


def detector() -> Names:
    """A small detector of 80 classes, pictures as it takes them, and ``photo.jpg``."""
    from PIL import Image
    from skimage import data

    torch.manual_seed(0)
    photo = Image.fromarray(data.astronaut())
    photo.save("photo.jpg")
    pixels = np.asarray(photo.resize((640, 640)), dtype=np.float32) / 255
    whole = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    return {
        "edgeopt": edgeopt,
        "detector": _Head(80).eval(),
        "pictures": [whole, whole.flip(3), whole.flip(2), whole * 0.5],
        "names": [f"class {number}" for number in range(80)],
    }


class _Texts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.out = nn.Embedding(100, 16), nn.Linear(16, 4)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(torch.relu(self.words(ids))).softmax(-1)


def shapes() -> Names:
    """A classifier and a detector of pictures of any size, and an encoder of texts of any length."""
    torch.manual_seed(0)
    photos = [torch.rand(1, 3, 96, 96) for _ in range(16)]
    pooled = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    )
    texts = [torch.randint(0, 100, (1, 64)) for _ in range(16)]
    return {
        "edgeopt": edgeopt,
        "torch": torch,
        "model": pooled.eval(),
        "detector": nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 5, 1)).eval(),
        "encoder": _Texts().eval(),
        "x": photos[0],
        "loader": photos,
        "photos": photos,
        "text": texts[0],
        "texts": texts,
    }


class _Listener(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.LSTMCell(8, 16), nn.Linear(16, 2)

    def forward(
        self, sound: torch.Tensor, hidden: torch.Tensor, cell: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        hidden, cell = self.cell(sound, (hidden, cell))
        return {"scores": self.out(hidden), "hidden": hidden, "cell": cell}


def listener() -> Names:
    """A network that hears a piece of sound and remembers."""
    torch.manual_seed(0)
    return {
        "edgeopt": edgeopt,
        "model": _Listener().eval(),
        "sound": torch.randn(1, 8),
        "zeros": torch.zeros(1, 16),
        "sessions": [[(torch.randn(1, 8),) for _ in range(8)] for _ in range(4)],
    }


def student() -> Names:
    """The classifier as teacher, and a smaller one to be taught."""
    torch.manual_seed(0)
    names = classifier()
    small = nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10)
    )
    return names | {"teacher": names["model"], "student": small}


def digits_folder() -> Names:
    """``digits/``: pictures of handwritten digits as files, and ``labels.json``."""
    from PIL import Image

    names = classifier()
    folder = Path("digits")
    folder.mkdir()
    for number, picture in enumerate(names["images"][:40, 0]):
        Image.fromarray((picture.numpy() * 255).astype(np.uint8)).save(folder / f"{number}.png")
    Path("labels.json").write_text(json.dumps(names["names"]), encoding="utf-8")
    return names
