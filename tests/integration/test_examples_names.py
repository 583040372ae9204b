"""The examples of models by name, in their quick form. A file of their own: they emulate a Pi."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from edgeopt.bundles import read_bundle


@pytest.mark.slow
@pytest.mark.qemu
def test_a_detector_draws_the_same_boxes_here_and_on_the_emulated_pi(
    run_example, tmp_path, libraries, emulated_pi
):
    pytest.importorskip("edgeopt_tflite")
    said = run_example("08_detector.py", tmp_path, "--quick", environment=libraries)
    assert "9 names" in said  # the one that was trained
    counts = [int(count) for count in re.findall(r"(\d+) boxes above", said)]
    assert len(counts) == 2
    assert 0 < counts[0] < counts[1]
    assert counts[1] > 100
    assert re.search(r"the same [1-9]\d* boxes, within 0\.\d+ pixels", said)
    for name in ("host.png", "pi.png"):
        with Image.open(tmp_path / name) as drawing:
            assert drawing.size == (1920, 1080)
    assert read_bundle(tmp_path / "rpi4").labels()[0] == "Button"


@pytest.mark.slow
@pytest.mark.qemu
def test_a_segmentation_model_finds_shapes_in_int8_as_in_float(run_example, tmp_path, emulated_pi):
    for needed in ("edgeopt_tflite", "transformers", "skimage"):
        pytest.importorskip(needed)
    said = run_example("11_segmentation.py", tmp_path, "--quick")
    overlaps = dict(re.findall(r"overlap with the truth, (int8|float): (\d\.\d+)", said))
    assert float(overlaps["float"]) > 0.7
    assert float(overlaps["int8"]) > float(overlaps["float"]) - 0.02
    assert "the same areas" in said
    manifest = read_bundle(tmp_path / "rpi4").manifest
    assert manifest.precision == "int8"
