from __future__ import annotations

import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from edgeopt.devices import sysroot as module
from edgeopt.devices.apt import Package
from edgeopt.devices.relink import relink
from edgeopt.devices.sysroot import adopt_sysroot, cached_sysroot
from edgeopt.devices.tree import difference, snapshot
from edgeopt.errors import DeviceError, InputError
from edgeopt.files import cache_folder, locked


@pytest.fixture
def builds(monkeypatch):
    """Makes roots of three files without a network; returns the list of builds."""
    made = []

    def download(packages, arch, folder):
        made.append(arch)
        return (Package("python3", "3.11.2", "0" * 64, "python3.deb"),)

    def unpack(archive, root):
        (root / "usr" / "bin").mkdir(parents=True)
        (root / "usr" / "bin" / "python3.11").write_text("python")
        (root / "usr" / "lib" / "python3.11" / "__pycache__").mkdir(parents=True)
        (root / "usr" / "lib" / "python3.11" / "os.py").write_text("os")
        (root / "usr" / "share" / "doc" / "python3").mkdir(parents=True)
        (root / "tmp").mkdir()

    monkeypatch.setattr(module, "download", download)
    monkeypatch.setattr(module, "unpack", unpack)
    monkeypatch.setattr(module, "_compile", lambda *_: None)
    monkeypatch.setattr(module, "_checked", set())
    return made


def forget():
    """Makes the next use check the tree, as another process would."""
    module._checked.clear()


def test_it_is_made_once(tmp_path, builds):
    first = cached_sysroot("aarch64", cache=tmp_path)
    forget()
    assert cached_sysroot("aarch64", cache=tmp_path) == first
    assert builds == ["arm64"]
    assert first.python == "3.11"
    assert first.python_program.read_text() == "python"
    assert first.packages[0].version == "3.11.2"
    assert not (Path(first.root) / "usr/share/doc").exists()
    assert not (Path(first.root) / "tmp").exists()
    assert (Path(first.root) / "lib").readlink() == Path("usr/lib")


def damage_byte(root):
    (root / "usr/lib/python3.11/os.py").write_text("oz")


def damage_missing(root):
    (root / "usr/bin/python3.11").unlink()


def damage_extra(root):
    (root / "usr/lib/python3.11/sitecustomize.py").write_text("import evil")


def damage_link(root):
    (root / "lib").unlink()
    (root / "lib").symlink_to("/lib")


def damage_manifest(root):
    path = root.parent / "manifest.json"
    path.write_text(path.read_text()[:-40])


def damage_digest(root):
    path = root.parent / "manifest.json"
    manifest = json.loads(path.read_text())
    (root / "usr/lib/python3.11/os.py").write_text("oz")
    manifest["files"] = snapshot(root)
    path.write_text(json.dumps(manifest))


def damage_all(root):
    (root.parent / "manifest.json").unlink()


@pytest.mark.parametrize(
    "damage",
    [
        damage_byte,
        damage_missing,
        damage_extra,
        damage_link,
        damage_manifest,
        damage_digest,
        damage_all,
    ],
)
def test_a_damaged_one_is_made_anew(tmp_path, builds, damage):
    root = Path(cached_sysroot("aarch64", cache=tmp_path).root)
    whole = snapshot(root)
    damage(root)
    forget()
    cached_sysroot("aarch64", cache=tmp_path)
    assert builds == ["arm64", "arm64"]
    assert snapshot(root) == whole


def test_bytecode_is_no_damage(tmp_path, builds):
    root = Path(cached_sysroot("aarch64", cache=tmp_path).root)
    (root / "usr/lib/python3.11/__pycache__/os.cpython-311.opt-1.pyc").write_bytes(b"")
    forget()
    cached_sysroot("aarch64", cache=tmp_path)
    assert len(builds) == 1


def test_a_failure_leaves_nothing(tmp_path, builds, monkeypatch):
    def unpack(archive, root):
        (root / "usr").mkdir()
        raise DeviceError("is damaged", where="python3.deb")

    monkeypatch.setattr(module, "unpack", unpack)
    with pytest.raises(DeviceError, match="is damaged"):
        cached_sysroot("aarch64", cache=tmp_path)
    names = [path.name for path in (tmp_path / "sysroots").iterdir()]
    assert all(name.endswith(".lock") for name in names)


def test_what_a_killed_process_left_is_cleared(tmp_path, builds):
    folder = Path(cached_sysroot("aarch64", cache=tmp_path).root).parent
    left = folder.parent / f".{folder.name}.abcd1234.draft"
    left.mkdir()
    (folder / "manifest.json").unlink()
    forget()
    cached_sysroot("aarch64", cache=tmp_path)
    assert not left.exists()


def _hold(lock, log, name):
    with locked(lock):
        for step in ("in", "out"):
            with log.open("a") as stream:
                stream.write(f"{name} {step}\n")
            time.sleep(0.1)


def test_only_one_process_at_a_time(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_hold, args=(tmp_path / "lock", tmp_path / "log", name))
        for name in "ab"
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    rows = (tmp_path / "log").read_text().split("\n")[:4]
    assert rows in (["a in", "a out", "b in", "b out"], ["b in", "b out", "a in", "a out"])


def test_two_processes_make_it_once(tmp_path, builds, monkeypatch):
    download = module.download

    def slowly(packages, arch, folder):
        with (tmp_path / "log").open("a") as stream:
            stream.write("made\n")
        time.sleep(0.3)
        return download(packages, arch, folder)

    monkeypatch.setattr(module, "download", slowly)
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=cached_sysroot, args=("aarch64",), kwargs={"cache": tmp_path})
        for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert (tmp_path / "log").read_text() == "made\n"


def test_other_package_sources_make_another_root(tmp_path, builds, monkeypatch):
    first = cached_sysroot("aarch64", cache=tmp_path)
    (tmp_path / "my.sources").write_text("Types: deb\n")
    monkeypatch.setenv("EDGEOPT_APT_SOURCES", str(tmp_path / "my.sources"))
    assert cached_sysroot("aarch64", cache=tmp_path).root != first.root
    monkeypatch.setenv("EDGEOPT_APT_SOURCES", str(tmp_path / "missing"))
    with pytest.raises(DeviceError, match="EDGEOPT_APT_SOURCES"):
        cached_sysroot("aarch64", cache=tmp_path)


def test_a_cache_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="EDGEOPT_CACHE"):
        cached_sysroot("aarch64", cache=tmp_path / "file" / "cache")


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("EDGEOPT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "edgeopt"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/to/be/ignored")
    assert cache_folder() == tmp_path / ".cache" / "edgeopt"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/edgeopt")
    monkeypatch.setenv("EDGEOPT_CACHE", "~/mine")
    assert cache_folder() == tmp_path / "mine"


def test_a_root_of_somebody_else_needs_a_python(tmp_path):
    with pytest.raises(DeviceError, match="no Python"):
        adopt_sysroot("aarch64", tmp_path)
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    for name in ("python3.9", "python3.11", "python3.11-config", "python3"):
        (tmp_path / "usr" / "bin" / name).write_text("")
    assert adopt_sysroot("aarch64", tmp_path).python == "3.11"


def test_absolute_links_stay_inside(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "file").write_text("inside")
    (tmp_path / "usr" / "lib").mkdir(parents=True)
    (tmp_path / "usr" / "lib" / "good").symlink_to("/etc/file")
    (tmp_path / "usr" / "lib" / "gone").symlink_to("/etc/passwd")
    (tmp_path / "usr" / "lib" / "relative").symlink_to("good")
    relink(tmp_path)
    assert (tmp_path / "usr" / "lib" / "good").readlink() == Path("../../etc/file")
    assert not os.path.lexists(tmp_path / "usr" / "lib" / "gone")
    assert (tmp_path / "usr" / "lib" / "relative").read_text() == "inside"


def test_a_difference_is_named(tmp_path):
    (tmp_path / "a").write_text("1")
    before = snapshot(tmp_path)
    assert difference(tmp_path, before) is None
    (tmp_path / "b").write_text("2")
    assert difference(tmp_path, before) == "b"
