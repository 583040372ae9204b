"""Conformance suites for plugins: subclass one, give its fixtures, and its tests run.

Needs pytest. A backend's test file is ten lines::

    class TestMine(BackendConformance):
        @pytest.fixture
        def backend(self):
            return MyBackend()

        @pytest.fixture
        def target(self):
            return find_target("rpi4")
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["BackendConformance", "DeviceConformance", "ScriptedDevice"]

_LAZY = {
    "BackendConformance": "edgeopt.testing.backend_conformance",
    "DeviceConformance": "edgeopt.testing.device_conformance",
    "ScriptedDevice": "edgeopt.testing.scripted_device",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
