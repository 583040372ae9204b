"""The program without Python calls several shapes and methods, and keeps state: the answers of run.py."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import edgeopt

pytestmark = pytest.mark.slow


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 16, 3, padding=1), nn.Linear(16, 5)

    def forward(self, x):
        return self.last(self.conv(x).relu().mean((2, 3)))


class Streaming(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.last = nn.LSTM(6, 16, batch_first=True), nn.Linear(16, 3)

    def forward(self, x, state):
        y, state = self.lstm(x, state)
        return self.last(y), state


class Encode(nn.Module):
    def __init__(self, table):
        super().__init__()
        self.table = table

    def forward(self, x):
        return {"memory": self.table(x), "position": torch.zeros(1, dtype=torch.int64)}


class Step(nn.Module):
    """Counts its calls, from what the encoder wrote on: from 3 where it wrote nothing."""

    def __init__(self, table):
        super().__init__()
        self.table = table

    def forward(self, y, memory, position):
        return {"score": (self.table(y) * memory).sum(1) + position, "position": position + 1}


def streaming():
    zero, half = torch.zeros(1, 1, 16), torch.full((1, 1, 16), 0.5)
    return edgeopt.Method(
        Streaming().eval(),
        (torch.zeros(1, 1, 6), (zero, half)),
        reads={"state_0": "h", "state_1": "c"},
        writes={"output_1": "h", "output_2": "c"},
    )


def pair():
    table, start = nn.Linear(8, 8), torch.full((1,), 3)
    writes = {"memory": "memory", "position": "position"}
    return {
        "encode": edgeopt.Method(Encode(table).eval(), torch.zeros(1, 8), writes=writes),
        "step": edgeopt.Method(
            Step(table).eval(),
            (torch.zeros(1, 8), torch.zeros(1, 8), start),
            reads=writes,
            writes={"position": "position"},
        ),
    }


def deploy(path, model, target="host", **options):
    return edgeopt.deploy(
        model, target, precision="float32", backend="tvm", output=path, checks={"speed": False},
        **options,
    ).bundle  # fmt: skip


def shapes(path, target="host"):
    """Returns a bundle for one row and four, of two sizes."""
    torch.manual_seed(0)
    data = [torch.randn(1, 3, 16, 16) for _ in range(4)]
    several = edgeopt.Shapes(batches=(2, 4), sizes=("24x8",))
    return deploy(path, Classifier().eval(), target, example_inputs=data[0], calibration_data=data,
                  shapes=several)  # fmt: skip


def of_session(path, target="host"):
    torch.manual_seed(1)
    return deploy(path, streaming(), target)


def of_methods(path, target="host"):
    torch.manual_seed(2)
    return deploy(path, pair(), target)


MADE = {"shapes": shapes, "streaming": of_session, "methods": of_methods}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Returns the bundles for this machine, each made when it is first asked for."""

    class Bundles(dict):
        def __missing__(self, name):
            self[name] = MADE[name](tmp_path_factory.mktemp(name) / "bundle")
            return self[name]

    return Bundles()


def run(bundle, *words, code=0, by=()):
    command = [*by, str(bundle.path / "model/run"), *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == code, (done.returncode, done.stderr)
    return done.stdout + done.stderr


def both(bundle, folder, array, *words):
    """Returns the output of the program without Python, and that of run.py."""
    np.save(folder / "x.npy", array)
    words = ["--input", str(folder / "x.npy"), *words]
    run(bundle, *words, "--output", folder / "a.npy")
    command = [sys.executable, str(bundle.path / "run.py"), *words]
    subprocess.run([*command, "--output", str(folder / "b.npy")], check=True)
    return np.load(folder / "a.npy"), np.load(folder / "b.npy")


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 8, 11])
def test_rows_are_filled_up_and_taken_in_turns(bundles, tmp_path, rows):
    x = np.random.default_rng(rows).standard_normal((rows, 3, 16, 16)).astype(np.float32)
    a, b = both(bundles["shapes"], tmp_path, x)
    np.testing.assert_array_equal(a, b)
    assert a.shape == (rows, 5)


def test_another_size_has_a_program_of_its_own(bundles, tmp_path):
    x = np.random.default_rng(0).standard_normal((2, 1, 3, 24, 8)).astype(np.float32)
    for words, array in (([], x[0]), (["--each"], x)):
        a, b = both(bundles["shapes"], tmp_path, array, *words)
        np.testing.assert_array_equal(a, b)
        assert a.any()


@pytest.mark.parametrize("shape", [(1, 3, 20, 8), (3, 3, 24, 8), (0, 3, 16, 16), (3, 16, 16)])
def test_shapes_that_no_program_takes(bundles, tmp_path, shape):
    np.save(tmp_path / "x.npy", np.zeros(shape, np.float32))
    words = ("--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy")
    said = run(bundles["shapes"], *words, code=2)
    assert f"no program takes inputs of shape {list(shape)}" in said
    assert "[4, 3, 16, 16]; [1, 3, 24, 8]" in said
    assert not (tmp_path / "y.npy").exists()


def test_a_stream_of_a_hundred_steps(bundles, tmp_path):
    x = np.random.default_rng(0).standard_normal((100, 1, 1, 6)).astype(np.float32)
    a, b = both(bundles["streaming"], tmp_path, x, "--each")
    np.testing.assert_array_equal(a, b)
    alone, _ = both(bundles["streaming"], tmp_path, x[50:51], "--each")
    assert not np.array_equal(a[50], alone[0])


def test_one_program_alone_takes_its_state_as_files(bundles, tmp_path):
    bundle, names = (
        bundles["streaming"],
        {"x": (1, 1, 6), "state_0": (1, 1, 16), "state_1": (1, 1, 16)},
    )
    words = ["--program", "1"]
    for name, shape in names.items():
        np.save(tmp_path / f"{name}.npy", np.full(shape, 0.5, np.float32))
        words += ["--input", f"{name}={tmp_path / name}.npy"]
    run(bundle, *words, "--output", f"output_1={tmp_path / 'h.npy'}")
    assert np.load(tmp_path / "h.npy").shape == (1, 1, 16)
    np.save(tmp_path / "state_1.npy", np.zeros((1, 1, 8), np.float32))  # of another model
    said = run(bundle, *words, "--output", f"output_1={tmp_path / 'h.npy'}", code=2)
    assert "input state_1: shape (1, 1, 8), expected (1, 1, 16)" in said


def test_methods_share_state(bundles, tmp_path):
    y = np.random.default_rng(0).standard_normal((5, 1, 8)).astype(np.float32)
    a, b = both(bundles["methods"], tmp_path, y, "--each", "--method", "step")
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a.ravel(), np.arange(3.0, 8.0))  # no memory yet


def test_a_method_that_there_is_not(bundles, tmp_path):
    words = ("--input", "x.npy", "--output", "y.npy")
    said = run(bundles["methods"], *words, "--method", "decode", code=2)
    assert "there is no method 'decode'; the methods are: encode, step" in said
    assert "there is no program 3" in run(bundles["methods"], *words, "--program", "3", code=2)


def test_info_tells_programs_and_states(bundles):
    said = run(bundles["methods"], "--info")
    assert "program  2: step" in said
    assert "input    memory float32[1, 8] (state memory)" in said
    assert "state    position int64[1]" in said
    assert run(bundles["shapes"], "--info").count("program ") == 4


def test_each_program_can_be_measured(bundles):
    for number in ("1", "4"):
        assert '"samples_ns"' in run(
            bundles["shapes"], "--benchmark", "--runs=3", "--program", number
        )


def test_programs_lie_in_one_library(bundles, tmp_path):
    bundle = bundles["shapes"]
    names = [name for name in bundle.manifest.files if name.startswith(("model/", "programs/"))]
    assert names == ["model/model.so", "model/run"]
    assert {own.entry for own in bundle.manifest.programs} == {"model/model.so"}
    done = subprocess.run([sys.executable, str(bundle.path / "run.py"), "--verify"], check=False)
    assert done.returncode == 0
    runner = edgeopt.load(bundle)
    x = np.random.default_rng(0).standard_normal((3, 3, 16, 16)).astype(np.float32)
    np.testing.assert_array_equal(both(bundle, tmp_path, x)[0], runner(x))


@pytest.mark.qemu
@pytest.mark.parametrize("arch", ["aarch64", "armv7"])
@pytest.mark.parametrize("name", list(MADE))
def test_a_device_without_python(bundles, tmp_path, name, arch, emulator, without_python):
    """One static program holds all; its answers are near those of this machine."""
    by = [emulator(arch)]
    bundle = MADE[name](tmp_path / "bundle", without_python(arch))
    assert [own.entry for own in bundle.manifest.programs] == ["model/run"] * len(
        bundle.manifest.programs
    )
    rng = np.random.default_rng(0)
    tries = {
        "shapes": [(rng.standard_normal((n, 3, 16, 16)), ()) for n in (1, 3, 9)],
        "streaming": [(rng.standard_normal((100, 1, 1, 6)), ("--each",))],
        "methods": [(rng.standard_normal((4, 1, 8)), ("--each", "--method", "step"))],
    }
    for array, words in tries[name]:
        np.save(tmp_path / "x.npy", array.astype(np.float32))
        given = ("--input", tmp_path / "x.npy", *words)
        run(bundle, *given, "--output", tmp_path / "a.npy", by=by)
        run(bundles[name], *given, "--output", tmp_path / "b.npy")
        a, b = np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy")
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
