"""Olive: a workflow of one pass on what ``torch.onnx`` exports, run by ONNX Runtime.

Its documentation ("ONNX, Quantize with onnxruntime"): ``OnnxStaticQuantization`` with its defaults and calibration
data for convolutional networks, ``OnnxDynamicQuantization`` for transformers.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from _onnx import export_onnx, onnx_runner
from _worker import Case, work

if TYPE_CHECKING:
    from pathlib import Path


def _deploy(case: Case, folder: Path, _: dict[str, Any]) -> dict[str, Any]:
    from olive.data.component.dataset import BaseDataset  # noqa: PLC0415 (the server needs none)
    from olive.data.registry import Registry  # noqa: PLC0415
    from olive.workflows import run  # noqa: PLC0415

    names = export_onnx(case, folder / "float.onnx")
    # Its data loader makes batches, so that each sample goes in without the axis of its own.
    rows = [{n: x[0] for n, x in zip(names, sample, strict=True)} for sample in case.calibration]
    Registry.register_dataset("case")(lambda **_: BaseDataset([(row, 0) for row in rows]))
    static = {"type": "OnnxStaticQuantization", "data_config": "calibration"}
    dynamic = {"type": "OnnxDynamicQuantization"}
    config = {
        "input_model": {"type": "ONNXModel", "model_path": str(folder / "float.onnx")},
        "data_configs": [{"name": "calibration", "load_dataset_config": {"type": "case"}}],
        "passes": {"quantization": dynamic if case.is_transformer else static},
        "output_dir": str(folder / "output"),
        "cache_dir": str(folder / "cache"),
        "log_severity_level": 3,
    }
    output = run(config)
    (folder / "artifact").mkdir()
    shutil.copy(output.get_best_candidate().model_path, folder / "artifact" / "model.onnx")
    return {"precision": "int8-dynamic" if case.is_transformer else "int8"}


if __name__ == "__main__":
    work(_deploy, onnx_runner)
