"""The program that needs no Python takes pictures: the same pixels as run.py's."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import edgeopt

pytestmark = pytest.mark.slow
SIZE = (40, 56)


class Same(torch.nn.Module):
    """Hands its input on, so that the output is what went in."""

    def forward(self, x):
        return torch.nn.functional.avg_pool2d(x, 1)


def deployed(tmp_path_factory, **fields):
    preprocess = edgeopt.Preprocess(resize=SIZE, antialias=False, inside=True, scale=1.0, **fields)
    return edgeopt.deploy(
        Same().eval(),
        "host",
        precision="float32",
        backend="tvm",
        output=tmp_path_factory.mktemp("pictures") / "bundle",
        bundle={"preprocess": preprocess},
        checks={"speed": False},
    ).bundle


@pytest.fixture(scope="module")
def letterbox(tmp_path_factory):
    return deployed(tmp_path_factory, fit="letterbox")


@pytest.fixture(scope="module")
def stretch(tmp_path_factory):
    return deployed(tmp_path_factory, color="L")


def native(bundle, *words, code=0):
    command = [str(bundle.path / "model/run"), *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == code, (done.returncode, done.stderr)
    return done.stderr


def both(bundle, picture, tmp_path, *words):
    """Returns the output of the program, and that of run.py."""
    native(bundle, "--input", picture, "--output", tmp_path / "a.npy", *words)
    command = [sys.executable, str(bundle.path / "run.py"), "--image", str(picture)]
    subprocess.run([*command, "--output", str(tmp_path / "b.npy")], check=True)
    return np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy")


@pytest.mark.parametrize(
    "size", [(40, 56), (41, 55), (300, 200), (7, 90), (1, 1), (1, 500), (500, 1), (80, 112)]
)
def test_pixels_are_those_of_run_py(letterbox, stretch, tmp_path, size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.ppm")
    a, b = both(letterbox, tmp_path / "p.ppm", tmp_path, "--fit", "letterbox")
    np.testing.assert_array_equal(a, b)
    assert a.any()
    Image.fromarray(pixels[..., 0]).save(tmp_path / "p.pgm")
    a, b = both(stretch, tmp_path / "p.pgm", tmp_path, "--fit", "stretch")
    np.testing.assert_array_equal(a, b)


def test_the_ground_of_a_letterbox_is_chosen(letterbox, tmp_path):
    Image.new("RGB", (56, 4), "white").save(tmp_path / "p.ppm")
    words = ("--input", tmp_path / "p.ppm", "--output", tmp_path / "y.npy", "--fit=letterbox")
    native(letterbox, *words, "--fill=7")
    values = np.load(tmp_path / "y.npy")
    assert (values[0, :, 0] == 7).all()
    assert (values[0, :, 20] == 255).all()


def test_a_picture_of_the_models_size_needs_no_word(letterbox, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    header = b"P6 # made by hand\n56\n# and so on\n40 255\n"
    (tmp_path / "p.ppm").write_bytes(header + pixels.tobytes())
    native(letterbox, "--input", tmp_path / "p.ppm", "--output", tmp_path / "y.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy")[0], pixels.transpose(2, 0, 1))
    np.save(tmp_path / "p.npy", pixels[None])
    native(letterbox, "--input", tmp_path / "p.npy", "--output", tmp_path / "z.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), np.load(tmp_path / "y.npy"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"P6 4 4 255\n" + bytes(47), "ends early"),
        (b"P6 4 4 255\n" + bytes(49), "longer than its header says"),
        (b"P6 4 4 65535\n" + bytes(96), "another depth than 8 bits"),
        (b"P6 0 4 255\n", "the picture is empty"),
        (b"P6 99999999 99999999 255\n", "a picture too large"),
        (b"P6 9999999999999999999999 4 255\n", "a picture too large"),
        (b"P6 x 4 255\n", "an odd header"),
        (b"P6 4", "an odd header"),
        (b"P6", "an odd header"),
        (b"P5 4 4 255\n" + bytes(16), "1 channels, input pixels takes 3"),
        (b"P", "not a .npy file"),
    ],
)
def test_bad_pictures(letterbox, tmp_path, content, says):
    (tmp_path / "p.ppm").write_bytes(content)
    words = ("--input", tmp_path / "p.ppm", "--output", tmp_path / "y.npy")
    assert says in native(letterbox, *words, code=2)
    assert not (tmp_path / "y.npy").exists()


def test_the_bundle_says_how_a_picture_is_fitted(letterbox, stretch, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (31, 90, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.ppm")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "p.pgm")
    for bundle, name, other in ((letterbox, "p.ppm", "stretch"), (stretch, "p.pgm", "letterbox")):
        a, b = both(bundle, tmp_path / name, tmp_path)
        np.testing.assert_array_equal(a, b)
        a, b = both(bundle, tmp_path / name, tmp_path, "--fit", other)
        assert not np.array_equal(a, b)


def test_what_only_run_py_does_has_to_be_said(tmp_path_factory, tmp_path):
    bundle = deployed(tmp_path_factory, fit="letterbox", align="top-left")
    Image.new("RGB", (9, 9)).save(tmp_path / "p.ppm")
    words = ("--input", tmp_path / "p.ppm", "--output", tmp_path / "y.npy")
    assert "--fit letterbox or stretch" in native(bundle, *words, code=2)
    native(bundle, *words, "--fit", "stretch")


def test_wrong_words(letterbox, tmp_path):
    words = ("--input", "p.ppm", "--output", "y.npy")
    assert "letterbox or stretch expected" in native(letterbox, *words, "--fit", "x", code=2)
    assert "at most 255" in native(letterbox, *words, "--fill", "256", code=2)
