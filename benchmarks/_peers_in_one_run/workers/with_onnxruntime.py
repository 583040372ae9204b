"""ONNX Runtime's own quantizer on what ``torch.onnx`` exports.

Its documentation ("Quantize ONNX Models"): preprocessing with shape inference first; static quantization for
convolutional networks, dynamic for transformers; QDQ with activations of u8 and weights of s8 on x86-64 with
VNNI, and weights per channel where accuracy asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from _onnx import Reader, export_onnx, onnx_runner
from _worker import Case, work

if TYPE_CHECKING:
    from pathlib import Path


def _deploy(case: Case, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static  # noqa: PLC0415  # noqa: PLC0415
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    plain, prepared = folder / "float.onnx", folder / "prepared.onnx"
    names = export_onnx(case, plain)
    quant_pre_process(str(plain), str(prepared))
    (folder / "artifact").mkdir()
    target = folder / "artifact" / "model.onnx"
    if settings.get("dynamic"):
        quantize_dynamic(prepared, target, weight_type=QuantType.QInt8)
        return {"precision": "int8-dynamic"}
    quantize_static(
        prepared,
        target,
        Reader(names, case.calibration),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    return {"precision": "int8"}


if __name__ == "__main__":
    work(_deploy, onnx_runner)
