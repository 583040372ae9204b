"""Runs a file in TFLM's interpreter before it is given away, and says what memory that takes."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from edgeopt.errors import CompileError, PluginError
from edgeopt.files import temporary_folder
from edgeopt.installation import install_command
from edgeopt_tflite.micro import worker

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Arena", "measure_arena"]

_LIMIT_S = 600.0
"""Seconds that one run may take: reference kernels, on a busy machine."""
_ROOM = 1 << 28
"""Bytes of the arena of the first run: far more than a microcontroller has."""
_GRAIN = 64
"""Bytes to which the least arena is found, more than the 16 that TFLM aligns it to."""
_TOTALS = re.compile(rb"Arena allocation (total|head|tail) (\d+) bytes")
_NOISE = ("Traceback", "  ", "[Recording")
_SHOWN = 3
"""Lines of what TFLM said that an error repeats."""


@dataclass(frozen=True)
class Arena:
    """What TFLM's interpreter needs for a model.

    Attributes:
        total_bytes: The least arena in which it can be prepared and run, to 64 bytes.
        tensor_bytes: What activations and scratch buffers share of it, by the recording allocator.
        structure_bytes: What structures take of it, mostly pointers; here of 64 bits.
    """

    total_bytes: int
    tensor_bytes: int
    structure_bytes: int


def measure_arena(model: bytes) -> Arena:
    """Returns what the interpreter needs for ``model``, a ``.tflite`` file; runs it on zeros.

    Raises:
        PluginError: The wheel of TFLM is not installed.
        CompileError: TFLM cannot run it; says what it said.
    """
    if find_spec("tflite_micro") is None:
        raise PluginError(
            "TFLite for Micro's interpreter is not installed", hint=install_command("tflite-micro")
        )
    with temporary_folder() as folder:
        path = folder / "model.tflite"
        path.write_bytes(model)
        done = _run(path, _ROOM)
        if done.returncode:
            raise CompileError(
                f"TFLite for Micro cannot run the file: {_said(done.stderr)}",
                hint="edgeopt's table of its kernels is wrong there: please report the model",
            )
        sizes = _recorded(done.stderr)
        return Arena(_least(path, sizes["total"]), sizes["head"], sizes["tail"])


def _least(path: Path, recorded_bytes: int) -> int:
    """Returns the least arena of at least ``recorded_bytes`` that is enough.

    What is recorded at the end may be too little: preparing an operator takes room for a moment.
    """
    least = most = -(-recorded_bytes // _GRAIN)
    step = 1
    while _run(path, most * _GRAIN).returncode:
        least, most, step = most + 1, most + step, 2 * step
    while least < most:
        middle = (least + most) // 2
        enough = _run(path, middle * _GRAIN).returncode == 0
        least, most = (least, middle) if enough else (middle + 1, most)
    return most * _GRAIN


def _run(path: Path, arena_bytes: int) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, worker.__file__, str(path), str(arena_bytes)]
    try:
        return subprocess.run(command, capture_output=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise CompileError(f"TFLite for Micro did not end within {_LIMIT_S:.0f} s") from error


def _recorded(said: bytes) -> dict[str, int]:
    sizes = {name.decode(): int(number) for name, number in _TOTALS.findall(said)}
    if sizes.keys() != {"total", "head", "tail"}:
        raise CompileError(
            "this version of tflite-micro does not say what it allocates",
            hint=install_command("tflite-micro"),
        )
    return sizes


def _said(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").splitlines()
    told = [line.strip() for line in lines if line.strip() and not line.startswith(_NOISE)]
    return "; ".join(told[:_SHOWN]) or "it ended without a word"
