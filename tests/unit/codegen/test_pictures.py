"""Pictures become inputs with the numbers of run.py: to the bit, in C and in Kotlin."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from PIL import Image

from edgeopt import Preprocess
from edgeopt.codegen.facts import facts_of
from edgeopt.codegen.pictures import picture_words
from edgeopt.errors import InputError

from .conftest import built_c, built_kotlin, done, expected, photograph

pytestmark = pytest.mark.slow
NORM = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CASES = {
    "imagenet": Preprocess(resize=(40,), crop=(32, 32), **NORM),
    "down": Preprocess(resize=(41,), crop=(32, 32), crop_rounding="down", color="BGR"),
    "small": Preprocess(resize=(24,), crop=(32, 32), interpolation="bicubic", layout="NHWC"),
    "lanczos": Preprocess(resize=(32, 32), interpolation="lanczos", **NORM),
    "box": Preprocess(resize=(32, 32), interpolation="box", color="L"),
    "nearest": Preprocess(resize=(32, 32), interpolation="nearest", color="LLL"),
    "below": Preprocess(resize=(32, 32), interpolation="nearest", antialias=False),
    "letterbox": Preprocess(resize=(32, 32), fit="letterbox", antialias=False),
    "corner": Preprocess(
        resize=(32, 32), fit="letterbox", align="top-left", enlarge=False, fill=(1, 2.5, 200)
    ),
    "floats": Preprocess(resize=(32, 32), whole=False, **NORM),
    "plain": Preprocess(resize=(32, 32), whole=False, antialias=False, **NORM),
    "cubic": Preprocess(resize=(32, 32), interpolation="bicubic", antialias=False),
    "inside": Preprocess(resize=(32, 32), antialias=False, inside=True),
    "as-it-is": Preprocess(crop=(32, 32)),
}
SIZES = [(53, 47), (32, 32), (20, 91), (64, 64)]
KOTLIN = """
fun main(words: Array<String>) {
    for (n in words.indices step 4) {
        val room = inputs[0].room()
        val pixels = java.io.File(words[n]).readBytes()
        Picture.prepare(pixels, words[n + 1].toInt(), words[n + 2].toInt(), room)
        write(words[n + 3], room)
    }
}
"""


def bundle_of(replay, given):
    channels = given.channels
    first = given.layout == "NCHW" and not given.inside
    shape = (1, channels, 32, 32) if first else (1, 32, 32, channels)
    dtype = np.uint8 if given.inside else np.float32
    return replay(
        {"x": np.zeros(shape, dtype)}, {"y": np.zeros((1, 2), np.float32)}, preprocess=given
    )


@pytest.fixture
def columns_first(monkeypatch):
    """Has Pillow resize columns before rows: versions 13 and later take rows first where that is less work."""
    whole = Image.Image.resize

    def resize(self, size, method=None, *more):
        wide = whole(self, (size[0], self.size[1]), method, *more) if method else self
        return whole(wide, size, method, *more)

    monkeypatch.setattr(Image.Image, "resize", resize)


def pictures(tmp_path, given):
    grey = given.color.startswith("L")
    return [
        photograph(tmp_path / f"p{n}.{'pgm' if grey else 'ppm'}", size, grey=grey, seed=n)
        for n, size in enumerate(SIZES)
    ]


@pytest.mark.parametrize("name", CASES)
def test_c_makes_the_input_of_run_py(name, replay, tmp_path, columns_first):
    bundle = bundle_of(replay, CASES[name])
    program = built_c(bundle, tmp_path / "c")
    np.zeros((1, 2), np.float32).tofile(tmp_path / "out_0.bin")
    for path in pictures(tmp_path, CASES[name]):
        done(program, tmp_path, path)
        wanted, _ = expected(bundle, path)
        got = np.fromfile(tmp_path / "in_0.bin", wanted.dtype).reshape(wanted.shape)
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("name", ["imagenet", "corner", "cubic"])
def test_kotlin_makes_the_input_of_run_py(name, replay, tmp_path, columns_first):
    bundle = bundle_of(replay, CASES[name])
    jar = built_kotlin(bundle, tmp_path / "kotlin", KOTLIN)
    words, wanted = [], []
    for n, path in enumerate(pictures(tmp_path, CASES[name])):
        raw = tmp_path / f"{n}.raw"
        raw.write_bytes(path.read_bytes().split(b"\n255\n", 1)[1])
        words += [raw, SIZES[n][1], SIZES[n][0], tmp_path / f"{n}.bin"]
        wanted.append(expected(bundle, path)[0])
    done("java", "-cp", jar, "edgeopt.application.MainKt", *words)
    for n, array in enumerate(wanted):
        got = np.fromfile(tmp_path / f"{n}.bin", array.dtype).reshape(array.shape)
        np.testing.assert_array_equal(got, array)


@pytest.mark.parametrize("name", ["imagenet", "small", "lanczos", "box"])
def test_the_order_of_rows_and_columns_matters_little(name, replay, tmp_path):
    given = CASES[name].replace(mean=(0.0,), std=(1.0,))
    bundle = bundle_of(replay, given)
    program = built_c(bundle, tmp_path / "c")
    np.zeros((1, 2), np.float32).tofile(tmp_path / "out_0.bin")
    for path in pictures(tmp_path, given):
        done(program, tmp_path, path)
        wanted, _ = expected(bundle, path)
        got = np.fromfile(tmp_path / "in_0.bin", np.float32).reshape(wanted.shape)
        steps = np.abs(got - wanted) * 255
        assert steps.max() < 8.5
        assert steps.mean() < 0.5


def test_what_is_no_picture_is_refused(replay, tmp_path):
    program = built_c(bundle_of(replay, CASES["imagenet"]), tmp_path / "c")
    np.zeros((1, 2), np.float32).tofile(tmp_path / "out_0.bin")
    for content in (
        b"",
        b"P6",
        b"P6\n# c\n4 4\n255\n",
        b"P6 99999999 99999999 255\n",
        b"P5 1 1 255\n\0",
    ):
        (tmp_path / "bad.ppm").write_bytes(content)
        command = [str(program), str(tmp_path), str(tmp_path / "bad.ppm")]
        result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert result.returncode == 1, content
        assert "bad.ppm" in result.stderr


def test_a_crop_out_of_a_letterbox_is_left_to_python(replay):
    given = Preprocess(resize=(40, 40), fit="letterbox", crop=(32, 32))
    with pytest.raises(InputError, match="--lang python"):
        picture_words(facts_of(bundle_of(replay, given)))
