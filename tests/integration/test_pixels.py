"""Pixels in: the normalization of a picture is compiled into the artefact, on each backend."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import edgeopt
from edgeopt import BundleOptions, Classification, Preprocess
from edgeopt.errors import InputError

pytestmark = pytest.mark.slow
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
BACKENDS = ("tflite", "openvino", "tvm")
FORMS = {
    "nchw rgb": {},
    "nhwc bgr": {"layout": "NHWC", "color": "BGR"},
    "grey": {"color": "L", "mean": (0.5,), "std": (0.25,)},
    "tf": {"scale": 1 / 127.5, "mean": (1.0,), "std": (1.0,)},
}


class Net(nn.Module):
    def __init__(self, preprocess):
        super().__init__()
        self._last = preprocess.layout == "NHWC"
        self.layers = nn.Sequential(
            nn.Conv2d(preprocess.channels, 16, 3, 2, 1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 6),
        )

    def forward(self, x):
        return self.layers(x.permute(0, 3, 1, 2) if self._last else x)


def network(preprocess):
    torch.manual_seed(0)
    return Net(preprocess).eval()


def pictures(count, channels, seed=0):
    generator = torch.Generator().manual_seed(seed)
    smooth = torch.rand(count, channels, 4, 4, generator=generator)
    wide = nn.functional.interpolate(smooth, (32, 32), mode="bicubic") * 255
    return wide.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def describe(inside, form):
    fields = {**IMAGENET, **FORMS[form]}
    return Preprocess(resize=(32, 32), inside=inside, **fields)


CASES = [
    *(
        (backend, precision, "nchw rgb")
        for backend in BACKENDS
        for precision in ("float32", "int8")
    ),
    *((backend, "int8", "nhwc bgr") for backend in BACKENDS),
    ("tflite", "int8", "grey"),
    ("tflite", "int8", "tf"),
]


@pytest.mark.parametrize(("backend", "precision", "form"), CASES)
def test_what_takes_pixels_says_what_the_network_says(backend, precision, form, tmp_path):
    outside, inside = describe(inside=False, form=form), describe(inside=True, form=form)
    model = network(outside)
    data = [one[None] for one in pictures(24, outside.channels)]
    deployment = edgeopt.deploy(
        model,
        "host",
        calibration_data=data,
        precision=precision,
        backend=backend,
        bundle=BundleOptions(preprocess=inside, postprocess=Classification(top=6)),
    )
    (spec,) = deployment.bundle.manifest.signature.inputs
    assert (spec.dtype, spec.shape) == ("uint8", (1, 32, 32, outside.channels))
    assert deployment.precision == precision
    assert deployment.parity.ok
    pixels = pictures(1, outside.channels, seed=9)[0].numpy()
    picture = Image.fromarray(pixels.squeeze(-1) if outside.channels == 1 else pixels)
    picture.save(tmp_path / "a.png")
    told = edgeopt.predict(deployment.bundle, tmp_path / "a.png")
    with torch.no_grad():
        values = (pixels[..., ::-1] if outside.color == "BGR" else pixels).astype(np.float32)
        values = (values * outside.scale - np.array(outside.mean)) / np.array(outside.std)
        values = torch.from_numpy(values.astype(np.float32))[None]
        values = values.permute(0, 3, 1, 2) if outside.layout == "NCHW" else values
        expected = model(values)[0].numpy()
    atol = 1e-5 if precision == "float32" else 0.05 * np.ptp(expected) + 0.02
    np.testing.assert_allclose(told.outputs[0][0], expected, atol=atol)
    command = [
        sys.executable,
        str(deployment.bundle.path / "run.py"),
        "--image",
        str(tmp_path / "a.png"),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == f"{told}\n"


def test_data_that_is_normalized_already_is_refused():
    inside = describe(inside=True, form="nchw rgb")
    with pytest.raises(InputError, match=r"expected uint8 of shape \(1, 32, 32, 3\)"):
        edgeopt.deploy(
            network(inside),
            "host",
            example_inputs=torch.zeros(1, 3, 32, 32),
            calibration_data=[torch.zeros(1, 3, 32, 32)],
            bundle=BundleOptions(preprocess=inside),
        )


def test_what_cannot_take_pixels_is_refused():
    inside = describe(inside=True, form="nchw rgb")
    exported = torch.export.export(network(inside), (torch.zeros(1, 3, 32, 32),))
    with pytest.raises(InputError, match="cannot get a normalization in front"):
        edgeopt.deploy(exported, "host", bundle=BundleOptions(preprocess=inside))
    program = edgeopt.capture(network(inside), torch.zeros(1, 3, 32, 32))
    with pytest.raises(InputError, match=r"it makes \(1, 32, 32, 3\)|the model takes uint8"):
        edgeopt.deploy(program, "host", bundle=BundleOptions(preprocess=inside))
    with pytest.raises(InputError, match="a recipe trains on normalized pictures"):
        edgeopt.deploy(
            network(inside),
            "host",
            recipe="int8",
            calibration_data=[],
            bundle=BundleOptions(preprocess=inside),
        )
    with pytest.raises(InputError, match="the size of the pictures is not known"):
        edgeopt.deploy(
            network(inside), "host", bundle=BundleOptions(preprocess=Preprocess(inside=True))
        )


def test_by_hand_it_is_a_module():
    inside = describe(inside=True, form="nhwc bgr")
    model = network(inside)
    module = edgeopt.pixel_input(model, inside)
    assert edgeopt.pixel_input(module, inside) is module
    pixels = pictures(1, 3)
    values = (pixels.flip(-1) * (1 / 255) - torch.tensor(inside.mean)) / torch.tensor(inside.std)
    torch.testing.assert_close(module(pixels), model(values), rtol=1e-5, atol=1e-5)
