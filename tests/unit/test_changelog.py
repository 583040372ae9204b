"""News fragments become a release."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def changelog():
    spec = importlib.util.spec_from_file_location("changelog", ROOT / "scripts" / "changelog.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path, changelog):
    (tmp_path / "changelog.d").mkdir()
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{changelog.MARK}\n## 0.1.0 (old)\n")
    return tmp_path


def test_the_fragments_of_this_checkout_are_well_named(changelog):
    changelog.fragments(ROOT / "changelog.d")


def test_a_release_comes_before_the_last_one(checkout, changelog):
    (checkout / "changelog.d" / "12.fixed.md").write_text("It works.\nReally.\n")
    (checkout / "changelog.d" / "new-thing.added.md").write_text("A thing.\n")
    changelog.release(checkout, "0.2.0")
    text = (checkout / "CHANGELOG.md").read_text()
    assert "### Added\n\n- A thing.\n\n### Fixed\n\n- It works.\n  Really.\n" in text
    assert text.index("## 0.2.0") < text.index("## 0.1.0")
    assert list((checkout / "changelog.d").iterdir()) == []


@pytest.mark.parametrize("name", ["thing.md", "thing.nice.md", "Thing.added.md", "a.added.txt"])
def test_other_names_are_refused(checkout, changelog, name):
    (checkout / "changelog.d" / name).write_text("text")
    with pytest.raises(SystemExit, match=r"WHAT\.KIND\.md"):
        changelog.fragments(checkout / "changelog.d")


def test_nothing_to_release(checkout, changelog):
    with pytest.raises(SystemExit, match="nothing to release"):
        changelog.release(checkout, "0.2.0")
