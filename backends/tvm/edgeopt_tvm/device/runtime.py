"""Runs a compiled model: the library ``model.so``, which needs only libc. numpy, Python 3.9."""

from __future__ import annotations

import ctypes
import os
import time
from typing import Any

import numpy as np

__all__ = ["Model"]

ABI = 2
ALIGNMENT = 64


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_char_p),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("ndim", ctypes.c_int32),
        ("bytes", ctypes.c_size_t),
    )


class _Call(ctypes.Structure):
    _fields_ = (("kernel", ctypes.c_char_p), ("origins", ctypes.c_char_p))


class Model:
    """A compiled model that answers as the float model does.

    Args:
        path: The library.
        metadata: What the compiler noted: of a library of several programs, ``program`` is the number of this one.
        threads: Threads to use; 0: one for each core that it was made for and may use.
    """

    def __init__(self, path: str, metadata: dict[str, Any], threads: int = 0) -> None:
        self._handle = None
        self._metadata = metadata
        self._library = _load(path)
        self._program = program = metadata.get("program", 0)
        count = self._library.edgeopt_program_count()
        if not isinstance(program, int) or not 0 <= program < count:
            raise RuntimeError(f"{path}: there is no program {program!r} of {count}")
        self._inputs, self._outputs = (
            [_Port(port(program, i)) for i in range(ports(program))]
            for ports, port in (
                (self._library.edgeopt_input_count, self._library.edgeopt_input),
                (self._library.edgeopt_output_count, self._library.edgeopt_output),
            )
        )
        self._step_count = self._library.edgeopt_step_count(program)
        handle = self._library.edgeopt_create(program, threads)
        if not handle:
            raise RuntimeError(_text(self._library.edgeopt_error(None)))
        self._handle = ctypes.c_void_p(handle)
        self._last: list[np.ndarray] | None = None
        self._bound: tuple[Any, ...] = ()

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Returns the outputs in the float model's shapes and types."""
        return self._run(inputs, None)

    def invoke(self) -> None:
        """Runs the model on the last inputs: the library alone, for measuring. What was answered stays as it is.

        Raises:
            RuntimeError: It was never called.
        """
        if not self._bound:
            if self._last is None:
                raise RuntimeError("the model was never called")
            outputs = [port.empty() for port in self._outputs]
            self._bound = (self._last, outputs, _pointers(self._last), _pointers(outputs))
        self._step(self._bound[2], self._bound[3], None)

    def profile(self, *inputs: np.ndarray) -> tuple[list[np.ndarray], list[int]]:
        """Returns the outputs, and the time of each step in ns, in the order of `steps`."""
        times = (ctypes.c_int64 * max(1, self._step_count))()
        outputs = self._run(inputs, times)
        return outputs, list(times)[: self._step_count]

    def operators(self, runs: int, *inputs: np.ndarray) -> dict[str, Any]:
        """Returns what each step takes over ``runs`` runs, and which values it makes."""
        times, whole = [], []
        for _ in range(runs):
            started = time.perf_counter_ns()
            times.append(self.profile(*inputs)[1])
            whole.append(time.perf_counter_ns() - started)
        steps = [
            {**_told(number, step), "ns": _middle([row[number] for row in times])}
            for number, step in enumerate(self.steps())
        ]
        sums = _middle([sum(row) for row in times])
        profile = {"statistic": "midmean", "steps": steps}
        return {**profile, "whole_ns": _middle(whole), "sum_ns": sums}

    def steps(self) -> list[dict[str, Any]]:
        """Returns kernel and origins (names of the program's values) of each step."""
        calls = [self._library.edgeopt_step(self._program, i) for i in range(self._step_count)]
        return [
            {"kernel": _text(c.kernel), "origins": [o for o in _text(c.origins).split(",") if o]}
            for c in calls
        ]

    def facts(self) -> dict[str, Any]:
        """Returns the runtime's name, version, threads and memory."""
        return {
            "name": "edgeopt-tvm",
            "version": str(self._library.edgeopt_abi()),
            "threads": self._library.edgeopt_threads(self._handle),
            "kernels": len({step["kernel"] for step in self.steps()}),
            "arena_bytes": self._library.edgeopt_arena_bytes(self._program),
            "constant_bytes": self._library.edgeopt_constant_bytes(),
        }

    def close(self) -> None:
        """Ends its threads and frees its memory. A second call does nothing."""
        handle, self._handle = self._handle, None
        if handle:
            self._library.edgeopt_destroy(handle)

    def __del__(self) -> None:
        self.close()

    def _run(self, inputs: tuple[np.ndarray, ...], times: Any) -> list[np.ndarray]:
        if len(inputs) != len(self._inputs):
            raise ValueError(f"{len(inputs)} inputs, {len(self._inputs)} expected")
        arrays = [port.checked(array) for port, array in zip(self._inputs, inputs)]
        outputs = [port.empty() for port in self._outputs]
        self._last, self._bound = arrays, ()
        self._step(_pointers(arrays), _pointers(outputs), times)
        return outputs

    def _step(self, inputs: Any, outputs: Any, times: Any) -> None:
        if self._handle is None:
            raise RuntimeError("the model is closed")
        if self._library.edgeopt_profile(self._handle, inputs, outputs, times):
            raise RuntimeError(_text(self._library.edgeopt_error(self._handle)))


class _Port:
    """An input or output."""

    def __init__(self, tensor: _Tensor) -> None:
        self.name = _text(tensor.name)
        self.dtype = np.dtype(_text(tensor.dtype))
        self.shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
        self.size = int(tensor.bytes)

    def checked(self, array: np.ndarray) -> np.ndarray:
        """Returns ``array``, dense; the library reads no further than that."""
        if array.shape != self.shape or array.dtype != self.dtype:
            wrong = f"input {self.name}: {array.dtype}{list(array.shape)}"
            raise ValueError(f"{wrong}, expected {self.dtype}{list(self.shape)}")
        return np.ascontiguousarray(array)

    def empty(self) -> np.ndarray:
        """Returns room that the library can write to without a copy."""
        room = np.empty(self.size + ALIGNMENT, np.uint8)
        start = -_address(room) % ALIGNMENT
        if not self.size:  # numpy forgets where an empty slice begins; nothing is written to it
            return room[:0].view(self.dtype).reshape(self.shape)
        return room[start : start + self.size].view(self.dtype).reshape(self.shape)


def _pointers(arrays: list[np.ndarray]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*map(_address, arrays))


def _address(array: Any) -> int:
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    except (TypeError, ValueError):  # read-only, or of no bytes: the slow way
        return int(array.ctypes.data)


def _told(number: int, step: dict[str, Any]) -> dict[str, Any]:
    kind = step["kernel"]
    words = kind.removeprefix("fused_")
    moves = words.startswith(("transpose", "layout_transform", "reshape", "concatenate"))
    converts = words.startswith(("quantize", "dequantize", "cast"))
    role = "layout" if moves else "conversion" if converts else ""
    name = f"{number}:{kind}"
    return {"name": name, "kind": kind, "layers": step["origins"], "type": "", "role": role}


def _middle(times: list[int]) -> float:
    """Returns the mean of the middle half."""
    quarter = len(times) // 4
    middle = sorted(times)[quarter : len(times) - quarter]
    return sum(middle) / len(middle)


def _load(path: str) -> Any:
    library = ctypes.CDLL(os.path.abspath(path))
    if library.edgeopt_abi() != ABI:
        raise RuntimeError(f"{path}: interface {library.edgeopt_abi()}, this reads {ABI}")
    pointer, number, size = ctypes.c_void_p, ctypes.c_int32, ctypes.c_size_t
    arrays = ctypes.POINTER(ctypes.c_void_p)
    for name, result, arguments in (
        ("abi", number, ()),
        ("program_count", number, ()),
        ("input_count", number, (number,)),
        ("output_count", number, (number,)),
        ("step_count", number, (number,)),
        ("input", _Tensor, (number, number)),
        ("output", _Tensor, (number, number)),
        ("step", _Call, (number, number)),
        ("arena_bytes", size, (number,)),
        ("constant_bytes", size, ()),
        ("create", pointer, (number, number)),
        ("threads", number, (pointer,)),
        ("profile", number, (pointer, arrays, arrays, ctypes.POINTER(ctypes.c_int64))),
        ("error", ctypes.c_char_p, (pointer,)),
        ("destroy", None, (pointer,)),
    ):
        function = getattr(library, f"edgeopt_{name}")
        function.restype, function.argtypes = result, arguments
    return library


def _text(value: Any) -> str:
    return bytes(value or b"").decode("utf-8", "replace")
