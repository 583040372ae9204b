"""The peers: the same model and the same calibration inputs, each through its own best documented way.

Each makes a file that is kept in edgeopt's cache under a digest of the inputs and of the peer's
version, so that one benchmark after another need not wait for it again; ``--fresh`` does.
"""

from __future__ import annotations

import hashlib
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from _lite0 import lite0

from edgeopt.files import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["OpenVINOFile", "TFLiteFile", "ai_edge_quantizer_model", "nncf_model"]

_KEY = "serving_default"


def nncf_model(calibration: np.ndarray) -> Path:
    """Returns the .xml of NNCF on the exported graph: MIXED preset, full bias correction."""

    def make(folder: Path) -> None:
        import nncf  # noqa: PLC0415 (a peer, slow to import)
        import openvino as ov  # noqa: PLC0415

        example = (torch.from_numpy(calibration[:1]),)
        graph = torch.export.export(lite0(), example).module()
        quantized = nncf.quantize(
            graph,
            nncf.Dataset([torch.from_numpy(x[None]) for x in calibration]),
            preset=nncf.QuantizationPreset.MIXED,
            fast_bias_correction=False,
            subset_size=len(calibration),
        )
        converted = ov.convert_model(torch.export.export(quantized, example))
        ov.save_model(converted, folder / "model.xml", compress_to_fp16=False)

    return _made("nncf", calibration, make) / "model.xml"


def ai_edge_quantizer_model(calibration: np.ndarray) -> Path:
    """Returns the .tflite of litert-torch's float model through ai-edge-quantizer, static int8."""

    def make(folder: Path) -> None:
        import litert_torch  # noqa: PLC0415 (a peer, slow to import)
        from ai_edge_quantizer import quantizer, recipe  # noqa: PLC0415

        plain = folder / "float.tflite"
        converted = litert_torch.convert(lite0(), (torch.from_numpy(calibration[:1]),))
        converted.export(str(plain))
        work = quantizer.Quantizer(str(plain))
        work.load_quantization_recipe(recipe.static_wi8_ai8())
        found = work.calibrate({_KEY: [{"args_0": x[None]} for x in calibration]})
        work.quantize(found).export_model(str(folder / "model.tflite"), overwrite=True)

    return _made("ai-edge-quantizer", calibration, make) / "model.tflite"


class TFLiteFile:
    """A .tflite file as a runner: float in and out, whatever the file's own types."""

    def __init__(self, path: Path, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 (slow)

        self.interpreter = Interpreter(str(path), num_threads=threads)
        self.interpreter.allocate_tensors()
        (self._input,) = self.interpreter.get_input_details()
        (self._output,) = self.interpreter.get_output_details()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Returns the outputs for one input."""
        if x.shape != tuple(self._input["shape"]):  # the file wants the channels last
            x = x.transpose(0, 2, 3, 1)
        self.interpreter.set_tensor(self._input["index"], _to_grid(x, self._input))
        self.interpreter.invoke()
        return _from_grid(self.interpreter.get_tensor(self._output["index"]), self._output)


class OpenVINOFile:
    """An .xml file as a runner on the CPU, computing what is not integer in float32."""

    def __init__(self, path: Path, threads: int) -> None:
        import openvino as ov  # noqa: PLC0415 (slow)

        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
        }
        self.compiled = ov.Core().compile_model(path, "CPU", settings)
        self._request = self.compiled.create_infer_request()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Returns the outputs for one input."""
        return np.array(self._request.infer([x])[0])


def _to_grid(x: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    if details["dtype"] != np.int8:
        return x
    scale, zero = details["quantization"]
    return np.clip(np.round(x / scale) + zero, -128, 127).astype(np.int8)


def _from_grid(q: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    if details["dtype"] != np.int8:
        return q
    scale, zero = details["quantization"]
    return (q.astype(np.float32) - zero) * np.float32(scale)


def _made(package: str, calibration: np.ndarray, make: Callable[[Path], None]) -> Path:
    data = hashlib.sha256(np.ascontiguousarray(calibration).tobytes()).hexdigest()[:16]
    folder = cache_folder() / "peers" / f"{package}-{metadata.version(package)}-{data}"
    done = folder / "done"
    if "--fresh" in sys.argv or not done.exists():
        print(f"  making {package}'s model …", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        make(folder)
        done.touch()
    return folder
