"""What transforms of torchvision and timm do to a picture, our options made of them do too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
STEP = 1 / 255 / 0.22  # of one in a pixel, after the normalization
NEAR = {
    # resized as tensors of uint8: weights of 16 bits, where Pillow's have 22
    "v1 pixels": 2 * STEP,
    "v2 pixels": 2.0,
    "v1 tensor": 2e-4,  # torch finds the places of pixels in float32
    "v1 grey of three": 1.01 / 255,  # grey is made first here, so it is rounded elsewhere
}


@pytest.fixture(scope="module")
def results():
    command = [sys.executable, str(Path(__file__).with_name("others.py"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_pixels_are_the_same(results):
    taken = {n: r for n, r in results.items() if not n.startswith("refused")}
    assert len(taken) > 25
    wrong = {n: r for n, r in taken.items() if isinstance(r, str) or r > NEAR.get(n, 2e-5)}
    assert not wrong


def test_what_cannot_be_taken_is_named(results):
    assert "RandomHorizontalFlip" in results["refused random"]
    assert "Pad(" in results["refused pad"]
    assert "Lambda" in results["refused lambda"]
    assert "a resize comes first" in results["refused order"]
    assert "max_size" in results["refused max_size"]
    assert "crop_mode border" in results["refused border"]
