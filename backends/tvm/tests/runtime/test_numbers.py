"""Inputs that are NaN or infinite: the program without Python refuses or answers as run.py does."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import edgeopt

pytestmark = pytest.mark.slow
SHAPE = (2, 6)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.last(self.first(x).relu())


def deployed(path, precision, *, seed=0, **options):
    torch.manual_seed(seed)
    data = [torch.randn(SHAPE) for _ in range(8)] if precision.startswith("int8") else None
    return edgeopt.deploy(
        Small().eval(), "host", precision=precision, backend="tvm", example_inputs=torch.zeros(SHAPE),
        calibration_data=data, checks={"speed": False}, output=path, **options,
    ).bundle  # fmt: skip


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Returns a bundle of each precision."""
    folder = tmp_path_factory.mktemp("numbers")
    names = ("int8", "int8-dynamic", "float16", "float32")
    return {name: deployed(folder / name, name) for name in names}


def both(bundle, folder, array, *words):
    """Returns status, what is said and the output (None where there is none) of each of the two."""
    np.save(folder / "x.npy", array)
    words = ["--input", str(folder / "x.npy"), *words]
    told = []
    for name, command in (
        ("a", [str(bundle.path / "model/run")]),
        ("b", [sys.executable, str(bundle.path / "run.py")]),
    ):
        place = folder / f"{name}.npy"
        place.unlink(missing_ok=True)
        done = subprocess.run(
            [*command, *words, "--output", str(place)], capture_output=True, text=True, check=False
        )
        told.append((done.returncode, done.stderr, np.load(place) if place.exists() else None))
    return told


@pytest.mark.parametrize("precision", ["int8", "int8-dynamic"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_integers_have_no_such_numbers(bundles, tmp_path, precision, value):
    x = np.ones(SHAPE, np.float32)
    x[1, 5] = value
    for array, words, total in ((x, (), 12), (x[None], ("--each",), 12)):
        for status, said, made in both(bundles[precision], tmp_path, array, *words):
            assert (status, made) == (2, None)
            assert f"input x: 1 of {total} values are NaN or infinite" in said
            assert "a model on integers has no such numbers" in said


@pytest.mark.parametrize("precision", ["float16", "float32"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38, 1e-40])
def test_floats_go_through_alike(bundles, tmp_path, precision, value):
    x = np.ones(SHAPE, np.float32)
    x[1, 5] = value
    (status, said, made), (expected, _, other) = both(bundles[precision], tmp_path, x)
    assert status == expected == 0, said
    np.testing.assert_array_equal(made, other)
    assert np.isfinite(made[0]).all()


def test_a_measurement_refuses_them_too(bundles, tmp_path):
    np.save(tmp_path / "x.npy", np.full(SHAPE, np.nan, np.float32))
    words = ["--benchmark", "--runs", "3", "--input", str(tmp_path / "x.npy")]
    for command in (
        [str(bundles["int8"].path / "model/run")],
        [sys.executable, str(bundles["int8"].path / "run.py")],
    ):
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "12 of 12 values are NaN or infinite" in done.stderr


def test_a_bundle_of_several_shapes_refuses_them(tmp_path):
    bundle = deployed(tmp_path / "bundle", "int8", shapes={"batches": (4,)})
    x = np.full((3, 6), np.inf, np.float32)
    for status, said, _ in both(bundle, tmp_path, x):
        assert status == 2
        assert "18 of 18 values are NaN or infinite" in said


def test_the_library_of_another_bundle_is_refused(bundles, tmp_path):
    other = deployed(tmp_path / "other", "float32", seed=1)
    for name in ("run", "model.so"):
        shutil.copy(bundles["float32"].path / "model" / name, tmp_path / name)
    np.save(tmp_path / "x.npy", np.ones(SHAPE, np.float32))
    words = [str(tmp_path / "run"), "--input", str(tmp_path / "x.npy"), "--top", "1"]
    assert subprocess.run(words, check=False, capture_output=True).returncode == 0
    shutil.copy(other.path / "model" / "model.so", tmp_path / "model.so")  # of the same shapes
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "model.so is of another bundle: copy both again" in done.stderr
