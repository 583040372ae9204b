"""The contract of backends, on this one."""

import pytest

from edgeopt.contracts.storage import Precision
from edgeopt.registry import find_target
from edgeopt.testing.backend_conformance import BackendConformance
from edgeopt_tvm import TVMBackend


class TestTVM(BackendConformance):
    precisions = tuple(one.value for one in Precision if one is not Precision.INT4_DYNAMIC)
    float_of_16_bits = dict.fromkeys(
        [f"aten.{name}.default" for name in ("gelu", "elu", "sigmoid", "tanh")],
        "a function of numbers of 16 bits is computed in float, and then rounded",
    )

    @pytest.fixture
    def backend(self):
        return TVMBackend()

    @pytest.fixture
    def target(self):
        return find_target("host")
