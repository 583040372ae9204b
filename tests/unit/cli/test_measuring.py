"""`edgeopt profile`, `compare` and `history`, on this machine."""

from __future__ import annotations

import json

import pytest

from edgeopt.bundles import write_bundle
from edgeopt.testing.toy import TOY_RUNTIME, toy_artifact, toy_golden, toy_runtime, toy_target

pytestmark = pytest.mark.slow

TOLD = """
    def operators(self, runs, *inputs):
        step = {"name": "m", "kind": "Multiply", "layers": ["MUL"], "type": "float32", "role": ""}
        return {"statistic": "mean", "whole_ns": 1e6, "steps": [{**step, "ns": 1e6}]}
"""
QUICK = ("--runs", "20", "--min-seconds", "0")


@pytest.fixture
def bundle(tmp_path):
    def made(name, factor=2.0):
        artifact = toy_artifact(factor=factor)
        runtime, golden = toy_runtime(source=TOY_RUNTIME + TOLD), toy_golden(artifact)
        write_bundle(artifact, runtime, toy_target(), path=tmp_path / name, golden=golden)
        return str(tmp_path / name)

    return made


@pytest.fixture(autouse=True)
def own_history(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEOPT_HISTORY", str(tmp_path / "history.jsonl"))


def test_profile_of_operators(bundle, edgeopt):
    done = edgeopt("profile", bundle("cat"), "--operators", *QUICK)
    assert done.returncode == 0, done.stderr
    assert "Multiply" in done.stdout
    assert "dominates" in done.stdout
    told = json.loads(edgeopt("profile", bundle("dog"), "--operators", "--json", *QUICK).stdout)
    assert told["operators"]["operators"][0]["values"] == ["mul"]
    assert told["findings"][0]["topic"] == "dominates"


def test_saved_profiles_and_bundles_compare(bundle, edgeopt, tmp_path):
    cat, files = bundle("cat"), [str(tmp_path / f"{n}.json") for n in "ab"]
    for file in files:
        assert edgeopt("profile", cat, "--save", file, *QUICK).returncode == 0
    told = json.loads(edgeopt("compare", *files, "--json").stdout)
    assert told["how"] == "apart"
    told = json.loads(edgeopt("compare", cat, bundle("dog", 3.0), "--json", *QUICK).stdout)
    assert told["how"] == "interleaved"
    assert told["ratio"]["verdict"] in ("faster", "slower", "no difference")
    shown = edgeopt("compare", cat, cat, "--operators", *QUICK)
    assert shown.returncode == 0, shown.stderr
    assert "A ms" in shown.stdout


def test_compare_refuses_what_is_neither(edgeopt, tmp_path):
    (tmp_path / "a.json").write_text("{}")
    done = edgeopt("compare", str(tmp_path / "a.json"), str(tmp_path / "a.json"))
    assert done.returncode == 2
    assert "no saved profile" in done.stderr


def test_history_lists_versions(bundle, edgeopt):
    assert "nothing in" in edgeopt("history").stdout
    for name, factor in (("v1", 2.0), ("v2", 3.0)):
        assert edgeopt("profile", bundle(name, factor), "--model", "cat", *QUICK).returncode == 0
    told = json.loads(edgeopt("history", "--json").stdout)
    assert [row["model"] for row in told["records"]] == ["cat", "cat"]
    assert len(told["changes"]) == 1
    assert told["damaged_lines"] == 0
    assert "cat" in edgeopt("history", "--model", "cat").stdout
    assert json.loads(edgeopt("history", "--model", "dog", "--json").stdout)["records"] == []


def test_operators_of_several_devices_at_once_are_refused(bundle, edgeopt):
    done = edgeopt("profile", bundle("cat"), "--device", "local,local", "--operators")
    assert done.returncode == 2
    assert "one device at a time" in done.stderr
