"""NNCF on the OpenVINO model, run by OpenVINO.

Its documentation ("Basic Quantization Flow"): convert, ``nncf.quantize`` with 300 samples by default, save. It
says to name transformers as such. ``best`` turns on what it recommends for accuracy: the MIXED preset and
``fast_bias_correction=False``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from _worker import Case, work

if TYPE_CHECKING:
    from pathlib import Path

    from _worker import Runner


def _deploy(case: Case, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    import nncf  # noqa: PLC0415 (the server needs none)
    import openvino as ov  # noqa: PLC0415

    model = ov.convert_model(case.program())
    shapes = zip(model.inputs, case.calibration[0], strict=True)
    model.reshape({place.any_name: list(array.shape) for place, array in shapes})
    options: dict[str, Any] = {"subset_size": len(case.calibration)}
    if case.is_transformer:
        options["model_type"] = nncf.ModelType.TRANSFORMER
    if settings.get("best"):
        options |= {"preset": nncf.QuantizationPreset.MIXED, "fast_bias_correction": False}
    quantized = nncf.quantize(model, nncf.Dataset([list(s) for s in case.calibration]), **options)
    (folder / "artifact").mkdir()
    ov.save_model(quantized, folder / "artifact" / "model.xml")
    return {"precision": "int8"}


def _load(_: Case, folder: Path, __: dict[str, Any], threads: int) -> Runner:
    import openvino as ov  # noqa: PLC0415

    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    compiled = ov.Core().compile_model(folder / "artifact" / "model.xml", "CPU", settings)
    request = compiled.create_infer_request()
    return lambda sample: np.array(request.infer(list(sample))[0])


if __name__ == "__main__":
    work(_deploy, _load)
