"""Manifests of several programs that are built wrong: refused by edgeopt and by the bundle's own runner."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from edgeopt.bundles import read_bundle
from edgeopt.bundles.device.edgeopt_runner.bundle import canonical, digest
from edgeopt.bundles.family import Family, Member
from edgeopt.errors import BundleError, InputError
from edgeopt.testing.toy import toy_artifact

WEIGHTS = np.random.default_rng(0).bytes(9000)
SMALL = {"shape": [2], "dtype": "float32", "initial": None}


@pytest.fixture
def family(make):
    artifact = toy_artifact()
    artifact = msgspec.structs.replace(
        artifact, files={**artifact.files, "weights/large.bin": WEIGHTS}
    )
    member = Member(artifact, method="other")
    family = Family([member], {"kept": np.ones(3, np.float32)})
    return make("family", artifact=artifact, family=family)


def forge(bundle, change):
    path = bundle.path / "manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    manifest["digest"] = digest(canonical({**manifest, "digest": ""}))
    path.write_bytes(canonical(manifest))


def test_a_family_is_read_again(family):
    bundle = read_bundle(family.path)
    assert [own.method for own in bundle.manifest.programs] == ["forward", "other"]
    assert bundle.artifact(1).files == bundle.artifact(0).files
    np.testing.assert_array_equal(bundle.initial_states()["kept"], np.ones(3, np.float32))
    assert bundle.manifest.variants[0].deltas["programs/1/weights/large.bin"].size_bytes == len(
        WEIGHTS
    )
    assert bundle.manifest.files["programs/1/weights/large.bin"].size_bytes < 100


def at(*keys, value):
    def change(manifest):
        place = manifest
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = copy.deepcopy(value)

    return change


def without_outputs(manifest):
    own = manifest["variants"][0]
    own["method"], own["signature"]["outputs"] = manifest["method"], []


CHANGES = {
    "a state that is a list": at("states", "kept", value=[]),
    "a state of text": at("states", "kept", value={**SMALL, "shape": "ab"}),
    "a state below zero": at("states", "kept", value={**SMALL, "shape": [-1]}),
    "a state of nonsense": at("states", "kept", value={**SMALL, "dtype": "nonsense"}),
    "a state of a file elsewhere": at("states", "kept", "initial", value="../../etc/passwd"),
    "a state of a number": at("states", "kept", "initial", value=3),
    "a state that is there not": at("reads", value={"x0": "nothing"}),
    "reads a list": at("reads", value={"x0": ["kept"]}),
    "reads what it is not": at("reads", value={"x0": "kept"}),
    "writes an unknown output": at("writes", value={"nothing": "kept"}),
    "pads a text": at("pads", value=["a"]),
    "pads a list": at("variants", 0, "pads", value=[[0]]),
    "a delta of a list": at("variants", 0, "deltas", value={"programs/1/model.bin": []}),
    "a delta of nothing": at("variants", 0, "deltas", value={"model/model.bin": {"base": "no"}}),
    "a golden list": at("golden", "samples", 0, "inputs", value=[[]]),
    "a variant of nothing": at("variants", 0, value={}),
    "a variant that is a number": at("variants", 0, value=3),
    "fewer outputs": without_outputs,
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_built_wrong_is_refused(family, name):
    forge(family, CHANGES[name])
    with pytest.raises(BundleError):
        read_bundle(family.path)
    command = [sys.executable, str(family.path / "run.py"), "--info"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "breaks the schema" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_state_that_takes_all_memory_is_refused(family):
    forge(family, at("states", "kept", value={**SMALL, "shape": [1_000_000, 1_000_000]}))
    with pytest.raises(BundleError, match="too much"):
        read_bundle(family.path)


def test_a_whole_of_another_digest_is_refused(family):
    def change(manifest):
        for info in manifest["variants"][0]["deltas"].values():
            info["sha256"] = "0" * 64

    forge(family, change)
    with pytest.raises(BundleError, match="does not match its digest"):
        read_bundle(family.path).artifact(1)


def test_two_outputs_do_not_become_one_state(make):
    artifact = toy_artifact(outputs=2)
    names = [spec.name for spec in artifact.signature.outputs]
    spec = artifact.signature.outputs[0]
    kept = {"kept": np.zeros(spec.shape, spec.dtype)}
    links = Member(artifact, writes=dict.fromkeys(names, "kept"))
    with pytest.raises(InputError, match="two outputs become one state"):
        make("twice", artifact=artifact, links=links, family=Family((), kept))
