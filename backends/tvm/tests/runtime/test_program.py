"""The program that runs a model on files, without Python: its answers, and what it refuses."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgeopt.measure import Profile
from edgeopt_tvm.library import generate
from edgeopt_tvm.linking import link_library, link_program, link_runner


@pytest.fixture(scope="module")
def programs(perceptron, integers, machine, tmp_path_factory):
    """Returns the toys, each with its program beside its library."""
    made = {}
    for name, toy in (("perceptron", perceptron), ("integers", integers)):
        folder = tmp_path_factory.mktemp(name)
        library = link_library(generate(toy.executable, machine), machine)
        (folder / "model.so").write_bytes(library)
        (folder / "run").write_bytes(link_runner(library, machine))
        (folder / "run").chmod(0o755)
        made[name] = (toy, folder / "run")
    return made


@pytest.fixture
def call(programs, tmp_path, monkeypatch):
    """Returns a function: words to what the perceptron's program makes of them, in a folder."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", programs["perceptron"][0].inputs[0])

    def run(*words, name="perceptron"):
        command = [programs[name][1], *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def good(done):
    assert done.returncode == 0, done.stderr
    return done


def test_files_in_files_out(call, perceptron):
    assert good(call("--input", "x.npy", "--output", "y.npy")).stdout == ""
    perceptron.check([np.load("y.npy")])
    good(call("--input=x=x.npy", "--output=y=z.npy", "--threads=1"))
    perceptron.check([np.load("z.npy")])


def test_names_choose_inputs_and_outputs(call, integers):
    np.save("a.npy", integers.inputs[0])
    np.save("w.npy", integers.inputs[1])
    words = ["--input", "w=w.npy", "--input", "a.npy"]
    names = ["--output", "f=f.npy", "--output", "q.npy", "--output", "n.npy"]
    good(call(*words, *names, name="integers"))
    integers.check([np.load(f"{n}.npy") for n in "qnf"])
    good(call(*words, "--output", "n=alone.npy", name="integers"))
    np.testing.assert_array_equal(np.load("alone.npy"), integers.wanted[1])


def test_each_runs_every_sample(call, perceptron):
    x = perceptron.inputs[0]
    np.save("many.npy", np.stack([x, x + 1, x]))
    good(call("--each", "--input", "many.npy", "--output", "y.npy"))
    y = np.load("y.npy")
    assert y.shape == (3, 16, 32)
    perceptron.check([y[0]])
    np.testing.assert_array_equal(y[0], y[2])
    assert not np.array_equal(y[0], y[1])


def test_reads_newer_headers(call, perceptron):
    for version in ((2, 0), (3, 0)):
        with Path("new.npy").open("wb") as stream:
            np.lib.format.write_array(stream, perceptron.inputs[0], version=version)
        good(call("--input", "new.npy", "--output", "y.npy"))
        perceptron.check([np.load("y.npy")])


def test_top_scores_of_each_row(call, perceptron):
    (y,) = perceptron.wanted
    lines = good(call("--input", "x.npy", "--top", "3")).stdout.splitlines()
    assert lines[::4] == [f"row {n}" for n in range(16)]
    assert [float(line.split()[1]) for line in lines[1:4]] == pytest.approx(sorted(y[0])[-1:-4:-1])
    assert int(lines[-3].split()[2]) == int(y[-1].argmax())


def test_info(call):
    text = good(call("--info")).stdout
    assert "input    x float32[16, 24]" in text
    assert "output   y float32[16, 32]" in text
    assert "--benchmark" in good(call("--help")).stdout


@pytest.mark.parametrize("given", [True, False])
def test_benchmark_is_what_profiles_are_read_from(call, given):
    words = ["--input", "x.npy"] if given else []
    good(call("--benchmark", "--runs", "7", "--threads", "2", "--json", "t.json", *words))
    text = Path("t.json").read_bytes()
    profile = Profile.from_json(text, device="here", emulated=False, asked=7)
    assert len(profile.samples_ns) == 7
    assert profile.latency_ms > 0
    assert profile.inputs == ("given" if given else "noise")
    assert profile.facts["runtime"]["threads"] == 2
    assert profile.peak_memory_mb > 0
    assert "steps" not in json.loads(text)


def test_profile_times_each_kernel(call):
    held = json.loads(good(call("--profile", "--runs", "5", "--warmup", "2")).stdout)
    assert [step["kernel"] for step in held["steps"]] == ["dense", "act"]
    assert all(step["median_ns"] > 0 for step in held["steps"])
    assert len(held["warmup_ns"]) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--input", "x.npy"], "nothing to do"),
        (["--inptu", "x.npy"], "--inptu: unknown"),
        (["--input"], "its value is missing"),
        (["x.npy"], "x.npy: unknown"),
        (["--threads", "-1", "--benchmark"], "a whole number expected"),
        (["--runs", "many", "--benchmark"], "a whole number expected"),
        (["--max-seconds", "nan", "--benchmark"], "seconds expected"),
        (["--output", "y.npy"], "0 inputs given, 1 needed"),
        (["--input", "x.npy", "--input", "x.npy", "--output", "y.npy"], "2 inputs given"),
        (["--input", "none.npy", "--output", "y.npy"], "No such file"),
        (["--input", "z=x.npy", "--output", "y.npy"], "z=x.npy: No such file"),
        (["--input", "x.npy", "--output", "a.npy", "--output", "b.npy"], "the model has 1 output"),
        (["--input", "x.npy", "--output", "no/such/folder/y.npy"], "cannot be written"),
        (["--input", "x.npy", "--output", "y=a.npy", "--output", "y=b.npy"], "given twice"),
        (["--benchmark", "--json", "no/such/folder/t.json"], "cannot be written"),
    ],
)
def test_wrong_usage(call, words, said):
    done = call(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def damaged(x):
    """Returns file name to content, and what is said of each."""
    good = npy(x)
    return {
        "empty": (b"", "not a .npy file"),
        "text": (b"hello, this is no array", "not a .npy file"),
        "cut": (good[:-1], "ends early"),
        "longer": (good + b"\0", "longer than its header says"),
        "cut header": (good[:40], "ends in its header"),
        "huge header": (good[:8] + b"\xff\xff" + good[10:], "a header of 65535 bytes"),
        "zero": (good.replace(b"'shape'", b"'sha\0e'"), "a zero in its header"),
        "no shape": (good.replace(b"'shape'", b"'form' "), "lacks 'shape'"),
        "odd shape": (good.replace(b"(16, 24)", b"(-6, 24)"), "odd shape"),
        "large shape": (good.replace(b"(16, 24)", b"(9999999999999999999999, 4)"), "odd shape"),
        "float64": (npy(x.astype(np.float64)), "dtype '<f8', expected '<f4' (float32)"),
        "big end": (npy(x.astype(">f4")), "dtype '>f4'"),
        "columns": (npy(np.asfortranarray(x)), "its columns come first"),
        "shape": (npy(x.reshape(1, 16, 24)), "shape (1, 16, 24), expected (16, 24)"),
        "objects": (npy(np.array([None], object)), "dtype '|O'"),
    }


def npy(array):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize("kind", list(damaged(np.zeros((16, 24), np.float32))))
def test_bad_files(call, perceptron, kind, tmp_path):
    content, said = damaged(perceptron.inputs[0])[kind]
    (tmp_path / "bad.npy").write_bytes(content)
    done = call("--input", "bad.npy", "--output", "y.npy")
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "y.npy").exists()


@pytest.mark.parametrize(
    ("shape", "said"), [((0, 16, 24), "no samples"), ((16, 24), "samples times")]
)
def test_each_needs_samples(call, shape, said):
    np.save("bad.npy", np.zeros(shape, np.float32))
    done = call("--each", "--input", "bad.npy", "--output", "y.npy")
    assert (done.returncode, said in done.stderr) == (2, True)


@pytest.mark.slow
def test_the_static_program_needs_nothing(perceptron, machine, tmp_path):
    program = tmp_path / "run"
    program.write_bytes(link_program(generate(perceptron.executable, machine), machine))
    program.chmod(0o755)
    assert b".so." not in program.read_bytes()
    np.save(tmp_path / "x.npy", perceptron.inputs[0])
    words = ["--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy"]
    good(subprocess.run([program, *words], capture_output=True, text=True, check=False, env={}))
    perceptron.check([np.load(tmp_path / "y.npy")])
