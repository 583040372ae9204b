"""`edgeopt devices`, `edgeopt run`, and `edgeopt profile` on several devices."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgeopt.bundles import write_bundle
from edgeopt.testing.toy import toy_artifact, toy_golden, toy_runtime, toy_target

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def config(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def make(folder):
    def made(**parts):
        artifact = toy_artifact(**parts)
        golden = toy_golden(artifact)
        path = folder / "bundle"
        write_bundle(artifact, toy_runtime(), toy_target(), path=path, golden=golden)
        np.save(folder / "x.npy", np.array([[1, 2, 3, 4]], np.float32))
        return "bundle"

    return made


def test_a_name_from_the_cradle_to_the_grave(edgeopt):
    assert edgeopt("devices", "add", "my pi", "local", "-t", "rpi4", "--notes", "n").returncode == 0
    assert json.loads(edgeopt("devices", "list", "--json").stdout) == {
        "my pi": {"device": "local", "target": "rpi4", "notes": "n"}
    }
    assert "my pi" in edgeopt("devices", "list").stdout
    assert edgeopt("devices", "add", "my pi", "local").returncode == 4
    assert edgeopt("devices", "add", "my pi", "emulated:armv7", "--overwrite").returncode in {0, 4}
    assert edgeopt("devices", "remove", "my pi").returncode == 0
    assert edgeopt("devices", "remove", "my pi").returncode == 4


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("a,b", "local"), 4),
        (("x", "ssh://-oProxyCommand=x"), 4),
        (("x", "toaster"), 4),
        (("x", "local", "-t", "rpi44"), 2),
    ],
)
def test_what_cannot_be_added(edgeopt, words, code):
    assert edgeopt("devices", "add", *words).returncode == code
    assert json.loads(edgeopt("devices", "list", "--json").stdout) == {}


def test_check(edgeopt):
    edgeopt("devices", "add", "here", "local", "-t", "generic-armv7")
    done = edgeopt("devices", "check", "here", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["ok"] else 1)
    assert found["target"] == "generic-armv7"
    assert found["facts"]["cores"] >= 1
    assert "architecture" in edgeopt("devices", "check", "here").stdout


def test_run_gives_one_answer_and_its_time(edgeopt, make, folder):
    done = edgeopt("run", make(), "--input", "x.npy", "--output", "y.npy")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(folder / "y.npy"), [[2, 4, 6, 8]])
    assert "y0" in done.stdout
    assert " ms" in done.stdout


def test_run_several_inputs_and_outputs(edgeopt, make, folder):
    bundle = make(inputs=2, outputs=2)
    np.savez(folder / "both.npz", x0=np.ones((1, 4), np.float32), x1=np.ones((1, 4), np.float32))
    done = edgeopt("run", bundle, "-i", "both.npz", "-o", "y.npz", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["latency_ms"] > 0
    with np.load(folder / "y.npz") as held:
        assert sorted(held.files) == ["y0", "y1"]
    assert edgeopt("run", bundle, "-i", "x1=x.npy", "-i", "x.npy", "-o", "y.npz").returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-i", "none.npy"), "no such file"),
        (("-i", "x.npy", "-i", "x.npy"), "unknown"),
        (("-i", "x.npy", "-o", "y.txt"), "expected a .npy"),
    ],
)
def test_run_says_what_is_wrong(edgeopt, make, words, says):
    done = edgeopt("run", make(), *words)
    assert done.returncode == 2
    assert says in done.stderr


def test_profile_on_several(edgeopt, make):
    done = edgeopt("profile", make(), "--device", "local,nowhere", "--runs", "3", "--json")
    assert done.returncode == 4
    good, bad = json.loads(done.stdout)
    assert good["profile"]["latency_ms"] > 0
    assert "no device" in bad["error"]
    shown = edgeopt("profile", "bundle", "--device", "local,nowhere", "--runs", "3").stdout
    assert "FAILED" in shown
    assert "median" in shown
