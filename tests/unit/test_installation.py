"""What is printed to be typed names a place that is there and an extra that exists."""

from __future__ import annotations

import ast
import json
import re
import shlex
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import edgeopt
from edgeopt import installation
from edgeopt.cli.checks import checks
from edgeopt.installation import (
    application_command,
    install_command,
    packages_command,
    reinstall_command,
    requirements,
    system_command,
    uninstall_command,
)
from edgeopt.registry import backends

ROOT = Path(edgeopt.__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = set(PROJECT["optional-dependencies"])
SOURCES = [ROOT / "edgeopt", *sorted((ROOT / "backends").glob("*/edgeopt_*"))]


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """An interpreter with its pip on the path, and nothing that lies beside the code."""
    for name in ("python", "pip"):
        (tmp_path / "bin" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "bin" / name).touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


@pytest.fixture
def noted(beside, monkeypatch):
    """Returns what puts a distribution on the path, with what pip notes of where it came from."""
    site = beside / "site"
    monkeypatch.syspath_prepend(str(site))

    def put(direct_url=None, name="acme"):
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        requires = "Requires-Dist: acme-tools>=2; extra == 'tools'\nRequires-Dist: numpy>=1\n"
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\nProvides-Extra: tools\n{requires}"
        )
        if direct_url is not None:
            (info / "direct_url.json").write_text(
                direct_url if isinstance(direct_url, str) else json.dumps(direct_url)
            )

    return put


def said(extra="tools"):
    return install_command(extra, distribution="acme")


def test_from_an_index(noted):
    noted()
    assert said() == "pip install 'acme[tools]'"


def test_from_a_wheel(noted, beside):
    wheel = beside / "a b" / "acme-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    noted({"url": wheel.as_uri(), "archive_info": {}})
    assert said() == f"pip install '{wheel}[tools]'"


def test_from_a_checkout(noted, beside, monkeypatch):
    folder = beside / "checkout"
    folder.mkdir()
    noted({"url": folder.as_uri(), "dir_info": {"editable": True}})
    assert said() == f"pip install -e '{folder}[tools]'"
    monkeypatch.chdir(beside)
    assert said() == "pip install -e './checkout[tools]'"
    monkeypatch.chdir(folder)
    assert said() == "pip install -e '.[tools]'"


def test_a_checkout_that_was_copied_into_the_environment(noted, beside):
    folder = beside / "checkout"
    folder.mkdir()
    noted({"url": folder.as_uri(), "dir_info": {}})
    assert said() == f"pip install '{folder}[tools]'"


def test_what_is_gone_is_not_named(noted, beside):
    noted({"url": (beside / "gone.whl").as_uri(), "archive_info": {}})
    assert said() == "pip install 'acme-tools>=2'"
    assert reinstall_command(distribution="acme").endswith("--no-deps acme")


def test_from_a_repository(noted):
    noted({"url": "https://host/acme.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}})
    assert said() == "pip install 'acme[tools] @ git+https://host/acme.git@abc'"


@pytest.mark.parametrize("text", ["", "[]", '{"url": 1}', "\0", '{"url"'], ids=repr)
def test_a_note_that_cannot_be_read_is_none(noted, text):
    noted(text)
    assert said() == "pip install 'acme[tools]'"


def test_what_is_reinstalled_leaves_the_rest_alone(noted):
    noted()
    how = "pip install --force-reinstall --no-deps"
    assert reinstall_command("tools", distribution="acme") == f"{how} 'acme-tools>=2'"
    assert reinstall_command(distribution="acme") == f"{how} acme"


def test_what_nobody_knows_has_no_requirements():
    assert requirements("tools", distribution="no-such-distribution") == ()
    assert requirements("no-such-extra") == ()


def test_another_pip_is_not_called(beside, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin")
    python = beside / "bin" / "python"
    assert packages_command("acme") == f"{python} -m pip install acme"
    monkeypatch.chdir(beside)
    assert uninstall_command("acme") == "bin/python -m pip uninstall acme"


def test_an_environment_of_uv_has_no_pip(beside, monkeypatch):
    (beside / "bin" / "uv").touch(mode=0o755)
    monkeypatch.setattr(installation, "_has_pip", lambda: False)
    python = beside / "bin" / "python"
    assert packages_command("acme") == f"uv pip install --python {python} acme"


def test_a_program_of_its_own(beside):
    pipx = f"{beside / 'bin' / 'python'} -m pipx"
    assert application_command("acme", "more") == (
        f"pip install pipx && {pipx} install acme && {pipx} inject acme more"
    )
    (beside / "bin" / "pipx").touch(mode=0o755)
    assert application_command("acme") == "pipx install acme"


def test_a_package_of_the_system(beside, monkeypatch):
    assert system_command("adb") == (
        "install adb (as Debian calls it) with this system's package manager"
    )
    (beside / "bin" / "apt-get").touch(mode=0o755)
    monkeypatch.setattr(installation.os, "geteuid", lambda: 1000)
    assert system_command("adb") == "sudo apt-get install adb"
    monkeypatch.setattr(installation.os, "geteuid", lambda: 0)
    assert system_command("adb") == "apt-get install adb"


def test_from_this_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert install_command("tflite").endswith("pip install -e '.[tflite]'")


def _calls():
    """Yields where `install_command` or `reinstall_command` is called, and with which extra."""
    for path in sorted(path for folder in SOURCES for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(getattr(node, "func", None), "id", "")
            if name in {"install_command", "reinstall_command", "imported"} and node.args:
                yield path.relative_to(ROOT), name, node.args[-1]


def test_every_hint_names_an_extra_that_exists():
    literal = {
        (str(path), node.value) for path, _, node in _calls() if isinstance(node, ast.Constant)
    }
    assert len(literal) > 10
    assert {(path, extra) for path, extra in literal if extra not in EXTRAS} == set()
    assert {"train", "prune", "search", "ray", "onnx", "tflite-micro", "ethos-u"} <= {
        extra for _, extra in literal
    }


def test_what_doctor_says_names_extras_that_exist(monkeypatch):
    from edgeopt.cli import checks as module

    monkeypatch.setattr(module.util, "find_spec", lambda _: None)
    named = {
        extra for one in checks() for extra in re.findall(r"\[([\w,-]+)\]'", one.fix) if one.fix
    }
    assert {"timm", "hf", "explain", "search", "ray"} <= named
    assert named <= EXTRAS


def test_every_backend_of_ours_has_its_extra():
    ours = {
        name: info.load()
        for name, info in backends().items()
        if info._entry.module.partition(".")[0] in {folder.name for folder in SOURCES[1:]}
    }
    assert set(ours) == {"tflite", "openvino", "tvm", "micro"}
    for name, backend in ours.items():
        brought = {re.split(r"[<>=]", one)[0] for one in PROJECT["optional-dependencies"][name]}
        assert backend.extra == name
        assert set(backend.toolchain) <= brought, name


def test_no_hint_is_written_by_hand():
    """Each `pip install` in the core and the backends comes from `edgeopt.installation`."""
    pattern = re.compile(r"pip3? install (?!-r requirements)")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in SOURCES
        for path in sorted(folder.rglob("*.py"))
        if "/device/" not in str(path) and path.name != "installation.py"
        for line in path.read_text().splitlines()
        if pattern.search(line)
    ]
    # What is typed on a device, and what is said of another program.
    allowed = ("edgeopt copies it there; by hand", "by pip install tflite-micro")
    assert [line for line in found if not any(word in line for word in allowed)] == []


def test_what_docs_tell_to_install_are_extras():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    pages += sorted((ROOT / "backends").glob("*/README.md"))
    named = {
        (path.name, extra.strip())
        for path in pages
        for words in re.findall(
            r"""install [^\n]*?['"](?:edgeopt|\.)\[([^\]]+)\]""", path.read_text()
        )
        for extra in words.split(",")
    }
    assert named
    assert {(page, extra) for page, extra in named if extra not in EXTRAS} == set()


def test_a_command_is_one_that_a_shell_understands():
    words = shlex.split(install_command("tflite"))
    assert words[-1].endswith("[tflite]")
    assert metadata.version("edgeopt") == PROJECT["version"]


def test_the_page_has_every_extra_with_what_it_brings():
    """The weights are measured where they are; names are the project's."""
    page = (ROOT / "docs" / "install.md").read_text()
    rows = dict(re.findall(r"^\| `([\w-]+)` \|[^|]+\|([^|]*)\|[^|]+\|$", page, flags=re.MULTILINE))
    brought = {
        extra: [re.split(r"[<>=]", one)[0] for one in wanted if not one.startswith("edgeopt[")]
        for extra, wanted in PROJECT["optional-dependencies"].items()
    }
    assert {
        extra: [n for n in names.strip().split(", ") if n] for extra, names in rows.items()
    } == brought
