"""Runs a model's C source on this machine, compiled for it: what the gate measures parity with."""

from __future__ import annotations

import ctypes
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt_micro.build import FLAGS, zig
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
        self._folder = tempfile.TemporaryDirectory(prefix="edgeopt-")
        library = Path(self._folder.name) / "model.so"
        parts = [Path(path).read_bytes()]
        if (Path(path).parent / "edgeopt_weighted.h").exists():
            parts.append(native_file("edgeopt_portable.c"))
        whole = Path(self._folder.name) / "whole.c"
        whole.write_bytes(b"\n".join(parts))
        zig(["cc", *_HOST, *FLAGS, str(whole), "-o", str(library)], Path(path).parent)
        self._library = ctypes.CDLL(str(library))
        self._model = _Model.in_dll(self._library, f"{metadata['model']}_model")
        self._arena = _aligned(int(metadata["arena_bytes"]))

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Returns the outputs in the float model's shapes and dtypes."""
        for x, tensor in zip(inputs, self._metadata["inputs"], strict=True):
            self._place(tensor)[...] = _stored(x, tensor)
        status = self._model.run_steps(
            self._arena.ctypes.data, None, None, 0, self._model.step_count
        )
        if status:
            raise RuntimeError(f"the model returned {status}")
        return [_real(self._place(tensor), tensor) for tensor in self._metadata["outputs"]]

    def _place(self, tensor: dict[str, Any]) -> np.ndarray:
        """Returns the memory of an input or output within the arena, as a program has them by default."""
        kind, shape = np.dtype(tensor["dtype"]), tuple(tensor["stored_shape"])
        size = kind.itemsize * int(np.prod(shape))
        part: np.ndarray = self._arena[tensor["offset"] : tensor["offset"] + size].view(kind)
        return part.reshape(shape)

    def facts(self) -> dict[str, Any]:
        """Returns the runtime's name."""
        return {"runtime": "C", "version": "1", "threads": 1}

    def close(self) -> None:
        """Removes what was compiled; the library stays loaded as long as the process runs."""
        self._folder.cleanup()


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


def _stored(x: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Returns an input as the model reads it: on its grid, in its memory order."""
    if tensor["scale"]:
        steps = np.rint(x / np.float32(tensor["scale"])) + np.float32(tensor["zero_point"])
        x = np.clip(steps, tensor["low"], tensor["high"])
    return np.ascontiguousarray(x.transpose(tensor["order"])).astype(tensor["dtype"])


def _real(stored: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Returns an output as the float model has it."""
    axes = np.argsort(tensor["order"])
    result = stored.reshape(tensor["stored_shape"]).transpose(axes)
    if tensor["scale"]:
        whole = result.astype(np.float32) - np.float32(tensor["zero_point"])
        result = whole * np.float32(tensor["scale"])
    return np.array(result, tensor["model_dtype"], order="C")
