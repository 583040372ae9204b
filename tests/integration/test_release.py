"""What is published: the quick part of `make release`, and what builds from a part of the checkout."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scripts():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        import _distributions
        import release

        yield _distributions, release


@pytest.fixture(scope="module")
def built(scripts, tmp_path_factory):
    """The sdist, and the wheel that was built from it."""
    return scripts[0].build(tmp_path_factory.mktemp("built") / "dist", isolated=False)


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def wheel_of(folder, into):
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(into)]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(into.glob("*.whl"))


def with_changes(wheel, into, changes):
    """Returns a copy of a wheel with other contents; None removes a file."""
    copy = into / wheel.name
    with zipfile.ZipFile(copy, "w") as archive:
        for name, content in {**contents(wheel), **changes}.items():
            if content is not None:
                archive.writestr(name, content)
    return copy


def test_what_is_built_is_whole(scripts, built):
    assert list(scripts[0].problems(*built)) == []


def test_the_checkout_builds_what_the_sdist_builds(built, tmp_path):
    assert contents(wheel_of(ROOT, tmp_path)) == contents(built[1])


def test_the_image_copies_all_that_the_wheel_needs(built, tmp_path):
    text = (ROOT / "Dockerfile").read_text()
    copied = [line.split()[1:-1] for line in text.splitlines() if re.match(r"COPY (?!--)", line)]
    source = tmp_path / "source"
    source.mkdir()
    for name in (name for names in copied for name in names):
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "tests")
            shutil.copytree(ROOT / name, source / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, source)
    allowed = [f"!{name}" for names in copied for name in names]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert sorted(allowed) == sorted(line for line in ignored if line.startswith("!"))
    assert contents(wheel_of(source, tmp_path)) == contents(built[1])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"edgeopt/left_over.py": b""}, "has edgeopt/left_over.py, which git does not know"),
        ({"edgeopt_tvm/py.typed": None}, "edgeopt_tvm has no py.typed"),
        ({"edgeopt_tvm/native/pool.c": None}, "lacks edgeopt_tvm/native/pool.c"),
        ({"{info}/licenses/LICENSE": None}, "the licence LICENSE is not in the wheel"),
        ({"{info}/METADATA": "{old}\n[more](docs/ir.md)\n"}, "cannot follow: ](docs/ir.md)"),
        ({"{info}/METADATA": "Metadata-Version: 2.4\nName: edgeopt\nVersion: 9.9\n"}, "is 9.9"),
        ({"{info}/METADATA": "Metadata-Version: 2.4\nName: edgeopt\n"}, "twine:"),
    ],
    ids=["stray", "untyped", "lacking", "licence", "link", "version", "twine"],
)
def test_a_fault_is_seen(scripts, built, tmp_path, changes, said):
    names = contents(built[1])
    info = next(name.partition("/")[0] for name in names if name.endswith("/METADATA"))
    old = names[f"{info}/METADATA"].decode()
    changed = {
        name.format(info=info): text.format(old=old) if isinstance(text, str) else text
        for name, text in changes.items()
    }
    wheel = with_changes(built[1], tmp_path, changed)
    assert any(said in one for one in scripts[0].problems(built[0], wheel))


@pytest.mark.parametrize(
    ("text", "version"),
    [("# Changelog\n\n## 0.2.0 (2026-12-01)\n## 0.1.0 (2026-11-01)\n", "0.2.0"), ("none", "")],
)
def test_the_newest_release_of_a_changelog(scripts, text, version):
    assert scripts[0].changelog_version(text) == version


def test_tag_and_changelog_must_say_the_same(scripts, monkeypatch):
    require = scripts[1].require_version
    with pytest.raises(SystemExit, match=r"the tag is v2, the version in pyproject.toml 0\.1"):
        require("0.1", draft=True, tag="v2")
    monkeypatch.setattr(scripts[1], "changelog_version", lambda _: "0.1")
    require("0.1", draft=False, tag="v0.1")
    with pytest.raises(SystemExit, match=r"changelog\.py 0\.2, or --draft"):
        require("0.2", draft=False, tag=None)
    require("0.2", draft=True, tag=None)


def test_the_container_for_development_calls_what_is_here():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert container["onCreateCommand"] == "scripts/system.sh && make install"
    assert (ROOT / "scripts" / "system.sh").is_file()
    assert re.search(r"^install:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def test_what_is_tested_is_what_is_declared(scripts):
    """The workflow's Pythons are the classifiers', and the oldest is what is required."""
    project = scripts[0].project()["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text()
    matrix = json.loads(re.search(r"python: (\[.*\])", workflow)[1])
    assert matrix == named
    assert project["requires-python"] == f">={named[0]}"
