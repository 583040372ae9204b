"""LiteRT's own profiler, through the C interface of its wheel. Needs only numpy; Python 3.9.

The interpreter of the wheel has no profiler, but its library ``libLiteRt.so`` runs the same model
with the same kernels and has one. XNNPACK calls its operators after its kernels and not after the
model's tensors: which is which is told by kind and order (`edgeopt_litert_names`).
"""

from __future__ import annotations

import ctypes
import os
import time
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["LiteRTProfiler"]

_CPU = 1
_DEFAULT, _OPERATOR, _DELEGATED = 1, 2, 4
_WRITE = 1
_TYPES = {
    "float32": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "int8": 9,
    "float16": 10,
}  # fmt: skip
_Handle = ctypes.c_void_p
_LARGEST_RANK = 8


class _Layout(ctypes.Structure):
    _fields_ = (
        ("rank", ctypes.c_uint32),
        ("dimensions", ctypes.c_int32 * _LARGEST_RANK),
        ("strides", ctypes.c_uint32 * _LARGEST_RANK),
    )


class _TensorType(ctypes.Structure):
    _fields_ = (("element", ctypes.c_int), ("layout", _Layout))


class _Event(ctypes.Structure):
    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("kind", ctypes.c_int),
        ("started_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_size_t * 6),
        ("index", ctypes.c_uint64),
        ("other", ctypes.c_uint64),
        ("source", ctypes.c_int),
    )


class LiteRTProfiler:
    """A model that is run by ``libLiteRt.so``, with its profiler.

    Args:
        library: Path of ``libLiteRt.so``.
        model: Path of the model.
        details: For inputs and outputs each, what the interpreter says of its tensors.
        threads: Threads to use.

    Raises:
        RuntimeError: The library has no profiler, or refuses the model.
    """

    def __init__(self, library: str, model: str, details: list[Any], threads: int) -> None:
        self._close: list[tuple[str, Any]] = []
        self._kept: list[Any] = []
        try:
            self._library = ctypes.CDLL(library)
            self._library.LiteRtCompiledModelGetProfiler  # noqa: B018 (asks whether it is there)
        except (OSError, AttributeError) as error:
            raise RuntimeError("this LiteRT has no profiler") from error
        with _silent():  # it lists on standard error which accelerators it lacks
            self._environment = self._make("Environment", 0, None)
            model_handle = self._make(
                "ModelFromFile", self._environment, os.fsencode(model), kind="Model"
            )
            options = self._options(threads)
            self._model = self._make("CompiledModel", self._environment, model_handle, options)
        self._profiler = _Handle()
        self._call("LiteRtCompiledModelGetProfiler", self._model, ctypes.byref(self._profiler))
        self._inputs = [self._buffer("Input", i, d) for i, d in enumerate(details[0])]
        self._outputs = [self._buffer("Output", i, d) for i, d in enumerate(details[1])]

    def fill(self, index: int, array: np.ndarray) -> None:
        """Writes an input."""
        memory, values = _Handle(), np.ascontiguousarray(array)
        self._call("LiteRtLockTensorBuffer", self._inputs[index], ctypes.byref(memory), _WRITE)
        ctypes.memmove(memory, values.ctypes.data, values.nbytes)
        self._call("LiteRtUnlockTensorBuffer", self._inputs[index])

    def run(self) -> None:
        """Runs it once."""
        inputs = (_Handle * len(self._inputs))(*self._inputs)
        outputs = (_Handle * len(self._outputs))(*self._outputs)
        self._call(
            "LiteRtRunCompiledModel", self._model, ctypes.c_size_t(0),
            ctypes.c_size_t(len(inputs)), inputs, ctypes.c_size_t(len(outputs)), outputs,
        )  # fmt: skip

    def events(self, runs: int) -> list[tuple[int, list[tuple[str, int, int, int]]]]:
        """Returns for each run its time in ns, and its operators.

        An operator is (its name, whether a delegate ran it, its number, its time in ns). The time
        of a run is that of the interpreter alone.
        """
        results = []
        for _ in range(runs):
            self._call("LiteRtStartProfiler", self._profiler)
            started = time.perf_counter_ns()
            self.run()
            passed = time.perf_counter_ns() - started
            self._call("LiteRtStopProfiler", self._profiler)
            events = self._events()
            alone = [e.elapsed_us for e in events if e.tag == b"Invoke" and e.kind == _DEFAULT]
            operators = [
                (e.tag.decode("utf-8", "replace"), int(e.kind != _OPERATOR), int(e.index),
                 int(e.elapsed_us) * 1000)
                for e in events
                if e.kind in (_OPERATOR, _DELEGATED, 2 * _DELEGATED)
            ]  # fmt: skip
            results.append((int(alone[0]) * 1000 if alone else passed, operators))
        return results

    def close(self) -> None:
        """Frees all that was made. A second call does nothing."""
        with _silent():
            while self._close:
                name, handle = self._close.pop()
                destroy = getattr(self._library, f"LiteRtDestroy{name}")
                destroy.restype = None
                destroy(handle)

    def _events(self) -> Any:
        count = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (_Event * count.value)()
        self._call("LiteRtGetProfilerEvents", self._profiler, count, events)
        return events

    def _options(self, threads: int) -> Any:
        options = self._make("Options")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, _CPU)
        notes = [(b"runtime_options_string", "enable_profiling = true\n")]
        notes += [(b"xnnpack", f"num_threads = {threads}\n")]
        nothing = ctypes.CFUNCTYPE(None, _Handle)(lambda _: None)  # the text is freed by Python
        self._kept.append(nothing)
        for name, text in notes:
            payload, one = ctypes.create_string_buffer(text.encode()), _Handle()
            self._kept.append(payload)
            handle = ctypes.cast(payload, _Handle)
            self._call("LiteRtCreateOpaqueOptions", name, handle, nothing, ctypes.byref(one))
            self._call("LiteRtAddOpaqueOptions", options, one)
        return options

    def _buffer(self, kind: str, index: int, detail: dict[str, Any]) -> Any:
        requirements, shape = _Handle(), [int(d) for d in detail["shape"]]
        function = f"LiteRtGetCompiledModel{kind}BufferRequirements"
        first, place = ctypes.c_size_t(0), ctypes.c_size_t(index)
        self._call(function, self._model, first, place, ctypes.byref(requirements))
        tensor_type = _TensorType(_TYPES[np.dtype(detail["dtype"]).name], _Layout(len(shape)))
        tensor_type.layout.dimensions[: len(shape)] = shape
        constructor = "ManagedTensorBufferFromRequirements"
        return self._make(
            constructor,
            self._environment,
            ctypes.byref(tensor_type),
            requirements,
            kind="TensorBuffer",
        )

    def _make(self, name: str, *given: Any, kind: str = "") -> Any:
        handle = _Handle()
        self._call(f"LiteRtCreate{name}", *given, ctypes.byref(handle))
        self._close.append((kind or name, handle))
        return handle

    def _call(self, name: str, *given: Any) -> None:
        status = getattr(self._library, name)(*given)
        if status:
            raise RuntimeError(f"LiteRT's profiler cannot be used: {name} returned {status}")


@contextmanager
def _silent() -> Any:
    """Sends what C code writes to standard error nowhere."""
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
