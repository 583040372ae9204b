"""Toy bundles whose runtime tells what its operators take: times that are written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from edgeopt.bundles import write_bundle
from edgeopt.devices.local import LocalDevice
from edgeopt.testing.toy import TOY_RUNTIME, toy_artifact, toy_golden, toy_runtime, toy_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.bundles import Bundle

TOLD = """
    def invoke(self):
        pass

    def operators(self, runs, *inputs):
        step = {"name": "", "layers": [], "type": "", "role": ""}
        return {
            "statistic": "mean",
            "whole_ns": 1_000_000.0,
            "notes": ["a note"],
            "steps": [
                {**step, "name": "q0", "kind": "Quantize", "role": "conversion", "ns": 100_000.0},
                {**step, "name": "c0", "kind": "Conv", "layers": ["c0", "r0"], "type": "int8",
                 "ns": 600_000.0},
                {**step, "name": "s0", "kind": "Softmax", "layers": ["s0"], "ns": 250_000.0},
                {**step, "kind": "Unknown", "ns": 50_000.0},
            ],
        }
"""
ORIGINS = {"c0": "conv", "r0": "relu", "s0": "softmax"}
VALUES = [
    {
        "value": "conv", "makes": "relu", "operator": "aten.conv2d.default", "module": "stem",
        "source": "net.py:3", "kind": "integer", "reason": "", "macs": 12_000_000, "bytes": 40_000,
    },
    {
        "value": "softmax", "makes": "softmax", "operator": "aten.softmax.int", "module": "head",
        "source": "net.py:9", "kind": "float", "reason": "no grid fits it", "macs": 0, "bytes": 80,
    },
]  # fmt: skip


@pytest.fixture
def device(tmp_path):
    with LocalDevice(tmp_path / "device") as held:
        yield held


@pytest.fixture
def telling(tmp_path) -> Callable[..., Bundle]:
    """Writes a toy bundle whose runtime times operators."""

    def made(name: str = "telling", *, told: str = TOLD, values: list | None = None) -> Bundle:
        artifact = msgspec.structs.replace(toy_artifact(), origins=ORIGINS, precision="int8")
        return write_bundle(
            artifact,
            toy_runtime(source=TOY_RUNTIME + told),
            toy_target(),
            path=tmp_path / name,
            golden=toy_golden(artifact),
            report={"values": VALUES if values is None else values},
        )

    return made


@pytest.fixture
def told() -> str:
    """Returns the runtime's part that tells of operators."""
    return TOLD
