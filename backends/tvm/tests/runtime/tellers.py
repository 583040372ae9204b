"""Both runners of a bundle side by side: the program without Python, and run.py."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

NUMBER = re.compile(r"-?\d+\.\d+")


def run(bundle, *words, code=0, by=()):
    command = [*by, str(bundle.path / "model/run"), *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == code, (done.returncode, done.stderr)
    return done.stdout if code == 0 else done.stderr


def python(bundle, *words):
    command = [sys.executable, str(bundle.path / "run.py"), *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def both(bundle, folder, values, *words):
    """Returns what both say of a picture and values, as JSON; their lines are the same."""
    np.save(folder / "v.npy", values.astype(np.float32))
    given = ["--input", f"values={folder / 'v.npy'}", *words]
    photo = folder / "p.ppm"
    native = run(bundle, "--input", f"pixels={photo}", *given)
    assert_same(words_of(native), words_of(python(bundle, "--image", photo, *given)))
    return [json.loads(run(bundle, "--input", f"pixels={photo}", *given, "--json", "-")),
            json.loads(python(bundle, "--image", photo, *given, "--json", "-"))]  # fmt: skip


def photograph(folder, size=(90, 130)):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "p.ppm")
    return pixels


def assert_same(one, other):
    """Checks that two answers are the same but for 1e-5 in their numbers."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_same(*pair)
    else:
        assert one == (pytest.approx(other, abs=1e-5) if isinstance(other, float) else other)


def words_of(text):
    """Returns the words of each line, numbers as such: the last digit may be another."""
    return [
        [float(w) if NUMBER.fullmatch(w) else w for w in row.split(" ")]
        for row in text.splitlines()
    ]
