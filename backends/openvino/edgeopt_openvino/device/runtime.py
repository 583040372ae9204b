"""Runs an OpenVINO model on the CPU. Needs only numpy beside it; Python 3.9."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov

__all__ = ["Model"]


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
        core = ov.Core()
        # Reading into memory lets the files go; a mapped file would have to stay.
        core.set_property({"ENABLE_MMAP": False})
        compiled = core.compile_model(core.read_model(path), "CPU", config)
        self._threads = threads
        self._notes = metadata["inputs"]
        self._dtypes = [note["dtype"] for note in metadata["outputs"]]
        self._request = compiled.create_infer_request()

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Returns the outputs in the float model's shapes and types."""
        for index, (note, array) in enumerate(zip(self._notes, inputs)):
            held = np.ascontiguousarray(_on_grid(note, array))
            self._request.set_input_tensor(index, ov.Tensor(held))
        self._request.infer()
        return [
            np.array(self._request.get_output_tensor(i).data, dtype=dtype)
            for i, dtype in enumerate(self._dtypes)
        ]

    def invoke(self) -> None:
        """Runs the model on what its inputs hold: the runtime alone, for measuring."""
        self._request.infer()

    def facts(self) -> dict[str, Any]:
        """Returns the runtime's name, version and threads."""
        return {"runtime": "OpenVINO", "version": ov.get_version(), "threads": self._threads}


def _on_grid(note: dict[str, Any], array: np.ndarray) -> np.ndarray:
    """Rounds an input as the reference does: the runtime's own way errs near ties."""
    if "scale" not in note:
        return array
    scale = np.float32(note["scale"])
    steps = np.rint(array / scale)
    return np.clip(steps, np.float32(note["low"]), np.float32(note["high"])) * scale
