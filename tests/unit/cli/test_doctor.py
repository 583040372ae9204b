"""`edgeopt doctor`, with and without what it looks for."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path

import pytest

import edgeopt
from edgeopt.cli import checks as module
from edgeopt.cli.checks import GROUPS, Check, checks
from edgeopt.cli.doctor import _lines, _usable
from edgeopt.errors import PluginError

ROOT = Path(edgeopt.__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.fixture
def bare(monkeypatch):
    """A machine with the core alone: no toolchain, no extra, no program."""
    real = importlib.util.find_spec
    core = {"torch", "numpy", "pip"}

    def find_spec(name, package=None):
        here = name.partition(".")[0] in core or name.startswith("edgeopt")
        return real(name, package) if here else None

    monkeypatch.setattr("edgeopt.lowering.backend.find_spec", find_spec)
    monkeypatch.setattr(module.util, "find_spec", find_spec)
    monkeypatch.setattr(module.shutil, "which", lambda _: None)


def test_with_the_core_alone_everything_else_is_missing_with_what_to_type(bare):
    missing = [one for one in checks() if one.status == "missing"]
    assert {one.kind for one in missing} == set(GROUPS) - {"base", "machine"}
    assert all(one.fix and one.purpose for one in missing)
    named = {one.name for one in missing}
    assert {"tflite", "openvino", "tvm", "micro", "ethos-u-vela", "tflite-micro"} <= named
    assert {"accelerate", "torch-pruning", "optuna", "ray", "onnx", "captum"} <= named
    assert {"timm", "torchvision", "ultralytics", "transformers"} <= named
    assert {"ssh", "adb", "qemu-aarch64-static", "arm-none-eabi-gcc", "model_signing"} <= named
    assert not _usable(checks())


def test_each_extra_is_looked_for():
    looked_for = {one.extra for one in module._PACKAGES} | set(module._BACKENDS)
    collections = {extra for extra, wanted in EXTRAS.items() if wanted[0].startswith("edgeopt[")}
    assert looked_for == set(EXTRAS) - collections | {"tflite-micro", "ethos-u"}


def test_a_person_reads_it_in_a_narrow_terminal(bare):
    lines = list(_lines(checks(), 80))
    assert [line for line in lines if line in GROUPS.values()] == list(GROUPS.values())
    assert all(len(line) <= 80 for line in lines if "->" not in line and "/" not in line)
    place = next(i for i, line in enumerate(lines) if line.startswith("  tflite "))
    assert lines[place].split()[:2] == ["tflite", "missing"]
    fix = next(line for line in lines[place:] if "->" in line)
    assert fix.startswith("      -> ")
    assert fix.endswith("[tflite]'")
    assert lines[-1] == "No backend can be used: install the toolchain of one, as said above."


@pytest.mark.parametrize(
    ("status", "last"),
    [
        ("ok", "Nothing is missing."),
        ("missing", "1 missing; each is needed only for what is said beside it."),
    ],
)
def test_the_last_line_says_how_it_stands(status, last):
    entries = [Check("tflite", "backend", "ok"), Check("onnx", "exchange", status)]
    assert list(_lines(entries, 80))[-1] == last


def test_two_packages_that_claim_a_backend_are_said(monkeypatch):
    def table():
        raise PluginError("claimed twice", hint="pip uninstall one")

    monkeypatch.setattr("edgeopt.cli.listing.backend_table", table)
    (entry,) = [one for one in checks() if one.kind == "backend"]
    assert (entry.status, entry.detail, entry.fix) == (
        "broken",
        "claimed twice",
        "pip uninstall one",
    )
    assert not _usable([entry])


def test_a_program_that_is_there_is_shown(monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name: f"/opt/{name}")
    found = {one.name: one for one in checks()}
    assert found["adb"].detail == "/opt/adb"
    assert found["model_signing"].status == "ok"
