"""Inputs and outputs: from real values to a model's bytes and back. numpy; Python 3.9."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Port"]


class Port:
    """An input or output.

    Args:
        tensor: What the compiler noted of it: shape and order in memory, type, quantization parameters.
    """

    def __init__(self, tensor: dict[str, Any]) -> None:
        self._tensor = tensor
        self._dtype = np.dtype(tensor["dtype"]).newbyteorder("<")
        self.size = int(np.prod(tensor["stored_shape"])) * self._dtype.itemsize

    def packed(self, array: np.ndarray) -> bytes:
        """Returns ``array`` as the model reads it, rounded to nearest, ties to even."""
        tensor = self._tensor
        if tensor["scale"]:
            steps = np.rint(array / np.float32(tensor["scale"])) + np.float32(tensor["zero_point"])
            array = np.clip(steps, tensor["low"], tensor["high"])
        return np.ascontiguousarray(array.transpose(tensor["order"])).astype(self._dtype).tobytes()

    def unpacked(self, content: bytes) -> np.ndarray:
        """Returns the model's bytes as the float model has them."""
        tensor = self._tensor
        stored = np.frombuffer(content, self._dtype).reshape(tensor["stored_shape"])
        array = stored.transpose(np.argsort(tensor["order"]))
        if tensor["scale"]:
            whole = array.astype(np.float32) - np.float32(tensor["zero_point"])
            array = whole * np.float32(tensor["scale"])
        return np.array(array, tensor["model_dtype"], order="C")
