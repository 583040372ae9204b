"""Real photographs that packages carry: one set to calibrate on, another one to judge by.

    python benchmarks/photographs.py        # says what there is

Calibration: foolbox's twenty labelled ImageNet photographs and five of scikit-image, as they are
and in random crops. Judged by: photographs of scikit-learn and gradio and of four wallpaper
packages of Debian, none of which is in the first set. Packages that the environment lacks are
fetched into edgeopt's cache, with pip and apt as they are configured; without apt, the second set
is smaller. No photograph is part of this repository.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from _common import option_parser
from PIL import Image

from edgeopt.files import cache_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["calibration_set", "held_out_set", "labelled_set", "photograph_counts", "prepare"]

SIDE, CROP = 256, 224
MEAN, SCALE = 127.0, 128.0
SEED = 0

_SKIMAGE = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
_SKLEARN = ("china.jpg", "flower.jpg")
_GRADIO = "gradio==6.31.0"
_GRADIO_FILES = (
    "gradio/media_assets/images/cheetah.jpg",
    "gradio/media_assets/images/cheetah1.jpg",
    "gradio/media_assets/images/lion.jpg",
    "gradio/media_assets/images/tower.jpg",
    "gradio/test_data/cheetah2.jpg",
)
_DEBIAN = {
    "lomiri-wallpapers-16.04": "usr/share/backgrounds/*.jpg",
    "lomiri-wallpapers-20.04": "usr/share/backgrounds/*.jpg",
    "mate-backgrounds": "usr/share/backgrounds/mate/nature/*.jpg",
    "ukui-wallpapers": "usr/share/backgrounds/*",
}
_DRAWINGS = ("Painting", "analogpattern", "fluent", "focal", "rollpaper", "string", "firstgen")


def calibration_set(count: int = 100) -> np.ndarray:
    """Returns ``count`` inputs, float32 (count, 3, 224, 224): each photograph, then random crops."""
    return _inputs(_calibration_files(), count)


def held_out_set(count: int = 0) -> np.ndarray:
    """Returns inputs that calibration never saw, float32 (n, 3, 224, 224).

    Args:
        count: How many; 0 for each photograph and one random crop of it.
    """
    files = _test_files()
    return _inputs(files, count or 2 * len(files))


def photograph_counts() -> tuple[int, int]:
    """Returns how many photographs there are to calibrate on, and how many to judge by."""
    return len(_calibration_files()), len(_test_files())


def labelled_set() -> tuple[np.ndarray, list[int]]:
    """Returns foolbox's photographs, float32 (20, 3, 224, 224), and their ImageNet classes."""
    files = _foolbox_files()
    return _inputs(files, len(files)), [int(f.stem.split("_")[-1]) for f in files]


def prepare(picture: Image.Image) -> np.ndarray:
    """Returns the input that EfficientNet-Lite0 was trained for, float32 (3, 224, 224).

    The shorter side becomes 256 (bicubic), the middle 224 are cut out, and pixels become
    ``(p - 127) / 128``.
    """
    picture = picture.convert("RGB")
    factor = SIDE / min(picture.size)
    size = [max(SIDE, round(side * factor)) for side in picture.size]
    picture = picture.resize((size[0], size[1]), Image.Resampling.BICUBIC)
    left, top = (size[0] - CROP) // 2, (size[1] - CROP) // 2
    picture = picture.crop((left, top, left + CROP, top + CROP))
    return ((np.asarray(picture, np.float32) - MEAN) / SCALE).transpose(2, 0, 1)


def _inputs(files: Sequence[Path], count: int) -> np.ndarray:
    chance = random.Random(SEED)  # noqa: S311 (nothing secret)
    opened = [Image.open(file).convert("RGB") for file in files[:count]]
    whole = [prepare(picture) for picture in opened]
    crops = (prepare(_crop(opened[i % len(opened)], chance)) for i in range(count - len(whole)))
    return np.stack([*whole, *crops]).astype(np.float32)


def _crop(picture: Image.Image, chance: random.Random) -> Image.Image:
    width, height = picture.size
    side = int(min(width, height) * chance.uniform(0.5, 0.95))
    left, top = chance.randint(0, width - side), chance.randint(0, height - side)
    part = picture.crop((left, top, left + side, top + side))
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if chance.random() < 0.5 else part  # noqa: PLR2004


def _calibration_files() -> list[Path]:
    return [*_foolbox_files(), *(_package("skimage") / "data" / name for name in _SKIMAGE)]


def _foolbox_files() -> list[Path]:
    return sorted((_package("foolbox") / "data").glob("imagenet_*.jpg"))


def _test_files() -> list[Path]:
    found = [_package("sklearn") / "datasets" / "images" / name for name in _SKLEARN]
    found += _gradio_files()
    for package, pattern in _DEBIAN.items():
        found += sorted((_debian(package)).glob(pattern))
    return [file for file in found if _is_photograph(file)]


def _is_photograph(file: Path) -> bool:
    return file.suffix in {".jpg", ".png"} and not file.name.startswith(_DRAWINGS)


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        sys.exit(f"{name} is not installed: pip install -r requirements-bench.txt")
    return Path(spec.origin).parent


def _gradio_files() -> list[Path]:
    """Fetches the wheel without what it depends on: only its pictures are wanted."""
    folder = cache_folder() / "photographs" / _GRADIO
    if not folder.exists():
        options = ["--no-deps", "--only-binary", ":all:", "--quiet"]
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            *options,
            "--dest",
            str(folder),
            _GRADIO,
        ]
        if subprocess.run(command, check=False).returncode:
            _absent(_GRADIO, folder)
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, _GRADIO_FILES)
        wheel.unlink()
    return [folder / name for name in _GRADIO_FILES if (folder / name).exists()]


def _debian(package: str) -> Path:
    """Returns the folder with the package's files; an empty one where there is no apt."""
    folder = cache_folder() / "photographs" / package
    if folder.exists():
        return folder
    folder.mkdir(parents=True)
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg-deb")
    if apt is None or dpkg is None:
        _absent(package, folder)
        return folder
    subprocess.run([apt, "download", "-qq", package], cwd=folder, check=False)
    for archive in folder.glob("*.deb"):
        subprocess.run([dpkg, "-x", str(archive), str(folder)], check=True)
        archive.unlink()
    if not any(folder.iterdir()):
        _absent(package, folder)
    return folder


def _absent(package: str, folder: Path) -> None:
    print(f"{package} cannot be fetched: its photographs are left out", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)


def _main() -> None:
    option_parser(__doc__).parse_args()
    calibration, test = _calibration_files(), _test_files()
    print(f"calibration: {len(calibration)} photographs, {len(calibration_set())} inputs")
    print(f"judged by:   {len(test)} photographs, {len(held_out_set())} inputs")


if __name__ == "__main__":
    _main()
