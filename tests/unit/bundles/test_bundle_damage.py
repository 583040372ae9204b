"""Damaged and hostile bundles: each is refused, and the file is named."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgeopt.bundles import read_bundle
from edgeopt.bundles.device.edgeopt_runner.bundle import canonical, digest
from edgeopt.bundles.npy import read_npy, write_npy
from edgeopt.bundles.paths import MAX_FILES, check_names
from edgeopt.errors import BundleError, EdgeoptError, InputError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def forge(path: Path, **changes) -> None:
    """Changes the manifest and makes its digests right again, as an attacker would."""
    manifest = json.loads((path / "manifest.json").read_bytes())
    for key, value in changes.items():
        manifest[key] = value(manifest[key]) if callable(value) else value
    manifest["size_bytes"] = sum(e["size_bytes"] for e in manifest["files"].values())
    manifest["digest"] = digest(canonical({**manifest, "digest": ""}))
    (path / "manifest.json").write_bytes(canonical(manifest))


def entry(content: bytes) -> dict[str, object]:
    return {"sha256": digest(content), "size_bytes": len(content)}


def test_one_byte_changed_in_any_file(toy):
    names = ["manifest.json", *toy.manifest.files]
    assert len(names) > 15
    for name in names:
        file = toy.path / name
        whole = file.read_bytes()
        for position in {0, len(whole) // 2, len(whole) - 1} if whole else ():
            damaged = bytearray(whole)
            damaged[position] ^= 0x01
            file.write_bytes(damaged)
            with pytest.raises(BundleError) as caught:
                read_bundle(toy.path)
            assert caught.value.where == name, (name, position)
        file.write_bytes(whole)
    read_bundle(toy.path)


def test_every_byte_of_the_manifest_counts(make):
    path = make(golden=None).path
    file = path / "manifest.json"
    whole = file.read_bytes()
    for position in range(0, len(whole), 11):
        damaged = bytearray(whole)
        damaged[position] ^= 0x20
        file.write_bytes(damaged)
        with pytest.raises(BundleError):
            read_bundle(path)


@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_every_byte_of_a_zip_counts(make, bit):
    path = make("toy.zip", golden=None, report={}).path
    whole = path.read_bytes()
    spans = [(0, 80)]
    with zipfile.ZipFile(path) as archive:
        spans += [(m.header_offset, m.header_offset + 60) for m in archive.infolist()[::5]]
        spans.append((archive.start_dir, len(whole)))
    positions = sorted({p for a, b in spans for p in range(a, b)} | set(range(0, len(whole), 397)))
    for position in positions[bit & 1 :: 2]:
        damaged = bytearray(whole)
        damaged[position] ^= bit
        path.write_bytes(damaged)
        with pytest.raises(BundleError):
            read_bundle(path)
    path.write_bytes(whole)
    read_bundle(path)


def test_a_zip_whose_directory_says_a_member_is_huge_is_refused(make):
    path = make("toy.zip").path
    whole = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
    whole[start + 20 + 3] ^= 0x80  # the highest byte of the stored size
    whole[start + 24 + 3] ^= 0x80  # and of the size
    path.write_bytes(whole)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        read_bundle(path)


def test_changed_content_in_a_zip_names_the_file(make):
    path = make("toy.zip").path
    whole = path.read_bytes()
    position = whole.index(bytes(range(256)))
    path.write_bytes(whole[:position] + b"\xff" + whole[position + 1 :])
    with pytest.raises(BundleError) as caught:
        read_bundle(path)
    assert caught.value.where == "model/weights/part.bin"


@pytest.mark.parametrize("name", ["toy", "toy.zip"])
def test_truncated(make, name):
    bundle = make(name)
    file = bundle.path if bundle.is_zip else bundle.path / "model/model.json"
    whole = file.read_bytes()
    for keep in (0, 1, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:keep])
        with pytest.raises(BundleError):
            read_bundle(bundle.path)


@pytest.mark.parametrize("victim", ["model/model.json", "run.py", "golden/input_000.npy"])
def test_missing_file_is_named(toy, victim):
    (toy.path / victim).unlink()
    with pytest.raises(BundleError) as caught:
        read_bundle(toy.path)
    assert caught.value.where == victim


@pytest.mark.parametrize(
    "extra",
    ["evil.py", "model/more.bin", "__pycache__/runtime.cpython-311.pyc", ".hidden", "site/a"],
)
def test_unknown_file_is_named(toy, extra):
    (toy.path / extra).parent.mkdir(exist_ok=True)
    (toy.path / extra).write_bytes(b"")
    with pytest.raises(BundleError, match="not in the manifest") as caught:
        read_bundle(toy.path)
    assert extra in caught.value.where


def test_links_and_special_files(toy, tmp_path):
    outside = tmp_path / "secret"
    outside.write_bytes((toy.path / "runtime.py").read_bytes())
    (toy.path / "runtime.py").unlink()
    (toy.path / "runtime.py").symlink_to(outside)
    with pytest.raises(BundleError, match="a link or a special file"):
        read_bundle(toy.path)
    (toy.path / "runtime.py").unlink()
    os.mkfifo(toy.path / "runtime.py")
    with pytest.raises(BundleError, match="a link or a special file"):
        read_bundle(toy.path)


def test_linked_folder(toy, tmp_path):
    (toy.path / "model").rename(tmp_path / "model")
    (toy.path / "model").symlink_to(tmp_path / "model")
    with pytest.raises(BundleError, match="a link or a special file"):
        read_bundle(toy.path)


def test_empty_folder(toy):
    (toy.path / "site").mkdir()
    with pytest.raises(BundleError, match="an empty folder"):
        read_bundle(toy.path)


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "/etc/evil", "a/../../evil", "..", "", "a//b", "a/", "./a", "a\\b", "C:\\evil", "c:evil",
        "con", "Aux.txt", "model/NUL", "com1.bin", "a\0b", "a\nb", "ünï", ".ssh", "a.", "a ", "-rf",
        "x" * 201, "a/" * 9 + "b", "\u202egnp.exe", "~/a", "$HOME/a",
    ],
)  # fmt: skip
def test_paths_that_lead_out_or_are_not_portable(toy, name):
    forge(toy.path, files=lambda files: {**files, name: entry(b"")})
    with pytest.raises(BundleError):
        read_bundle(toy.path)
    with pytest.raises(BundleError):
        check_names([name])


@pytest.mark.parametrize("names", [["a", "A"], ["a", "a/b"], ["x/y", "X"], ["a"] * 2])
def test_names_that_collide(names):
    with pytest.raises(BundleError):
        check_names(names)


def test_too_many_files():
    check_names(f"f{i}" for i in range(MAX_FILES))
    with pytest.raises(BundleError, match="more files"):
        check_names(f"f{i}" for i in range(MAX_FILES + 1))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"entry": "model/nope"}, "referred to, but not listed"),
        ({"entry": "run.py"}, "not below model/"),
        ({"labels": "labels.txt"}, "referred to, but not listed"),
        ({"kind": "other"}, "kind 'other'"),
        ({"name": 3}, r"breaks the schema: Expected `str`, got `int` - at `\$.name`"),
        ({"surprise": 1}, "unknown field `surprise`"),
        ({"signature": {}}, "breaks the schema"),
        ({"golden": lambda g: {**g, "samples": []}}, "none is there"),
    ],
)
def test_a_forged_manifest(toy, changes, text):
    manifest = json.loads((toy.path / "manifest.json").read_bytes())
    forge(toy.path, **{k: v(manifest[k]) if callable(v) else v for k, v in changes.items()}) if all(
        k in manifest for k in changes
    ) else _add(toy.path, changes)
    with pytest.raises(BundleError, match=text):
        read_bundle(toy.path).golden()


def _add(path: Path, changes: dict[str, object]) -> None:
    manifest = json.loads((path / "manifest.json").read_bytes()) | changes
    manifest["digest"] = digest(canonical({**manifest, "digest": ""}))
    (path / "manifest.json").write_bytes(canonical(manifest))


def test_an_unknown_version_says_which_edgeopt_is_needed(toy):
    provenance = {"edgeopt": "9.4.0", "tools": {}}
    forge(toy.path, schema_version=7, provenance=provenance)
    with pytest.raises(BundleError, match="schema version 7; this edgeopt reads 2") as caught:
        read_bundle(toy.path)
    assert "9.4.0" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"schema_version": 1e999}',
        b'{"schema_version":' + b"9" * 5000 + b"}", b" " * ((1 << 20) + 1),
    ],
)  # fmt: skip
def test_a_manifest_that_is_none(toy, text):
    (toy.path / "manifest.json").write_bytes(text)
    with pytest.raises(BundleError) as caught:
        read_bundle(toy.path)
    assert caught.value.where == "manifest.json"


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="no such bundle"):
        read_bundle(tmp_path / "nope")
    (tmp_path / "text").write_text("hello, this is no bundle at all, only some text")
    (tmp_path / "folder").mkdir()
    for name in ("text", "folder"):
        with pytest.raises(BundleError):
            read_bundle(tmp_path / name)


def test_a_file_that_changes_after_reading_is_not_handed_out(toy):
    (toy.path / "model/model.json").write_bytes(b'{"factor": 9.0}')
    with pytest.raises(BundleError, match=r"model/model\.json"):
        toy.artifact()
    with pytest.raises(BundleError, match=r"model/model\.json"):
        toy.verify()


# --- zip -----------------------------------------------------------------------------------------


def test_a_bomb_is_refused_before_it_is_unpacked(make, tmp_path):
    whole = make("toy.zip")
    bomb = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(whole.path) as old,
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
        new.writestr("model/zeros", bytes(50 << 20))
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(BundleError, match="not as edgeopt writes it") as caught:
        read_bundle(bomb)
    assert "unpack" in caught.value.hint


def _repack(path: Path, out: Path, change) -> None:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        members = [(m, old.read(m)) for m in old.infolist()]
        for member, content in change(members):
            new.writestr(member, content)


@pytest.mark.parametrize("name", ["../evil", "/evil", "a\\b", "manifest.json"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_a_hostile_member(make, tmp_path, name):
    path, out = make("toy.zip").path, tmp_path / "out.zip"

    def change(members):
        evil = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        evil.create_system, evil.external_attr = 3, 0o100644 << 16
        return [*members, (evil, b"evil")]

    _repack(path, out, lambda members: members)
    assert out.read_bytes() == path.read_bytes()
    _repack(path, out, change)
    with pytest.raises(BundleError):
        read_bundle(out)
    assert not (tmp_path / "evil").exists()


def test_a_zip_with_bytes_before_after_or_between(make):
    path = make("toy.zip").path
    whole = path.read_bytes()
    for content in (b"#!/bin/sh\n" + whole, whole + b"\0", whole[:-2] + b"\1\0x"):
        path.write_bytes(content)
        with pytest.raises(BundleError):
            read_bundle(path)


def test_a_zip_with_a_giant_directory(make, tmp_path):
    content = make("toy.zip").path.read_bytes()
    end = struct.Struct("<4s4H2LH")
    fields = list(end.unpack(content[-22:]))
    for count, size in ((65535, 1 << 31), (1, 1 << 31), (MAX_FILES + 2, 100)):
        fields[3] = fields[4] = count
        fields[5] = size
        (tmp_path / "giant.zip").write_bytes(content[:-22] + end.pack(*fields))
        with pytest.raises(BundleError, match="a directory of"):
            read_bundle(tmp_path / "giant.zip")


def test_a_sparse_file_with_a_huge_zip64_directory(tmp_path):
    path = tmp_path / "huge.zip"
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    with path.open("wb") as stream:
        stream.seek(8 << 30)
        stream.write(locator + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 46, 46, 0))
    with pytest.raises(BundleError):
        read_bundle(path)


def test_too_large_for_a_zip(make, monkeypatch):
    monkeypatch.setattr("edgeopt.bundles.archive.MAX_ZIP_BYTES", 1000)
    with pytest.raises(InputError, match="do not fit"):
        make("toy.zip")


# --- arrays --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype", ["float32", "float16", "int8", "int64", "bool", "complex64", ">f4"]
)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_arrays_come_back(dtype, shape):
    array = (np.arange(6)[: int(np.prod(shape))].reshape(shape)).astype(dtype)
    again = read_npy(write_npy(array), "x")
    np.testing.assert_array_equal(again, array)
    assert again.flags.writeable


def test_arrays_need_no_pickle_and_no_trust():
    with pytest.raises(InputError, match="pickle"):
        write_npy(np.array([object()]))
    whole = write_npy(np.zeros((2, 3), np.float32))
    header = len(whole) - 24
    claims = {
        b"(2, 3)": b"(2, 9)",
        b"'<f4'": b"'|O4'",
        b"False": b"True ",
        b"descr": b"d\xffscr",
    }
    for old, new in claims.items():
        with pytest.raises(BundleError):
            read_npy(whole.replace(old, new), "x.npy")
    giant = whole[:8] + b"\xff\xff" + whole[10:header] + b" " * 65_500 + whole[header:]
    with pytest.raises(BundleError, match="header of more than"):
        read_npy(giant, "x.npy")
    for cut in (0, 5, 9, 40, len(whole) - 1):
        with pytest.raises(BundleError):
            read_npy(whole[:cut], "x.npy")
    with pytest.raises(BundleError):
        read_npy(whole + b"\0", "x.npy")
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BundleError):
        read_npy(stream.getvalue(), "x.npy")


def test_a_giant_golden_header_in_a_bundle(toy):
    content = write_npy(np.zeros((1, 4), np.float32)).replace(b"(1, 4)", b"(1<<40,)"[:6])
    (toy.path / "golden/input_000.npy").write_bytes(content)
    forge(toy.path, files=lambda files: {**files, "golden/input_000.npy": entry(content)})
    with pytest.raises(EdgeoptError):
        read_bundle(toy.path).golden()
