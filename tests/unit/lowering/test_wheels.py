"""The newest release that runs on a device."""

from __future__ import annotations

import re

import msgspec
import pytest

from edgeopt.errors import TargetError
from edgeopt.lowering import Release, find_wheels
from edgeopt.registry import find_target

RELEASES = (
    Release("words", "2.0", {"aarch64": (2, 28)}, {"3.11": "2.4.6", "3.12": "2.10.0"}),
    Release("words", "1.0", {"aarch64": (2, 9), "armv7": (2, 17)}, {"3.9": "", "3.11": ""}),
)


def device(arch="aarch64", **os):
    target = find_target("rpi4")
    cpu = msgspec.structs.replace(target.cpu, arch=arch)
    return msgspec.structs.replace(target, cpu=cpu, os=msgspec.structs.replace(target.os, **os))


@pytest.mark.parametrize(
    ("arch", "glibc", "python", "wanted"),
    [
        ("aarch64", "2.36", "3.11", ["words==2.0", "numpy==2.4.6"]),
        ("aarch64", "2.28", "3.12", ["words==2.0", "numpy==2.10.0"]),
        ("aarch64", "2.9", "3.11", ["words==1.0"]),
        ("aarch64", "2.36", "3.9", ["words==1.0"]),
        ("armv7", "2.36", "3.11", ["words==1.0"]),
        ("aarch64", "", "3.11", ["words==2.0", "numpy==2.4.6"]),
        ("aarch64", "2.36", "", ["words==2.0", "numpy==2.10.0"]),
    ],
)
def test_the_first_that_runs_there(arch, glibc, python, wanted):
    wheels = find_wheels(device(arch, glibc=glibc, python=python), RELEASES, runtime="Words")
    assert [w.requirement for w in wheels] == wanted
    assert not python or all(w.pythons == (python,) for w in wheels)


@pytest.mark.parametrize(
    ("arch", "os", "says"),
    [
        ("riscv64", {}, r"no wheel of Words exists for riscv64"),
        ("aarch64", {"python": "3.8"}, r"Python 3\.8[^$]*Pythons with one: 3\.9, 3\.11, 3\.12"),
        ("aarch64", {"glibc": "2.5"}, r"glibc 2\.5[^$]*glibc 2\.9 or newer"),
        ("armv7", {"glibc": "2.36", "python": "3.12"}, r"Pythons with one: 3\.9, 3\.11;"),
    ],
)
def test_where_none_runs_it_says_what_there_is(arch, os, says):
    with pytest.raises(TargetError) as caught:
        find_wheels(device(arch, **os), RELEASES, runtime="Words")
    assert re.search(says, str(caught.value)), str(caught.value)


@pytest.mark.parametrize("name", ["pico2", "esp32-c3"])
def test_a_microcontroller_has_no_system_to_run_it(name):
    with pytest.raises(
        TargetError, match=f"Words needs an operating system, and {name} is"
    ) as caught:
        find_wheels(find_target(name), RELEASES, runtime="Words")
    assert caught.value.hint == "leave the backend to edgeopt, or take micro or tflite"
