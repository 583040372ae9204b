"""Runs an OpenVINO model on the CPU. Needs only numpy beside it; Python 3.9."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

# Without this module OpenVINO reports nothing over the network when it is imported.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
import openvino as ov  # noqa: E402 (after what it looks for)

__all__ = ["Model"]

_SETTLING = 10
"""Runs that are taken off a profile."""
_NO_WORK = ("", "Const", "Constant", "Input", "Output", "Parameter", "Result")
_NOTES = ("layerType", "primitiveType", "runtimePrecision", "originalLayersNames")
_TYPES = {"u8": "int8", "i8": "int8", "f32": "float32", "f16": "float16", "bf16": "bfloat16"}


class Model:
    """An OpenVINO model that answers as the float model does.

    Args:
        path: The model's .xml file, its .bin beside it.
        metadata: What the compiler noted: each input's grid, the configuration to run with.
        threads: Threads to use; 0 leaves it to the runtime.
    """

    def __init__(self, path: str, metadata: dict[str, Any], threads: int = 0) -> None:
        config = {"PERFORMANCE_HINT": "LATENCY", **metadata["config"]}
        if threads:
            config["INFERENCE_NUM_THREADS"] = str(threads)
        self._core = ov.Core()
        # Reading into memory lets the files go; a mapped file would have to stay.
        self._core.set_property({"ENABLE_MMAP": False})
        properties = self._core.get_property("CPU", "SUPPORTED_PROPERTIES")
        self._config = {name: value for name, value in config.items() if name in properties}
        self._model = self._core.read_model(path)
        compiled = self._core.compile_model(self._model, "CPU", self._config)
        self._threads = threads
        self._notes = metadata["inputs"]
        self._dtypes = [note["dtype"] for note in metadata["outputs"]]
        self._request = compiled.create_infer_request()
        self._ports = _Ports(self._request, self._notes, self._dtypes)

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Returns the outputs in the float model's shapes and types."""
        self._ports.fill(inputs)
        self._request.infer(share_outputs=True)
        return self._ports.outputs()

    def invoke(self) -> None:
        """Runs the model on what its inputs hold: the runtime alone, for measuring."""
        self._request.infer(share_outputs=True)

    def operators(self, runs: int, *inputs: np.ndarray) -> dict[str, Any]:
        """Returns what each operator takes, by OpenVINO's own counters, over ``runs`` runs.

        The counters tell only their mean since the model was compiled, in whole microseconds. So
        it is compiled anew for them, and the first runs are taken off.
        """
        compiled = self._core.compile_model(
            self._model, "CPU", {**self._config, "PERF_COUNT": "YES"}
        )
        request = compiled.create_infer_request()
        _Ports(request, self._notes, self._dtypes).fill(inputs)
        _run(request, _SETTLING)
        before = _means(request)
        passed = _run(request, runs)
        nodes = {n.get_friendly_name(): n for n in compiled.get_runtime_model().get_ops()}
        steps = []
        for name, mean in _means(request).items():
            facts = _told(name, nodes.get(name))
            spent = (_SETTLING + runs) * mean - _SETTLING * before.get(name, 0.0)
            if facts["kind"].partition(" ")[0] not in _NO_WORK:
                steps.append({**facts, "ns": max(0.0, spent) / runs})
        return {"statistic": "mean", "steps": steps, "whole_ns": passed / runs}

    def streams(self, count: int, threads: int) -> list[Any]:
        """Returns what is called like this model, at once, each by a thread of its own.

        Args:
            count: How many streams; 0 leaves streams and requests to the runtime.
            threads: Of each stream; 0 leaves it to the runtime.
        """
        config = {**self._config, "PERFORMANCE_HINT": "THROUGHPUT"}
        if count:
            config["NUM_STREAMS"] = str(count)
        if count and threads:
            config["INFERENCE_NUM_THREADS"] = str(count * threads)
        elif threads:
            config["INFERENCE_NUM_THREADS"] = str(threads)
        compiled = self._core.compile_model(self._model, "CPU", config)
        number = count or compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        return [_Stream(compiled, self._notes, self._dtypes) for _ in range(number)]

    def facts(self) -> dict[str, Any]:
        """Returns the runtime's name, version and threads."""
        return {"name": "OpenVINO", "version": ov.get_version(), "threads": self._threads}


class _Stream:
    """One of several requests of a compiled model."""

    def __init__(self, compiled: Any, notes: list[dict[str, Any]], dtypes: list[str]) -> None:
        self._request = compiled.create_infer_request()
        self._ports = _Ports(self._request, notes, dtypes)

    def invoke(self) -> None:
        """Runs on what the inputs hold, in a thread of the runtime's: one of ours would get a stream of its own."""
        self._request.start_async()
        self._request.wait()

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        self._ports.fill(inputs)
        self.invoke()
        return self._ports.outputs()


def _run(request: Any, runs: int) -> int:
    """Returns how long ``runs`` runs took, in ns."""
    started = time.perf_counter_ns()
    for _ in range(runs):
        request.infer()
    return time.perf_counter_ns() - started


def _means(request: Any) -> dict[str, float]:
    """Returns the mean time of each operator in ns, in their order; 0 below a microsecond."""
    return {i.node_name: i.real_time.total_seconds() * 1e9 for i in request.profiling_info}


def _told(name: str, node: Any) -> dict[str, Any]:
    """Returns what the runtime says of an operator of its own, and of which of ours it is made."""
    notes = {} if node is None else node.get_rt_info()
    fields = {key: str(notes[key].value) if key in notes else "" for key in _NOTES}
    # What holds a slash belongs to the operator before it, and was moved here.
    layers = [
        layer for layer in fields["originalLayersNames"].split(",") if layer and "/" not in layer
    ]
    grids = bool(layers) and all(layer.endswith(".grid") for layer in layers)
    return {
        "name": name,
        "kind": " ".join(word for word in (fields["layerType"], fields["primitiveType"]) if word),
        "layers": list(dict.fromkeys(layers)),
        "type": _TYPES.get(fields["runtimePrecision"], fields["runtimePrecision"]),
        "role": "conversion" if grids else "layout" if fields["layerType"] == "Reorder" else "",
    }


class _Input:
    """One input of a request: its memory there, and what it is rounded to before the runtime sees it.

    The runtime adds the zero point before it rounds, and so errs near ties; here it is done as the
    reference does it, and the runtime finds nothing left to round.
    """

    def __init__(self, note: dict[str, Any], memory: np.ndarray) -> None:
        self._memory = memory
        self._is_rounded = "scale" in note
        # Arrays, not numbers: those are made arrays at each use, which takes longer than a small model's input.
        self._scale = np.array(note.get("scale", 1.0), np.float32)
        self._ends = [np.array(note.get(end, 0), np.float32) for end in ("low", "high")]

    def fill(self, array: np.ndarray) -> None:
        """Writes ``array`` into the request's memory, on its grid where it has one."""
        room = self._memory
        if not self._is_rounded:
            np.copyto(room, array)
            return
        np.divide(array, self._scale, room)
        np.rint(room, room)
        room.clip(self._ends[0], self._ends[1], room)
        np.multiply(room, self._scale, room)


class _Ports:
    """Inputs and outputs of a request. Its tensors stay where they are: shapes are fixed.

    Args:
        request: The request.
        inputs: What the compiler noted of each input.
        dtypes: Of the outputs, as the float model has them.
    """

    def __init__(self, request: Any, inputs: list[dict[str, Any]], dtypes: list[str]) -> None:
        tensors = [request.get_input_tensor(i) for i in range(len(inputs))]
        self._inputs = [_Input(note, tensor.data) for note, tensor in zip(inputs, tensors)]
        self._outputs = [
            (request.get_output_tensor(i), np.dtype(name)) for i, name in enumerate(dtypes)
        ]
        self._tensors = tensors

    def fill(self, arrays: tuple[np.ndarray, ...]) -> None:
        """Writes the arrays into the request's inputs."""
        for place, array in zip(self._inputs, arrays):
            place.fill(array)

    def outputs(self) -> list[np.ndarray]:
        """Returns copies of the outputs: the next run overwrites them."""
        return [np.array(tensor.data, dtype) for tensor, dtype in self._outputs]
