"""Runs a TFLite model with TFLite for Micro's interpreter on a machine with Python. Needs numpy; Python 3.9.

A microcontroller runs the same file from flash, by the same kernels in C++; this is how it is tried elsewhere.
"""

from __future__ import annotations

import importlib
from importlib import metadata as distributions
from typing import Any

import numpy as np

__all__ = ["Model"]

_DISTRIBUTION = "tflite-micro"


class Model:
    """A TFLite model that answers as the float model does.

    Args:
        path: The model file.
        metadata: What the compiler noted of inputs and outputs, and of the arena.
        threads: Ignored: TFLM has none.
    """

    def __init__(self, path: str, metadata: dict[str, Any], threads: int = 0) -> None:
        del threads
        runtime = importlib.import_module("tflite_micro").runtime
        port = _ports().Port
        with open(path, "rb") as file:
            content = file.read()
        self._arena = int(metadata["arena_bytes"])
        self._interpreter = runtime.Interpreter.from_bytes(content, arena_size=self._arena)
        self._inputs, self._outputs = (
            [None if n["tensor"] is None else port(n, n["tensor"]) for n in metadata[side]]
            for side in ("inputs", "outputs")
        )

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Returns the outputs in the float model's shapes and types."""
        for port, array in zip(self._inputs, inputs):
            if port is not None:
                detail = self._interpreter.get_input_details(port.index)
                memory = np.empty(tuple(detail["shape"]), detail["dtype"])
                port.fill(memory, array)
                self._interpreter.set_input(memory, port.index)
        self.invoke()
        ports = [port for port in self._outputs if port is not None]
        return [port.read(self._interpreter.get_output(port.index)) for port in ports]

    def invoke(self) -> None:
        """Runs the model on what its inputs hold."""
        self._interpreter.invoke()

    def facts(self) -> dict[str, Any]:
        """Returns the runtime's name and version, and the size of its arena in bytes."""
        return {
            "name": "TFLite for Micro",
            "version": _version(),
            "threads": 1,
            "arena_bytes": self._arena,
        }


def _ports() -> Any:
    """Returns the module that lies beside this one, or in the bundle's ``lib``."""
    try:
        return importlib.import_module("edgeopt_tflite_ports")
    except ImportError:
        return importlib.import_module("edgeopt_tflite.device.edgeopt_tflite_ports")


def _version() -> str:
    try:
        return distributions.version(_DISTRIBUTION)
    except distributions.PackageNotFoundError:
        return "unknown"
