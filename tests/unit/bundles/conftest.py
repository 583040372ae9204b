from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgeopt.bundles import write_bundle
from edgeopt.testing.toy import (
    REPLAY_RUNTIME,
    replay_artifact,
    toy_artifact,
    toy_golden,
    toy_runtime,
    toy_target,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.bundles import Bundle


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Bundle]:
    """Writes a toy bundle, by default to ``tmp_path / "toy"``."""

    def made(name: str = "toy", *, inputs: int = 1, outputs: int = 1, **options: Any) -> Bundle:
        artifact = options.pop("artifact", None) or toy_artifact(inputs=inputs, outputs=outputs)
        options.setdefault("golden", toy_golden(artifact))
        runtime = options.pop("runtime", None) or toy_runtime()
        return write_bundle(artifact, runtime, toy_target(), path=tmp_path / name, **options)

    return made


@pytest.fixture
def toy(make: Callable[..., Bundle]) -> Bundle:
    return make(report={"latency_ms": 1.5})


@pytest.fixture
def replay(make: Callable[..., Bundle]) -> Callable[..., Bundle]:
    """Writes a bundle of a model that takes inputs like those named, and gives the outputs named."""

    def made(inputs: Any, outputs: Any, **options: Any) -> Bundle:
        artifact = replay_artifact(inputs, outputs)
        runtime = toy_runtime(source=REPLAY_RUNTIME)
        return make(artifact=artifact, runtime=runtime, golden=None, **options)

    return made


def old_python() -> str | None:
    """Returns a Python 3.9: on the path, or one of pyenv's."""
    root = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    candidates = [
        shutil.which("python3.9"),
        *sorted(Path(root).glob("versions/3.9.*/bin/python3.9")),
    ]
    for candidate in filter(None, candidates):
        done = subprocess.run([str(candidate), "-V"], check=False, capture_output=True, text=True)
        if done.stdout.startswith("Python 3.9"):
            return str(candidate)
    return None


def old_environment(folder: Path, *packages: str) -> str:
    """Returns Python 3.9 with ``packages``, in an environment of its own."""
    found = old_python()
    if found is None:
        pytest.skip("no Python 3.9 here")
    subprocess.run([found, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin/python")
    pip = [python, "-m", "pip", "install", "-q", *packages]
    if subprocess.run(pip, check=False, capture_output=True).returncode:
        pytest.skip(f"{', '.join(packages)} cannot be installed here")
    return python


@pytest.fixture(scope="session")
def python39(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Python 3.9 with numpy 1.21, the oldest that the runner promises to work with."""
    return old_environment(tmp_path_factory.mktemp("py39"), "numpy==1.21.6")


@pytest.fixture(scope="session")
def python39_pillow(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same with an old Pillow."""
    return old_environment(tmp_path_factory.mktemp("py39p"), "numpy==1.21.6", "pillow==9.5.0")
