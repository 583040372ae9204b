"""The reference backend: the conformance suite, and what is its own."""

from __future__ import annotations

import pytest

from edgeopt.contracts.storage import Precision
from edgeopt.errors import TargetError
from edgeopt.reference_backend import ReferenceBackend
from edgeopt.registry import find_target
from edgeopt.testing import BackendConformance


class TestReference(BackendConformance):
    precisions = tuple(one.value for one in Precision)
    runs_everything = True
    needs_torch = True

    @pytest.fixture
    def backend(self):
        return ReferenceBackend()

    @pytest.fixture
    def target(self):
        return find_target("host")


def test_it_is_not_for_devices():
    with pytest.raises(TargetError, match="torch"):
        ReferenceBackend().device_runtime(find_target("rpi4"))
