"""Finding targets: packages, the user's folder, files, conflicts and unknown names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import edgeopt_targets
from edgeopt.errors import TargetError
from edgeopt.registry import find_target, targets
from edgeopt.registry.target_registry import DEFAULT_GROUP, user_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    Installer = Callable[..., Path]

RPI4 = edgeopt_targets.descriptors() / "rpi4.toml"


def _descriptor(path: Path, name: str, *aliases: str) -> Path:
    text = RPI4.read_text(encoding="utf-8")
    head, rest = text.split("aliases = [", 1)
    listed = ", ".join(f'"{alias}"' for alias in aliases)
    body = rest.split("]", 1)[1]
    new = head.replace('"rpi4"', f'"{name}"') + f"aliases = [{listed}]" + body
    path.write_text(new, encoding="utf-8")
    return path


def _package(install: Installer, name: str, folder: Path, value: str = "where") -> None:
    module = name.replace("-", "_")
    source = f"from pathlib import Path\nfolder = {str(folder)!r}\ndef where(): return folder\n"
    entries = {"mine": f"{module}:{value}"}
    install(name, group=DEFAULT_GROUP, entries=entries, modules={module: source})


def test_a_target_is_returned_as_it_is() -> None:
    target = find_target("rpi4")
    assert find_target(target) is target


def test_targets_is_a_mapping_with_the_host_last() -> None:
    found = targets()
    assert list(found)[-1] == "host"
    assert len(found) == len(list(found))
    assert found["rpi5"].cpu.model == "Cortex-A76"
    assert "rpi6" not in found
    with pytest.raises(KeyError):
        found["rpi6"]


def test_an_unknown_name_suggests_the_nearest_and_lists_all() -> None:
    with pytest.raises(TargetError) as caught:
        find_target("rasberry-pi-4")
    first, second = str(caught.value).splitlines()
    assert first == 'target: there is no target "rasberry-pi-4"'
    assert second.startswith('  -> did you mean "rpi4"')
    assert ", ".join(targets()) in second


def test_a_name_like_nothing_lists_all() -> None:
    with pytest.raises(TargetError) as caught:
        find_target("zzzzzz")
    assert caught.value.hint == "targets: " + ", ".join(targets())


def test_a_file_is_a_target(tmp_path: Path) -> None:
    path = _descriptor(tmp_path / "desk.toml", "desk-pi")
    assert find_target(path).name == "desk-pi"
    assert find_target(str(path)).name == "desk-pi"


def test_the_users_folder(user_targets: Path) -> None:
    assert user_folder() == user_targets
    _descriptor(user_targets / "desk.toml", "desk-pi", "my-pi")
    assert find_target("My Pi").name == "desk-pi"
    assert "desk-pi" in targets()


def test_the_users_folder_is_below_home_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/somewhere")
    assert user_folder() == Path("/somewhere/.config/edgeopt/targets")


@pytest.mark.parametrize("value", ["where", "folder"])
def test_a_package_of_ones_own(install: Installer, tmp_path: Path, value: str) -> None:
    folder = tmp_path / "boards"
    folder.mkdir()
    _descriptor(folder / "board.toml", "acme-board")
    _package(install, f"acme-boards-{value}", folder, value)
    assert find_target("acme_board").name == "acme-board"


def test_a_folder_that_is_offered_twice_is_read_once(install: Installer) -> None:
    _package(install, "again", edgeopt_targets.descriptors())
    assert find_target("rpi4").name == "rpi4"


def test_two_that_claim_one_name(user_targets: Path) -> None:
    mine = _descriptor(user_targets / "mine.toml", "rpi4")
    with pytest.raises(TargetError) as caught:
        find_target("rpi4")
    text = '"rpi4" is claimed by more than one target: '
    assert caught.value.what.startswith(text)
    assert set(caught.value.what.removeprefix(text).split(" and ")) == {str(RPI4), str(mine)}
    assert caught.value.hint == "rename one of them, or remove the alias"
    with pytest.raises(TargetError, match='"rpi4" is claimed by more'):
        targets()


def test_an_alias_that_is_anothers_name(user_targets: Path) -> None:
    mine = _descriptor(user_targets / "mine.toml", "desk-pi", "RPi_4")
    with pytest.raises(TargetError, match="claimed by more than one target") as caught:
        find_target("rpi4")
    assert str(RPI4) in caught.value.what
    assert str(mine) in caught.value.what


def test_a_conflict_leaves_other_names_alone(user_targets: Path) -> None:
    _descriptor(user_targets / "mine.toml", "rpi4")
    assert find_target("rpi5").name == "rpi5"


def test_the_name_of_the_host_is_taken(user_targets: Path) -> None:
    mine = _descriptor(user_targets / "mine.toml", "host")
    with pytest.raises(TargetError) as caught:
        find_target("host")
    assert caught.value.what == (
        f'"host" is claimed by more than one target: {mine} and this machine (host is detected)'
    )


def test_a_broken_descriptor_stands_in_nobodys_way(user_targets: Path) -> None:
    (user_targets / "broken.toml").write_text('name = "broken-pi"\ncpu = 3\n')
    (user_targets / "garbage.toml").write_text("]]]")
    assert find_target("rpi4").name == "rpi4"
    assert {"broken-pi", "garbage"} <= set(targets())
    with pytest.raises(TargetError, match=r"broken\.toml: cpu: expected a table, got 3"):
        find_target("broken-pi")
    with pytest.raises(TargetError, match=r"garbage\.toml: is not valid TOML"):
        targets()["garbage"]


def test_a_package_that_fails_is_named(install: Installer) -> None:
    module = {"failing_boards": "raise RuntimeError('no boards today')"}
    entries = {"mine": "failing_boards:where"}
    install("failing-boards", group=DEFAULT_GROUP, entries=entries, modules=module)
    with pytest.raises(TargetError) as caught:
        find_target("rpi4")
    assert str(caught.value) == (
        "entry point mine: the targets of the package failing-boards cannot be found:"
        " RuntimeError('no boards today')\n"
        "  -> reinstall failing-boards, or uninstall it"
    )
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_no_heavy_package_is_imported() -> None:
    code = (
        "import sys; from edgeopt.registry import targets, find_target; find_target('rpi4');"
        "print(sorted({'torch', 'numpy', 'pydantic', 'openvino', 'rich'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
