"""Applications whose model replays outputs from files, built here: what is tested lies around the model."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from edgeopt.bundles import write_bundle
from edgeopt.bundles.application import Interpreter
from edgeopt.codegen.c_source import c_project
from edgeopt.codegen.facts import facts_of
from edgeopt.codegen.kotlin_source import kotlin_project
from edgeopt.contracts import CallSource
from edgeopt.testing.toy import REPLAY_RUNTIME, replay_artifact, toy_runtime, toy_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.bundles import Bundle

REPLAY_C = Path(__file__).with_name("replay.c").read_text()
REPLAY_KT = Path(__file__).with_name("Replay.kt").read_text()


@pytest.fixture
def replay(tmp_path: Path) -> Callable[..., Bundle]:
    """Writes a bundle of a model that takes inputs like those named, and gives the outputs named."""

    def made(inputs: Any, outputs: Any, **options: Any) -> Bundle:
        name = f"bundle-{len(list(tmp_path.iterdir()))}"
        artifact = replay_artifact(inputs, outputs)
        runtime = toy_runtime(source=REPLAY_RUNTIME)
        return write_bundle(
            artifact, runtime, toy_target(), path=tmp_path / name, golden=None, **options
        )

    return made


def put(folder: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def done(*command: Any, cwd: Path | None = None) -> str:
    result = subprocess.run(
        list(map(str, command)), check=False, capture_output=True, text=True, cwd=cwd, timeout=300
    )
    assert result.returncode == 0, (command, result.stdout, result.stderr)
    return result.stdout


def built_c(bundle: Bundle, folder: Path, language: str = "c") -> Path:
    """Returns the program of an application around ``bundle``, every warning being an error."""
    project = c_project(facts_of(bundle), CallSource({"call.c": REPLAY_C}), language)
    put(folder, project)
    objects = []
    for name in sorted(project):
        if not name.endswith((".c", ".cpp")) or name.endswith("check.c"):
            continue
        compiler, standard = ("gcc", "c11") if name.endswith(".c") else ("g++", "c++17")
        objects.append(folder / f"{name}.o")
        flags = ("-O1", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", f"-std={standard}")
        done(compiler, *flags, "-c", folder / name, "-o", objects[-1])
    done("g++", *objects, "-lm", "-o", folder / "app")
    return folder / "app"


def built_kotlin(bundle: Bundle, folder: Path, main: str) -> Path:
    """Returns the classes of an application around ``bundle`` with ``main`` beside it."""
    call = CallSource({"Replay.kt": REPLAY_KT, "Main.kt": main})
    project = kotlin_project(facts_of(bundle), call)
    put(folder, project)
    sources = [folder / name for name in project]
    done("kotlinc", *sources, "-include-runtime", "-d", folder / "app.jar")
    return folder / "app.jar"


def photograph(path: Path, size: tuple[int, int], *, grey: bool = False, seed: int = 0) -> Path:
    """Writes a picture of soft shapes and noise, as .ppm or .pgm."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (7, 9, 3), np.uint8)).resize(size, 3)
    pixels = np.asarray(small).astype(int) + rng.integers(-20, 20, (size[1], size[0], 3))
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    (picture.convert("L") if grey else picture).save(path)
    return path


def expected(bundle: Bundle, path: Path) -> tuple[np.ndarray, Any]:
    """Returns the input that run.py makes of a picture, and what it says of the outputs."""
    interpreter = Interpreter(bundle)
    prepared = interpreter.prepare(path)
    return prepared.arrays[0], prepared.placement
