"""The contract of backends, on this one."""

import pytest

from edgeopt.contracts.storage import Precision
from edgeopt.registry.target_registry import find_target
from edgeopt.testing.backend_conformance import BackendConformance
from edgeopt_openvino import OpenVINOBackend


class TestOpenVINO(BackendConformance):
    precisions = tuple(one.value for one in Precision)
    computed_in_float = dict.fromkeys(
        [
            f"aten.{name}.default"
            for name in ("gelu", "hardswish", "leaky_relu", "elu", "sigmoid", "tanh")
        ],
        "OpenVINO's CPU plugin computes it in float between two quantizations",
    )

    float_of_16_bits = dict.fromkeys(["*"], "OpenVINO has no kernels for integers of 16 bits")

    @pytest.fixture
    def backend(self):
        return OpenVINOBackend()

    @pytest.fixture
    def target(self):
        return find_target("generic-x86-64-v3")
