from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgeopt.bundles import GoldenSamples, Preprocess, Tolerance, add_report, read_bundle
from edgeopt.bundles.manifest import decode_manifest, encode_manifest
from edgeopt.contracts import Wheel
from edgeopt.errors import BundleError, InputError
from edgeopt.testing.toy import toy_artifact, toy_golden, toy_runtime, toy_target


def tree(path: Path) -> dict[str, tuple[bytes, int]]:
    files = [file for file in path.rglob("*") if file.is_file()]
    return {str(f.relative_to(path)): (f.read_bytes(), f.stat().st_mode) for f in files}


@pytest.mark.parametrize("name", ["toy", "toy.zip"])
def test_what_was_written_is_read(make, name):
    artifact = toy_artifact()
    made = make(name, artifact=artifact, report={"a": [1, 2.5, None]}, labels=["cat", "Hündin"])
    bundle = read_bundle(made.path)
    assert bundle.is_zip == name.endswith(".zip")
    assert bundle.artifact() == artifact
    assert bundle.manifest.target == toy_target()
    assert bundle.report == {"a": [1, 2.5, None]}
    assert bundle.labels() == ["cat", "Hündin"]
    assert bundle.digest == made.digest
    expected, got = toy_golden(artifact), bundle.golden()
    assert got.tolerances == expected.tolerances
    for a, b in zip(got.inputs + got.outputs, expected.inputs + expected.outputs, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
    bundle.verify()


def test_without_the_optional_parts(make):
    bundle = make(golden=None)
    assert bundle.golden() is None
    assert bundle.report is None
    assert bundle.labels() == []
    assert not any(name.startswith("golden/") for name in bundle.manifest.files)


def test_size_is_what_lies_on_the_disk(toy):
    sizes = [f.stat().st_size for f in toy.path.rglob("*") if f.is_file()]
    manifest = (toy.path / "manifest.json").stat().st_size
    assert toy.size_bytes == sum(sizes) - manifest


def test_requirements_and_pythons_come_from_the_wheels(make):
    wheels = (Wheel("a", "1.0", ("3.9", "3.11", "3.10")), Wheel("b", "2", ("3.10", "3.11")))
    bundle = make(runtime=toy_runtime(wheels=wheels))
    assert bundle.read("requirements.txt") == b"a==1.0\nb==2\n"
    assert bundle.manifest.pythons == ("3.10", "3.11")
    with pytest.raises(InputError, match="no Python version has all wheels"):
        make("other", runtime=toy_runtime(wheels=(wheels[0], Wheel("c", "1", ("3.12",)))))


@pytest.mark.parametrize("name", ["a", "a.zip"])
def test_same_things_same_bytes(make, name, monkeypatch):
    first = make(name, report={"b": 1, "a": 2})
    old = os.umask(0o077)
    try:
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        second = make("other" + name[1:], report={"a": 2, "b": 1})
    finally:
        os.umask(old)
    if first.is_zip:
        assert first.path.read_bytes() == second.path.read_bytes()
    else:
        assert tree(first.path) == tree(second.path)


def test_no_trace_of_time_or_place(toy, tmp_path):
    text = (toy.path / "manifest.json").read_text()
    for trace in (str(tmp_path), str(Path.home()), str(Path.cwd()), os.uname().nodename + '"'):
        assert trace not in text


def test_zip_and_folder_hold_the_same(make, tmp_path):
    folder, zipped = make("toy"), make("toy.zip")
    assert folder.digest == zipped.digest
    with zipfile.ZipFile(zipped.path) as archive:
        assert archive.namelist()[0] == "manifest.json"
        archive.extractall(tmp_path / "out")
    assert {k: v[0] for k, v in tree(tmp_path / "out").items()} == {
        k: v[0] for k, v in tree(folder.path).items()
    }
    assert tree(zipped.unpack(tmp_path / "unpacked").path) == tree(folder.path)
    with pytest.raises(InputError, match="already"):
        zipped.unpack(tmp_path / "unpacked")


def test_zip_argument_without_the_suffix(make):
    assert make("toy.bundle", zip=True).is_zip


@pytest.mark.parametrize("name", ["toy", "toy.zip"])
def test_report_is_added_later(make, name):
    bundle = make(name)
    again = add_report(bundle, {"latency_ms": 3})
    assert again.report == {"latency_ms": 3}
    assert again.artifact() == bundle.artifact()
    assert again.digest != bundle.digest
    with pytest.raises(BundleError, match="another bundle lies here now"):
        bundle.verify()
    assert add_report(again, {"latency_ms": 4}).report == {"latency_ms": 4}


@pytest.mark.parametrize("kind", ["file", "folder", "empty folder", "bundle"])
@pytest.mark.parametrize("name", ["toy", "toy.zip"])
def test_an_output_that_exists_stays(make, tmp_path, kind, name):
    path = tmp_path / name
    if kind == "file":
        path.write_text("mine")
    elif kind == "bundle":
        make(name)
    else:
        path.mkdir()
        if kind == "folder":
            (path / "mine").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(InputError, match="something lies there already"):
        make(name)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["toy", "toy.zip"])
def test_overwrite_replaces_a_bundle(make, tmp_path, name):
    make(name)
    bundle = make(name, artifact=toy_artifact(factor=3.0), overwrite=True)
    assert b"3.0" in bundle.read("model/model.json")
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_overwrite_works_without_an_exchange(make, tmp_path, monkeypatch):
    make()
    monkeypatch.setattr("edgeopt.files.atomic._exchange", lambda *_: False)
    assert b"3.0" in make(artifact=toy_artifact(factor=3.0), overwrite=True).read(
        "model/model.json"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]


def test_overwrite_takes_an_empty_folder(make, tmp_path):
    (tmp_path / "toy").mkdir()
    make(overwrite=True)


@pytest.mark.parametrize(
    "what", ["photos", "web extension", "bundle and more", "zip", "link", "text"]
)
def test_overwrite_never_replaces_anything_else(make, tmp_path, what):
    path, name = tmp_path / "toy", "toy"
    if what == "photos":
        path.mkdir()
        (path / "a.jpg").write_text("mine")
    elif what == "web extension":
        path.mkdir()
        (path / "manifest.json").write_text('{"files": [], "kind": "other"}')
    elif what == "bundle and more":
        make()
        (path / "notes.txt").write_text("mine")
    elif what == "zip":
        make("toy", zip=True)
    elif what == "link":
        make("elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_text("mine")
        name = "toy.zip"
        path.rename(tmp_path / name)
    before = tree(tmp_path)
    with pytest.raises(InputError, match="not such a bundle"):
        make(name, overwrite=True)
    assert tree(tmp_path) == before


def test_parts_that_do_not_fit(make):
    other = msgspec.structs.replace
    artifact = toy_artifact()
    golden = toy_golden(artifact)
    x, y = np.zeros((1, 4), np.float32), np.zeros((1, 3), np.float32)
    wrong = {
        "compiled for": {"artifact": toy_artifact(target="other")},
        "the entry": {"artifact": other(artifact, entry="nope")},
        "not plain JSON": {"artifact": other(artifact, metadata={"a": float("nan")})},
        "at most": {"artifact": other(artifact, metadata={"a": "x" * (1 << 20)})},
        "expected": {"golden": GoldenSamples.of([[x]], [[y]], Tolerance())},
        "0 inputs": {"golden": GoldenSamples.of([], [], Tolerance())},
        "2 tolerances": {"golden": GoldenSamples.of([[x]], [[x]], [Tolerance()] * 2)},
        "a label": {"labels": ["a\nb"]},
        "is not among": {"preprocess": Preprocess(input="nope")},
        "it makes": {"preprocess": Preprocess(input="x0", crop=(2, 2))},
    }
    for text, options in wrong.items():
        with pytest.raises(InputError, match=text):
            make(**{"artifact": artifact, "golden": golden, **options})
    with pytest.raises(InputError, match="report: not plain JSON"):
        make(report={"a": object()})


def test_tolerances_are_finite_and_positive():
    for wrong in ({"atol": -1.0}, {"rtol": float("nan")}, {"atol": float("inf")}):
        with pytest.raises(InputError, match="finite"):
            Tolerance(**wrong)


def test_golden_samples_are_recorded_from_a_runner():
    class Doubler:
        def __call__(self, *inputs):
            return inputs[0] * 2

    samples = [[np.ones((1, 4), np.float32)], [np.zeros((1, 4), np.float32)]]
    golden = GoldenSamples.record(Doubler(), samples, Tolerance(atol=0.1))
    assert golden.differences(Doubler()) == []

    class Tripler:
        def __call__(self, *inputs):
            return inputs[0] * 3

    (line,) = golden.differences(Tripler())
    assert line.startswith("golden sample 0, output 0: 100.00% of the values")


def test_manifest_text_is_the_only_one(toy):
    text = (toy.path / "manifest.json").read_bytes()
    manifest = decode_manifest(text)
    assert encode_manifest(manifest) == text
    respaced = json.dumps(json.loads(text), sort_keys=True).encode()
    with pytest.raises(BundleError, match="does not match its digest"):
        decode_manifest(respaced)
