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
        known = core.get_property("CPU", "SUPPORTED_PROPERTIES")
        config = {name: value for name, value in config.items() if name in known}
        compiled = core.compile_model(core.read_model(path), "CPU", config)
        self._threads = threads
        self._inputs = [_Input(note) for note in metadata["inputs"]]
        self._dtypes = [note["dtype"] for note in metadata["outputs"]]
        self._request = compiled.create_infer_request()

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Returns the outputs in the float model's shapes and types."""
        for index, (place, array) in enumerate(zip(self._inputs, inputs)):
            self._request.set_input_tensor(index, place.tensor(array))
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
        return {"name": "OpenVINO", "version": ov.get_version(), "threads": self._threads}


class _Input:
    """One input: what it is rounded to before the runtime sees it.

    The runtime adds the zero point before it rounds, and so errs near ties; here it is done as the
    reference does it, and the runtime finds nothing left to round.
    """

    def __init__(self, note: dict[str, Any]) -> None:
        self._scale = np.float32(note["scale"]) if "scale" in note else None
        self._ends = (np.float32(note.get("low", 0)), np.float32(note.get("high", 0)))
        self._room = np.empty(note["shape"] if "scale" in note else 0, np.float32)

    def tensor(self, array: np.ndarray) -> ov.Tensor:
        """Returns ``array`` for the runtime, on its grid where it has one."""
        if self._scale is None:
            # A tensor shares the array's memory, and nobody may write to the caller's.
            return ov.Tensor(np.asarray(array, order="C"))
        room = self._room
        np.divide(array, self._scale, out=room)
        np.rint(room, out=room)
        np.clip(room, self._ends[0], self._ends[1], out=room)
        np.multiply(room, self._scale, out=room)
        return ov.Tensor(room)
