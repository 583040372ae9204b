"""ai-edge-quantizer on the file that litert-torch makes, run by LiteRT.

Its recipes by name (``static_wi8_ai8``, ``dynamic_wi8_afp32``), calibrated with all inputs, as in its "Getting
started" notebook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from _worker import Case, work

if TYPE_CHECKING:
    from pathlib import Path

    from _worker import Runner

_SIGNATURE = "serving_default"


def _deploy(case: Case, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    import litert_torch  # noqa: PLC0415 (the server needs none)
    from ai_edge_quantizer import quantizer, recipe  # noqa: PLC0415

    plain = folder / "float.tflite"
    module = case.program().module()
    litert_torch.convert(module, case.tensors()[0], strict_export=False).export(str(plain))
    work = quantizer.Quantizer(str(plain))
    if settings.get("dynamic"):
        work.load_quantization_recipe(recipe.dynamic_wi8_afp32())
        result = work.quantize()
    else:
        work.load_quantization_recipe(recipe.static_wi8_ai8())
        data = [{f"args_{i}": x for i, x in enumerate(sample)} for sample in case.calibration]
        result = work.quantize(work.calibrate({_SIGNATURE: data}))
    (folder / "artifact").mkdir()
    result.export_model(str(folder / "artifact" / "model.tflite"), overwrite=True)
    return {"precision": "int8-dynamic" if settings.get("dynamic") else "int8"}


def _load(_: Case, folder: Path, __: dict[str, Any], threads: int) -> Runner:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    path = folder / "artifact" / "model.tflite"
    interpreter = Interpreter(str(path), num_threads=threads)
    runner = interpreter.get_signature_runner(_SIGNATURE)
    (output,) = runner.get_output_details().values()

    def run(sample: tuple[np.ndarray, ...]) -> np.ndarray:
        named = {f"args_{i}": _integer(x, details[f"args_{i}"]) for i, x in enumerate(sample)}
        (result,) = runner(**named).values()
        return _real(result, output)

    details = runner.get_input_details()
    return run


def _integer(x: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    if details["dtype"] == x.dtype or details["dtype"] is not np.int8:
        return x.astype(details["dtype"], copy=False)
    scale, zero = details["quantization"]
    return np.clip(np.round(x / scale) + zero, -128, 127).astype(np.int8)


def _real(q: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    if details["dtype"] is not np.int8:
        return q
    scale, zero = details["quantization"]
    return (q.astype(np.float32) - zero) * np.float32(scale)


if __name__ == "__main__":
    work(_deploy, _load)
