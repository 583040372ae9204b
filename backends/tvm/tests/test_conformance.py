"""The contract of backends, on this one."""

import pytest

from edgeopt.registry import find_target
from edgeopt.testing.backend_conformance import BackendConformance
from edgeopt_tvm import TVMBackend


class TestTVM(BackendConformance):
    @pytest.fixture
    def backend(self):
        return TVMBackend()

    @pytest.fixture
    def target(self):
        return find_target("host")
