"""Who is compared: each with the worker that knows it, an environment, and the settings of its preset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["BESIDE", "CONTENDERS", "Contender"]


@dataclass(frozen=True)
class Contender:
    """A peer with a preset, or edgeopt with a backend.

    Attributes:
        name: For the table.
        worker: The program in ``workers/``.
        environment: The file in ``requirements/``; None for edgeopt, which is installed where this runs.
        settings: What the worker is told.
        transformers: Whether it is for transformers, for other networks, or (None) for both: where a peer's
            documentation names another way for them.
    """

    name: str
    worker: str
    environment: str | None
    settings: dict[str, Any] = field(default_factory=dict)
    transformers: bool | None = None

    def suits(self, *, transformer: bool) -> bool:
        """Returns whether it is compared on such a model."""
        return self.transformers in (None, transformer)


DYNAMIC = {"dynamic": True}

CONTENDERS = (
    Contender("edgeopt, TFLite", "with_edgeopt", None, {"backend": "tflite"}),
    Contender("edgeopt, OpenVINO", "with_edgeopt", None, {"backend": "openvino"}),
    Contender("edgeopt, TVM untuned", "with_edgeopt", None, {"backend": "tvm"}),
    Contender("NNCF, OpenVINO", "with_nncf", "nncf"),
    Contender("NNCF best, OpenVINO", "with_nncf", "nncf", {"best": True}),
    Contender("ai-edge-quantizer", "with_ai_edge_quantizer", "ai_edge_quantizer"),
    Contender(
        "ai-edge-quantizer dynamic",
        "with_ai_edge_quantizer",
        "ai_edge_quantizer",
        DYNAMIC,
        transformers=True,
    ),
    Contender("ONNX Runtime static", "with_onnxruntime", "onnxruntime"),
    Contender(
        "ONNX Runtime dynamic", "with_onnxruntime", "onnxruntime", DYNAMIC, transformers=True
    ),
    Contender("Olive", "with_olive", "olive"),
    Contender("ExecuTorch XNNPACK", "with_executorch", "executorch", transformers=False),
    Contender("ExecuTorch XNNPACK", "with_executorch", "executorch", DYNAMIC, transformers=True),
    Contender("torchao PT2E, inductor", "with_torchao", "torchao", transformers=False),
    Contender("torchao PT2E, inductor", "with_torchao", "torchao", DYNAMIC, transformers=True),
)
"""A row more of every model is a line more here: another precision is a setting of its worker."""

BESIDE = ("edgeopt, TFLite", "edgeopt, OpenVINO")
"""Whose latency the others' is a ratio to: the faster of these, model by model."""
