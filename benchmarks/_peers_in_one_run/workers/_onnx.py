"""What those share that go through ONNX: the export, the calibration reader, the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from _worker import Case, Runner

__all__ = ["Reader", "export_onnx", "onnx_runner"]


class Reader:
    """Gives one sample after the other, as ONNX Runtime's calibration asks for them.

    Args:
        names: Of the inputs.
        samples: Their values.
    """

    def __init__(self, names: list[str], samples: list[tuple[np.ndarray, ...]]) -> None:
        self._feeds = iter([dict(zip(names, sample, strict=True)) for sample in samples])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Returns the next, or None."""
        return next(self._feeds, None)


def export_onnx(case: Case, path: Path) -> list[str]:
    """Writes the float model as ``torch.onnx`` exports it; returns the names of its inputs."""
    import torch  # noqa: PLC0415 (the server needs none)

    names = [f"input_{i}" for i in range(len(case.calibration[0]))]
    options = {"dynamo": True, "external_data": False, "input_names": names}
    torch.onnx.export(case.program(), (), str(path), **options)
    return names


def onnx_runner(_: Case, folder: Path, __: dict[str, Any], threads: int) -> Runner:
    """Returns what runs the only .onnx file of the artefact."""
    import onnxruntime as ort  # noqa: PLC0415

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    (path,) = (folder / "artifact").glob("*.onnx")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [place.name for place in session.get_inputs()]
    return lambda sample: np.asarray(session.run(None, dict(zip(names, sample, strict=True)))[0])
