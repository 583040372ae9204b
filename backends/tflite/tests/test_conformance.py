"""The contract of backends, on this one."""

import pytest

from edgeopt.contracts.storage import Precision
from edgeopt.registry.target_registry import find_target
from edgeopt.testing.backend_conformance import BackendConformance
from edgeopt_tflite import TFLiteBackend


class TestTFLite(BackendConformance):
    precisions = tuple(one.value for one in Precision)
    float_of_16_bits = dict.fromkeys(
        ["*"], "TFLite's kernels for integers of 16 bits are not used here"
    )
    steps_of_16_bits = 1  # they multiply sums by factors of 15 bits

    @pytest.fixture
    def backend(self):
        return TFLiteBackend()

    @pytest.fixture
    def target(self):
        return find_target("generic-x86-64-v3")
