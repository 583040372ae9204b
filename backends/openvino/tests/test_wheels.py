"""Pins exist for the device's CPU, C library and Python."""

from __future__ import annotations

import msgspec
import pytest

from edgeopt.errors import TargetError
from edgeopt.registry.target_registry import find_target
from edgeopt_openvino.wheels import runtime_wheels


def device(name, **os):
    target = find_target(name)
    return msgspec.structs.replace(target, os=msgspec.structs.replace(target.os, **os))


@pytest.mark.parametrize(
    ("name", "glibc", "python", "version", "numpy"),
    [
        ("rpi4", "2.36", "3.11", "2026.4.1", "2.4.6"),
        ("rpi4", "2.31", "3.9", "2025.2.0", "2.0.2"),
        ("rpi4", "2.34", "3.10", "2025.2.0", "2.2.6"),
        ("nuc-n100", "2.39", "3.14", "2026.4.1", "2.4.6"),
        ("nuc-n100", "2.17", "3.11", "2025.2.0", "2.2.6"),
        ("nuc-n100", "", "", "2026.4.1", "2.4.6"),
    ],
)
def test_the_newest_that_runs_there(name, glibc, python, version, numpy):
    openvino, held = runtime_wheels(device(name, glibc=glibc, python=python))
    assert (openvino.version, held.version) == (version, numpy)
    assert openvino.pythons == held.pythons
    assert not python or openvino.pythons == (python,)


@pytest.mark.parametrize(
    ("name", "os", "said"),
    [
        ("generic-riscv64", {}, "riscv64"),
        ("generic-armv7", {}, "armv7"),
        ("rpi4", {"python": "3.8"}, "Python 3.8"),
        ("rpi4", {"glibc": "2.24"}, "glibc 2.24"),
    ],
)
def test_none_is_said_with_what_there_is(name, os, said):
    with pytest.raises(TargetError, match=said):
        runtime_wheels(device(name, **os))
