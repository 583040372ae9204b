"""Pixels of the bundle's runner beside Pillow's, torchvision's and OpenCV's, and what each takes.

    python benchmarks/preprocessing.py

Three photographs of scikit-image, brought to what a classifier takes (shorter side 256, middle 224, ImageNet's
mean and std) and to what a detector takes (letterbox of 640). Differences are in steps of an 8-bit pixel, before
the normalization; times are medians, one thread. torchvision and ultralytics lie in ``out/models``
(``make out/models/.installed``); without them their rows are left out.
"""

from __future__ import annotations

import functools
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from _any_model.packages import FOLDER, make_importable
from _common import Report, option_parser
from PIL import Image
from skimage import data

import edgeopt
from edgeopt.bundles.device.edgeopt_runner.detection import detect
from edgeopt.bundles.device.edgeopt_runner.picture import Placement, prepare_picture

if TYPE_CHECKING:
    from collections.abc import Iterator

PHOTOGRAPHS = {"astronaut": data.astronaut, "chelsea": data.chelsea, "coffee": data.coffee}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE, MIDDLE, INPUT = 256, 224, 640
CONFIDENCE = 0.25
RUNS = 15
DIFFERS = 1e-3  # of a step: less is the last bits of floats
Picture = Image.Image


def main() -> None:
    """Runs everything, prints it and writes it."""
    option_parser(__doc__).parse_args()
    report = Report("preprocessing")
    torch.set_num_threads(1)
    library = make_importable() if FOLDER.is_dir() else None
    pictures = {name: Image.fromarray(make()) for name, make in PHOTOGRAPHS.items()}
    for task, ways in {"classifier": classifier(), "detector": detector()}.items():
        ways_here = dict(ways)
        first = next(iter(ways_here))
        print(f" {task}: beside {first}")
        for name, way in ways_here.items():
            compare(report, task, name, [(way, ways_here[first], p) for p in pictures.values()])
    print(" normalization: float32 beside float64")
    normalization(report, pictures["astronaut"])
    print(" the whole program, start and end included: a photograph to 640 x 640 pixels, and out")
    programs(report, pictures)
    print(" postprocessing")
    suppression(report)
    del library
    report.write()


def classifier() -> Iterator[tuple[str, Any]]:
    """Yields a name and what gives (224, 224, 3) pixels from 0 to 255."""
    plain = {"resize": (SIDE,), "crop": (MIDDLE, MIDDLE), "layout": "NHWC", "scale": 1.0}
    yield "Pillow", pillow
    yield "run.py", ours(**plain)
    yield "run.py, antialias=False", ours(**plain, antialias=False)
    yield "run.py, whole=False", ours(**plain, whole=False)
    if not FOLDER.is_dir():
        return
    from torchvision.transforms import v2  # noqa: PLC0415 (an optional package)

    steps = [v2.Resize(SIDE), v2.CenterCrop(MIDDLE)]
    yield "torchvision, of a picture", called(v2.Compose([*steps, v2.PILToTensor()]))
    yield "torchvision, of a uint8 tensor", called(v2.Compose([v2.PILToTensor(), *steps]))
    scaled = v2.ToDtype(torch.float32, scale=True)
    floats = called(v2.Compose([v2.ToImage(), scaled, *steps]))
    yield "torchvision, of a float tensor", lambda p: floats(p) * 255
    bare = [v2.Resize(SIDE, antialias=False), v2.CenterCrop(MIDDLE)]
    coarse = called(v2.Compose([v2.ToImage(), scaled, *bare]))
    yield "torchvision, antialias=False", lambda p: coarse(p) * 255


def detector() -> Iterator[tuple[str, Any]]:
    """Yields a name and what gives (640, 640, 3) pixels from 0 to 255, the ratio kept, 114 around."""
    plain = {"resize": (INPUT, INPUT), "fit": "letterbox", "layout": "NHWC", "scale": 1.0}
    if FOLDER.is_dir():
        from ultralytics.data.augment import LetterBox  # noqa: PLC0415 (an optional package)

        letterbox = LetterBox((INPUT, INPUT))
        yield "ultralytics (OpenCV)", lambda p: letterbox(image=np.asarray(p)).astype(np.float32)
    yield "run.py, antialias=False", ours(**plain, antialias=False)
    yield "run.py", ours(**plain)


def ours(**fields: Any) -> Any:
    """Returns what the bundle's runner does."""
    spec = msgspec.to_builtins(edgeopt.Preprocess(**fields))
    return lambda picture: prepare_picture(picture, spec)[0][0]


def pillow(picture: Picture) -> np.ndarray:
    """Returns what evaluation code with Pillow alone does."""
    width, height = picture.size
    factor = SIDE / min(width, height)
    picture = picture.resize((int(width * factor), int(height * factor)), Image.Resampling.BILINEAR)
    left, top = (round((side - MIDDLE) / 2) for side in picture.size)
    return np.asarray(picture.crop((left, top, left + MIDDLE, top + MIDDLE)), np.float32)


def called(transform: Any) -> Any:
    """Returns a transform of torchvision as a way: channels last."""
    return lambda picture: transform(picture).permute(1, 2, 0).numpy().astype(np.float32)


def compare(report: Report, task: str, name: str, rows: list[tuple[Any, Any, Picture]]) -> None:
    """Adds the largest difference of all pictures, the share of pixels that differ, and the time."""
    largest, share = 0.0, []
    for way, other, picture in rows:
        difference = np.abs(way(picture).astype(np.float64) - other(picture))
        largest = max(largest, float(difference.max()))
        share.append(float((difference > DIFFERS).mean()))
    way, _, picture = rows[0]
    figures = {
        "largest_steps": largest,
        "differing": statistics.mean(share),
        "ms": milliseconds(lambda: way(picture)),
    }
    text = (
        f"  {name:32} largest {largest:7.3f} steps, {100 * figures['differing']:6.2f} % differ, "
        f"{figures['ms']:6.2f} ms"
    )
    report.add(f"{task}: {name}", figures, text)


def normalization(report: Report, picture: Picture) -> None:
    """Adds how far the normalizations lie from float64: outside, and compiled in."""
    fields = {"resize": (MIDDLE, MIDDLE), "mean": MEAN, "std": STD}
    outside = edgeopt.Preprocess(**fields)
    inside = edgeopt.Preprocess(**fields, inside=True)
    module = edgeopt.pixel_input(torch.nn.Identity().eval(), inside)
    spec, pixel_spec = msgspec.to_builtins(outside), msgspec.to_builtins(inside)
    pixels = torch.from_numpy(prepare_picture(picture, pixel_spec)[0].copy())
    exact = (pixels.numpy() / 255 - np.array(MEAN)) / np.array(STD)
    exact = exact.transpose(0, 3, 1, 2)
    ways = {
        "run.py": lambda: prepare_picture(picture, spec)[0],
        "compiled in (torch)": lambda: module(pixels).numpy(),
    }
    for name, way in ways.items():
        error = float(np.abs(way() - exact).max())
        ms = milliseconds(way)
        note = " with the resize" if name == "run.py" else ""
        report.add(
            f"normalization: {name}",
            {"largest": error, "ms": ms},
            f"  {name:32} largest {error:.2e}, {ms:6.2f} ms{note}",
        )
    compiled(report, inside, exact, pixels.numpy())


def compiled(report: Report, inside: Any, exact: np.ndarray, pixels: np.ndarray) -> None:
    """Adds the same of each backend's artefact: a model that hands its input on."""
    for backend in ("tflite", "openvino", "tvm"):
        deployment = edgeopt.deploy(
            Same().eval(),
            "host",
            precision="float32",
            backend=backend,
            bundle={"preprocess": inside},
        )
        runner = edgeopt.load(deployment.bundle, threads=1)
        (output,) = [runner(pixels)] if isinstance(runner(pixels), np.ndarray) else runner(pixels)
        error = float(np.abs(output - exact).max())
        ms = milliseconds(lambda: runner(pixels))  # noqa: B023 (called at once)
        runner.close()
        report.add(
            f"normalization: {backend}",
            {"largest": error, "ms": ms},
            f"  {'compiled in (' + backend + ')':32} largest {error:.2e}, {ms:6.2f} ms",
        )


class Same(torch.nn.Module):
    """Hands its input on, so that the output is what went in."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns ``x``, through a kernel that changes nothing."""
        return torch.nn.functional.avg_pool2d(x, 1)


def programs(report: Report, pictures: dict[str, Picture]) -> None:
    """Adds the pixels of run.py and of the program without Python, of the same bundle, and their times."""
    fields = {"resize": (INPUT, INPUT), "fit": "letterbox", "antialias": False, "scale": 1.0}
    bundle = edgeopt.deploy(
        Same().eval(),
        "host",
        precision="float32",
        backend="tvm",
        bundle={"preprocess": edgeopt.Preprocess(**fields, inside=True)},
    ).bundle
    expected = ours(**fields, layout="NHWC")
    commands = {
        "run.py": [sys.executable, str(bundle.path / "run.py"), "--image"],
        "model/run (C)": [str(bundle.path / "model/run"), "--fit", "letterbox", "--input"],
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, words in commands.items():
            largest, times = 0.0, []
            for picture in pictures.values():
                picture.save(f"{folder}/p.ppm")
                command = [*words, f"{folder}/p.ppm", "--output", f"{folder}/y.npy"]
                start = time.perf_counter()
                subprocess.run(command, check=True)
                times.append(time.perf_counter() - start)
                pixels = np.load(f"{folder}/y.npy")[0].transpose(1, 2, 0)
                largest = max(largest, float(np.abs(pixels - expected(picture)).max()))
            figures = {"largest_steps": largest, "ms": 1e3 * statistics.median(times)}
            text = f"  {name:32} largest {largest:7.3f} steps, {figures['ms']:7.1f} ms"
            report.add(f"program: {name}", figures, text)


def suppression(report: Report) -> None:
    """Adds the time of thinning out a head's boxes, beside ultralytics' on the same outputs."""
    rng = np.random.default_rng(0)
    for name, classes, sure in (("few", 80, 30), ("crowd", 80, 900), ("rotated", 15, 900)):
        rotated = name == "rotated"
        head = random_head(rng, classes=classes, sure=sure, rotated=rotated)
        spec = msgspec.to_builtins(
            edgeopt.Detection.yolo(classes, output="y", rotated=rotated, confidence=CONFIDENCE)
        )
        place = Placement((INPUT, INPUT), (INPUT, INPUT), (1.0, 1.0), (0, 0))
        way = functools.partial(detect, {"y": head}, spec, place)
        found = way()
        figures = {"boxes": len(found), "ms": milliseconds(way)}
        text = f"  {name}: {len(found)} of {sure}, run.py {figures['ms']:.1f} ms"
        if FOLDER.is_dir():
            other = functools.partial(peer, head, rotated=rotated)
            same = np.array_equal(other()[:, 4].numpy(), found.scores)
            figures |= {"same_as_ultralytics": same, "ultralytics_ms": milliseconds(other, 3)}
            text += f"; ultralytics {figures['ultralytics_ms']:.1f} ms, the same boxes: {same}"
        report.add(f"suppression: {name}", figures, text)


def peer(head: np.ndarray, *, rotated: bool) -> Any:
    """Returns what ultralytics makes of the same outputs."""
    without_extension()
    from ultralytics.utils.nms import non_max_suppression  # noqa: PLC0415 (an optional package)

    classes = head.shape[1] - 4 - rotated
    values = torch.from_numpy(head.copy())
    return non_max_suppression(values, CONFIDENCE, 0.7, nc=classes, rotated=rotated)[0]


def without_extension() -> None:
    """Has ultralytics thin boxes out by itself: torchvision's extension does not load beside this torch."""
    import torchvision  # noqa: PLC0415 (an optional package)
    from ultralytics.utils.nms import TorchNMS  # noqa: PLC0415 (likewise)

    torchvision.ops.nms = TorchNMS.nms


def random_head(rng: np.random.Generator, *, classes: int, sure: int, rotated: bool) -> np.ndarray:
    """Returns (1, 4 + classes + angle, 8400) float32, ``sure`` boxes above the threshold."""
    place, size = rng.uniform(0, INPUT, (8400, 2)), rng.uniform(5, 200, (8400, 2))
    scores = rng.uniform(0, CONFIDENCE - 0.01, (8400, classes))
    chosen = rng.choice(8400, sure, replace=False)
    scores[chosen, rng.integers(0, classes, sure)] = rng.uniform(CONFIDENCE, 1, sure)
    angles = [rng.uniform(-0.7, 2.3, (8400, 1))] if rotated else []
    return np.concatenate([place, size, scores, *angles], 1).T[None].astype(np.float32)


def milliseconds(function: Any, runs: int = RUNS) -> float:
    """Returns the median time of a call in ms."""
    function()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


if __name__ == "__main__":
    main()
