"""An emulated core that is not the target's is said."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from edgeopt.measure.fits import other_core
from edgeopt.registry import find_target


def device(mcpu, *, emulated=True):
    return SimpleNamespace(name="one", mcpu=mcpu, emulated=emulated)


def test_another_core_is_named_beside_the_targets():
    (said,) = other_core(device("cortex-a72"), find_target("jetson-orin-nano"))
    assert "emulated as a cortex-a72" in said
    assert "jetson-orin-nano has a cortex-a78ae" in said


@pytest.mark.parametrize(
    ("one", "target"),
    [
        (device("cortex-a72"), "rpi4"),
        (device("cortex-a76"), "rpi5"),
        (device("cortex-a72"), "generic-aarch64"),
        (device("cortex-a72", emulated=False), "jetson-orin-nano"),
        (SimpleNamespace(name="one", emulated=True), "jetson-orin-nano"),
        (device("cortex-m55"), "pico2"),
    ],
)
def test_nothing_is_said_of_what_fits_or_is_not_emulated(one, target):
    assert other_core(one, find_target(target)) == ()
