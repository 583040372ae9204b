"""A bundle that brings its wheels, for a device without a network."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt.bundles import write_bundle
from edgeopt.bundles.wheels import WHEELS, unpack_wheels, with_wheels
from edgeopt.contracts import Wheel
from edgeopt.devices import LocalDevice
from edgeopt.devices.platforms import platform_tags, target_interpreter
from edgeopt.errors import DeviceError
from edgeopt.measure import PlacedBundle
from edgeopt.registry import find_target
from edgeopt.testing.device_conformance import small_wheel
from edgeopt.testing.toy import TOY_RUNTIME, toy_artifact, toy_golden, toy_runtime, toy_target

pytestmark = pytest.mark.slow

NEEDS = "import edgeopt_probe\n" + TOY_RUNTIME


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Returns the only place where pip finds anything."""
    folder = tmp_path / "shop"
    folder.mkdir()
    small_wheel(folder)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.parametrize("name", ["toy", "toy.zip"])
def test_it_brings_them_and_needs_no_network(shop, tmp_path, monkeypatch, name):
    runtime = toy_runtime(wheels=(Wheel("edgeopt_probe", "1.0", ("3.11",)),), source=NEEDS)
    runtime = with_wheels(runtime, toy_target())
    artifact = toy_artifact()
    bundle = write_bundle(
        artifact, runtime, toy_target(), path=tmp_path / name, golden=toy_golden(artifact)
    )
    wheel = "edgeopt_probe-1.0-py3-none-any.whl"
    assert f"{WHEELS}{wheel}" in bundle.manifest.files
    (tmp_path / "out").mkdir()
    assert unpack_wheels(bundle, tmp_path / "out") == [str(tmp_path / "out" / wheel)]
    monkeypatch.delenv("PIP_FIND_LINKS")  # now there is nothing but the bundle
    with LocalDevice() as device:
        placed = PlacedBundle.push(bundle, device)
        assert placed.verify().ok
        ((y,),) = placed.run([[np.ones((1, 4), np.float32)]])
    np.testing.assert_array_equal(y, np.full((1, 4), 2, np.float32))


def test_what_has_no_wheel_is_named(shop):
    runtime = toy_runtime(wheels=(Wheel("edgeopt_other", "2.0", ("3.11",)),))
    with pytest.raises(DeviceError, match=r"edgeopt_other==2\.0") as caught:
        with_wheels(runtime, toy_target())
    assert caught.value.where == "toy-board"


def test_a_runtime_without_requirements_stays_as_it_is(shop):
    assert with_wheels(toy_runtime(), toy_target()) == toy_runtime()


def test_the_python_of_a_target():
    python = target_interpreter(find_target("rpi4"))
    assert python.version == "3.11"
    assert python.platforms[0] == "manylinux_2_36_aarch64"
    assert "manylinux2014_aarch64" in python.platforms
    assert python.platforms[-1] == "linux_aarch64"
    assert python.markers["platform_machine"] == "aarch64"


@pytest.mark.parametrize(
    ("arch", "more", "first", "last"),
    [
        ("armv7", {"glibc": "2.31"}, "manylinux_2_31_armv7l", "linux_armv7l"),
        ("x86_64", {"glibc": "2.17"}, "manylinux_2_17_x86_64", "linux_x86_64"),
        ("aarch64", {"musl": True}, "musllinux_1_2_aarch64", "linux_aarch64"),
        ("riscv64", {"glibc": "2.17"}, "linux_riscv64", "linux_riscv64"),
    ],
)
def test_platform_tags(arch, more, first, last):
    tags = platform_tags(arch, **more)
    assert (tags[0], tags[-1]) == (first, last)
