"""The runtime on the device."""

import msgspec
import pytest

from edgeopt.errors import TargetError
from edgeopt.registry.target_registry import find_target, targets


def changed(target, **os):
    return msgspec.structs.replace(target, os=msgspec.structs.replace(target.os, **os))


def pins(backend, target):
    return [wheel.requirement for wheel in backend.device_runtime(target).wheels]


def test_raspberry_pi(backend):
    pi = find_target("rpi4")
    assert pins(backend, pi) == ["ai-edge-litert==2.3.0", "numpy==2.4.6"]
    assert pins(backend, changed(pi, python="3.9")) == ["ai-edge-litert==2.1.0", "numpy==2.0.2"]
    assert pins(backend, changed(pi, python="3.13")) == ["ai-edge-litert==2.3.0", "numpy==2.5.5"]


def test_without_a_python_the_pins_fit_several(backend):
    runtime = backend.device_runtime(changed(find_target("rpi4"), python=""))
    assert all(len(wheel.pythons) > 1 for wheel in runtime.wheels)


def test_armv7_has_the_last_tflite_runtime_only(backend):
    runtime = backend.device_runtime(find_target("generic-armv7"))
    assert [w.requirement for w in runtime.wheels] == ["tflite-runtime==2.14.0"]
    assert runtime.name == "tflite-runtime"
    assert any("numpy" in note for note in runtime.notes)
    older = changed(find_target("generic-armv7"), python="3.9", glibc="2.31")
    assert pins(backend, older) == ["tflite-runtime==2.13.0"]


@pytest.mark.parametrize(
    ("name", "os", "words"),
    [
        ("generic-riscv64", {}, "riscv64"),
        ("rpi4", {"python": "3.8"}, "Python 3.8"),
        ("rpi4", {"glibc": "2.24"}, "glibc"),
        ("generic-armv7", {"python": "3.12"}, "Python 3.12"),
        ("generic-armv7", {"python": "3.11", "glibc": "2.31"}, "Python 3.11"),
    ],
)
def test_what_cannot_run_it_is_told_why(backend, name, os, words):
    with pytest.raises(TargetError) as caught:
        backend.device_runtime(changed(find_target(name), **os))
    assert words in str(caught.value)
    assert caught.value.where == name
    assert caught.value.hint


def test_every_target_has_a_runtime_or_a_reason(backend):
    for target in targets().values():
        try:
            runtime = backend.device_runtime(target)
            found = runtime.notes if target.microcontroller else runtime.wheels
        except TargetError as error:
            found = error.hint
        assert found, target.name
