"""Runs a model's C source on this machine, compiled for it: what the gate measures parity with."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.files import temporary_folder
from edgeopt_micro.build import FLAGS, compiled
from edgeopt_micro.device.edgeopt_board.ports import Port
from edgeopt_micro.source import native_file

__all__ = ["HostModel"]

_HOST = ("-shared", "-fPIC", "-march=native", "-DEDGEOPT_PORTABLE", "-I.")


class HostModel:
    """A model, compiled from the source beside ``path``.

    Args:
        path: The artefact's entry, ``src/model.c``.
        metadata: The artefact's.
        threads: It runs in one.
    """

    def __init__(self, path: str, metadata: dict[str, Any], threads: int) -> None:
        del threads
        self._metadata = metadata
        self._inputs = [Port(tensor) for tensor in metadata["inputs"]]
        self._outputs = [Port(tensor) for tensor in metadata["outputs"]]
        files = {"whole.c": Path(path).read_bytes()}
        if (Path(path).parent / "edgeopt_weighted.h").exists():
            files["whole.c"] += native_file("edgeopt_portable.c")
        pools = Path(path).parent / "edgeopt_pools.c"
        files["whole.c"] += pools.read_bytes() if pools.exists() else b""
        files |= {file.name: file.read_bytes() for file in Path(path).parent.glob("*.h")}
        with temporary_folder() as folder:
            library = folder / "model.so"
            library.write_bytes(compiled(files, [*_HOST, *FLAGS, "whole.c"], library.name))
            self._library = ctypes.CDLL(str(library))
        self._model = _Model.in_dll(self._library, f"{metadata['model']}_model")
        self._arena = _aligned(int(metadata["arena_bytes"]))

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Returns the outputs in the float model's shapes and dtypes."""
        for x, port, place in zip(inputs, self._inputs, self._places("inputs"), strict=True):
            place[:] = np.frombuffer(port.packed(x), np.uint8)
        status = self._model.run_steps(
            self._arena.ctypes.data, None, None, 0, self._model.step_count
        )
        if status:
            raise RuntimeError(f"the model returned {status}")
        outputs = zip(self._outputs, self._places("outputs"), strict=True)
        return [port.unpacked(place.tobytes()) for port, place in outputs]

    def _places(self, side: str) -> list[np.ndarray]:
        """Returns the bytes of inputs or outputs within the arena, where a program has them by default."""
        ports = self._inputs if side == "inputs" else self._outputs
        starts = [tensor["offset"] for tensor in self._metadata[side]]
        return [
            self._arena[start : start + port.size]
            for start, port in zip(starts, ports, strict=True)
        ]

    def facts(self) -> dict[str, Any]:
        """Returns the runtime's name."""
        return {"runtime": "C", "version": "1", "threads": 1}

    def close(self) -> None:
        """Does nothing: a library stays loaded as long as the process runs."""


class _Model(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("digest", ctypes.c_char_p),
        ("arena_bytes", ctypes.c_uint32),
        ("arena_align", ctypes.c_uint32),
        ("input_count", ctypes.c_uint16),
        ("output_count", ctypes.c_uint16),
        ("step_count", ctypes.c_uint16),
        ("inputs", ctypes.c_void_p),
        ("outputs", ctypes.c_void_p),
        ("step_names", ctypes.c_void_p),
        (
            "run_steps",
            ctypes.CFUNCTYPE(
                ctypes.c_int,
                ctypes.c_void_p,
                ctypes.POINTER(ctypes.c_void_p),
                ctypes.POINTER(ctypes.c_void_p),
                ctypes.c_uint16,
                ctypes.c_uint16,
            ),
        ),
    )


def _aligned(size: int) -> np.ndarray:
    """Returns memory that starts at a multiple of 16."""
    memory = np.zeros(size + 16, np.uint8)
    start = -memory.ctypes.data % 16
    return memory[start : start + size]
