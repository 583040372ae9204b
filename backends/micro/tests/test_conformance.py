"""What every backend must do, on the C source of a Cortex-M4, compiled for this machine."""

from __future__ import annotations

import pytest

from edgeopt.registry import find_backend, find_target
from edgeopt.testing import BackendConformance


@pytest.mark.qemu
class TestMicro(BackendConformance):
    precisions = ("int8", "int8-dynamic", "float32")

    @pytest.fixture(autouse=True)
    def board(self, monkeypatch):
        """Bundles run on the emulated core: no board is at hand."""
        monkeypatch.setenv("EDGEOPT_BOARD", "emulated")

    @pytest.fixture
    def backend(self):
        return find_backend("micro")

    @pytest.fixture
    def target(self):
        return find_target("generic-cortex-m4f")
