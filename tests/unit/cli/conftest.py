from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest
from typer.testing import CliRunner

from edgeopt.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Completed(NamedTuple):
    returncode: int
    stdout: str
    stderr: str
    exception: BaseException | None


MODELS = """
import torch
from torch import nn
from edgeopt.testing.specimens import specimen


def make():
    held = specimen("residual")
    return held.model, held.example, held.samples


def as_dict():
    held = specimen("residual")
    return {"model": held.model, "example_inputs": held.example, "evaluate": lambda fn: 1.0}


def bare():
    return specimen("residual").model


def data():
    return specimen("residual").samples


def bad_score(fn):
    x = specimen("residual").example[0]
    with torch.no_grad():
        return float(fn(x).std() == bare()(x).std())


def boom():
    raise ValueError("no weights here")


def needs(path):
    return path


def nothing():
    return None


number = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a folder with a module of models, which is the current folder."""
    (tmp_path / "toy_models.py").write_text(MODELS)
    (tmp_path / "broken_models.py").write_text("import not_installed_anywhere\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEOPT_DEBUG", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    sys.modules.pop("toy_models", None)
    return tmp_path


@pytest.fixture
def edgeopt(folder: Path) -> Callable[..., Completed]:
    """Returns the command, run in this process."""

    def run(*words: str) -> Completed:
        done = CliRunner(env={"COLUMNS": "200"}).invoke(app, words)
        return Completed(done.exit_code, done.stdout, done.stderr, done.exception)

    return run


@pytest.fixture
def process(folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Returns the command, run as a process of its own."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from edgeopt.cli.main import run; run()", *words]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    return run
