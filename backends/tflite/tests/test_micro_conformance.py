"""The contract of backends, on a microcontroller: TFLite for Micro's interpreter runs the files."""

from typing import ClassVar

import pytest

from edgeopt.registry.target_registry import find_target
from edgeopt.testing.backend_conformance import BackendConformance
from edgeopt_tflite import TFLiteBackend

pytest.importorskip("tflite_micro", reason="needs tflite-micro")
pytestmark = pytest.mark.slow  # a process for each file


class TestTFLiteMicro(BackendConformance):
    precisions: ClassVar = ("int8", "float32")
    refused: ClassVar = {
        "tokens": "GATHER takes no int64 indices",
        "ranked": "there is no TOPK_V2",
        "attention": "there is no GELU for floats; on a grid it is looked up",
        "encoder": "there is no GELU for floats; on a grid it is looked up",
    }
    refused_in: ClassVar = {"attention": ("float32",), "encoder": ("float32",)}
    rounds_otherwise: ClassVar = True

    @pytest.fixture
    def backend(self):
        return TFLiteBackend()

    @pytest.fixture
    def target(self):
        return find_target("generic-cortex-m4f")
