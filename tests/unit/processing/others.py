"""Holds our pixels against torchvision's and timm's; a program of its own, for it changes the path.

Prints, as JSON, case to largest difference, or to the error that a refused transform gives.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

import edgeopt
from edgeopt.bundles.device.edgeopt_runner.picture import prepare_picture
from edgeopt.errors import InputError

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))


def transforms():
    """Yields name, what is converted, and what is called; None where it is the same."""
    import timm
    import torch
    from timm.data import create_transform, resolve_data_config
    from torchvision import models
    from torchvision import transforms as v1
    from torchvision.transforms import InterpolationMode as Mode
    from torchvision.transforms import v2

    norm = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    yield "preset resnet", models.ResNet18_Weights.DEFAULT.transforms(), None
    yield "preset efficientnet", models.EfficientNet_B0_Weights.DEFAULT.transforms(), None
    yield "preset vit", models.ViT_L_16_Weights.IMAGENET1K_SWAG_E2E_V1.transforms(), None
    yield "preset segmentation", models.segmentation.FCN_ResNet50_Weights.DEFAULT.transforms(), None
    detector = models.detection.SSD300_VGG16_Weights.DEFAULT.transforms()
    yield "preset detection", detector, None
    for mode in (Mode.NEAREST, Mode.BILINEAR, Mode.BICUBIC, Mode.LANCZOS, Mode.BOX):
        steps = [
            v1.Resize(150, mode),
            v1.CenterCrop((101, 122)),
            v1.ToTensor(),
            v1.Normalize(**norm),
        ]
        yield f"v1 {mode.value}", v1.Compose(steps), None
    yield "v1 enlarged", v1.Compose([v1.Resize((500, 400)), v1.ToTensor()]), None
    yield "v1 larger crop", v1.Compose([v1.CenterCrop((300, 250)), v1.ToTensor()]), None
    yield "v1 largest crop", v1.Compose([v1.CenterCrop((300, 350)), v1.ToTensor()]), None
    yield "v1 odd crop", v1.Compose([v1.CenterCrop((100, 310)), v1.ToTensor()]), None
    yield "v1 grey", v1.Compose([v1.Grayscale(), v1.Resize(99), v1.ToTensor()]), None
    yield "v1 grey of three", v1.Compose([v1.Resize(99), v1.Grayscale(3), v1.ToTensor()]), None
    tensor = [v1.ToTensor(), v1.Resize(99, antialias=False), v1.Normalize(**norm)]
    yield "v1 tensor", v1.Compose(tensor), None
    yield "v1 tensor antialias", v1.Compose([v1.ToTensor(), v1.Resize(99)]), None
    yield "v1 tensor nearest", v1.Compose([v1.ToTensor(), v1.Resize(99, Mode.NEAREST)]), None
    pixels = [
        v1.PILToTensor(),
        v1.Resize(99),
        v1.ConvertImageDtype(torch.float),
        v1.Normalize(**norm),
    ]
    yield "v1 pixels", v1.Compose(pixels), None
    scaled = v2.ToDtype(torch.float32, scale=True)
    yield "v2", v2.Compose([v2.Resize(150), v2.CenterCrop(128), v2.ToImage(), scaled]), None
    yield (
        "v2 pixels",
        v2.Compose([v2.ToImage(), v2.Resize((90, 120)), v2.ToDtype(torch.float32)]),
        None,
    )
    yield "v2 sequential", torch.nn.Sequential(v2.ToImage(), scaled, v2.Normalize(**norm)), None
    for name in (
        "mobilenetv3_small_100",
        "vit_small_patch16_224",
        "efficientnet_b0",
        "convnext_atto",
    ):
        config = resolve_data_config({}, model=timm.create_model(name))
        yield f"timm {name}", create_transform(**config), None
        yield f"timm config {name}", config, create_transform(**config)
    squash = {**config, "crop_mode": "squash"}
    yield "timm squash", squash, create_transform(**squash)
    yield "refused random", v1.Compose([v1.RandomHorizontalFlip()]), None
    yield "refused pad", v2.Compose([v2.Pad(4), v2.ToImage()]), None
    yield "refused lambda", v1.Compose([v1.Lambda(lambda x: x)]), None
    yield "refused order", v1.Compose([v1.CenterCrop(4), v1.Resize(4)]), None
    yield "refused max_size", v1.Compose([v1.Resize(4, max_size=8)]), None
    border = {**config, "crop_mode": "border"}
    yield "refused border", border, create_transform(**border)


def main() -> None:
    from _any_model.packages import make_importable

    library = make_importable()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (213, 317, 3), np.uint8))
    results = {}
    for name, given, called in transforms():
        try:
            spec = msgspec.to_builtins(edgeopt.Preprocess.of(given))
        except InputError as error:
            results[name] = str(error)
            continue
        expected = (called or given)(picture).numpy()
        grey = spec["color"].startswith("L")
        array, _ = prepare_picture(picture.convert("L") if grey else picture, spec)
        same = array[0].shape == expected.shape
        results[name] = float(np.abs(array[0] - expected).max()) if same else "another shape"
    del library
    sys.stdout.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
