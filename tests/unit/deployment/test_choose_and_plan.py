from __future__ import annotations

import json

import msgspec
import pytest

from edgeopt.deployment.choose import choose_backend, choose_precision, linear_share
from edgeopt.deployment.plan import make_plan
from edgeopt.deployment.request import Request
from edgeopt.errors import InputError, PluginError, TargetError, UnsupportedError
from edgeopt.reference_backend import ReferenceBackend
from edgeopt.registry import find_target
from edgeopt.testing.specimens import float_program


def host(*backends):
    return msgspec.structs.replace(find_target("host"), backends=backends)


def reasons(choice):
    return {c.backend: c.reason for c in choice.candidates}


@pytest.fixture
def planned(monkeypatch):
    """Returns the name of a backend that is known, and not installed."""
    monkeypatch.setattr("edgeopt.registry.plugins._KNOWN", ("planned",))
    return "planned"


def test_the_first_that_can_do_it_is_taken_and_the_others_are_explained(backends, planned):
    backends("absent", "narrow", "fine")
    program = float_program("perceptron")
    target = host("absent", planned, "narrow", "fine", "reference")
    choice = choose_backend(target, program=program)
    assert choice.backend.name == "fine"
    why = reasons(choice)
    assert "pip install absent-toolchain" in why["absent"]
    assert "[planned]'" in why[planned]
    assert "m.py:3" in why["narrow"]
    assert "fine comes first" in why["reference"]
    assert [c.backend for c in choice.candidates if c.chosen] == ["fine"]


def test_a_precision_that_it_lacks_passes_a_backend_over(backends):
    backends("float-only", "fine")
    choice = choose_backend(host("float-only", "fine"), precision="int8")
    assert choice.backend.name == "fine"
    assert "does not compile int8" in reasons(choice)["float-only"]


def test_a_device_without_a_runtime_passes_a_backend_over(backends):
    backends("homeless", "fine")
    choice = choose_backend(host("homeless", "fine"))
    assert "no runtime" in reasons(choice)["homeless"]


def test_the_one_asked_for_fails_with_its_own_error(backends):
    backends("absent", "narrow", "homeless", "float-only")
    for name, error in (("absent", PluginError), ("homeless", TargetError)):
        with pytest.raises(error):
            choose_backend(host("fine"), backend=name)
    with pytest.raises(InputError, match="int8"):
        choose_backend(host("fine"), backend="float-only", precision="int8")
    with pytest.raises(UnsupportedError, match=r"m\.py:3") as caught:
        choose_backend(host("fine"), backend="narrow", program=float_program("perceptron"))
    assert len(caught.value.report.unsupported) == 5
    assert "and 2 more" in str(caught.value)


def test_an_unknown_backend_suggests_the_nearest():
    with pytest.raises(PluginError, match="reference"):
        choose_backend(host(), backend="referense")


def test_where_none_is_left_each_says_why(backends):
    backends("absent", "narrow")
    with pytest.raises(UnsupportedError, match="absent-toolchain") as caught:
        choose_backend(host("absent", "narrow"), program=float_program("perceptron"))
    assert caught.value.report is not None


def test_where_none_is_installed_it_says_what_to_type(backends, planned):
    backends("absent")
    with pytest.raises(PluginError, match=r"\[planned\].*absent-toolchain"):
        choose_backend(host(planned))


def test_where_there_is_none_at_all_it_says_so(backends):
    backends()
    with pytest.raises(PluginError, match="names none"):
        choose_backend(host())


def test_one_that_the_target_does_not_name_can_be_chosen(backends):
    backends("absent", "fine")
    choice = choose_backend(host("absent"))
    assert choice.backend.name == "fine"
    assert "absent, fine" in reasons(choice)["fine"]
    assert "reference" not in reasons(choice), "it says nothing of a device"


def test_one_that_the_target_names_comes_before_all_others(backends):
    backends("alike", "fine")
    choice = choose_backend(host("fine"))
    assert choice.backend.name == "fine"
    assert reasons(choice)["alike"] == "fine comes first"


def test_auto_is_int8_with_data():
    precision, why = choose_precision(ReferenceBackend(), host(), calibrated=True)
    assert precision == "int8"
    assert "calibration data" in why


def test_auto_without_data_quantizes_what_gains_without():
    backend, target = ReferenceBackend(), host()
    linear, conv = float_program("perceptron"), float_program("residual")
    assert linear_share(linear) == 1.0
    assert linear_share(conv) < 0.5
    precision, why = choose_precision(backend, target, program=linear)
    assert precision == "int8-dynamic"
    assert "smaller without it, not faster" in why  # the reference rounds no activation
    precision, why = choose_precision(backend, target, program=conv)
    assert precision == "float16"
    assert "no calibration data" in why


def test_auto_falls_back_to_what_the_backend_has(backends):
    backends("float-only")
    from edgeopt.registry import find_backend

    found = choose_precision(find_backend("float-only"), host(), calibrated=True)
    assert found[0] == "float32"
    assert "no int8" in found[1]


def test_a_plan_says_everything_before_work_starts():
    request = Request(backend="reference", calibration_data=[1], max_drop=0.01)
    plan = make_plan(find_target("host"), request, float_program("residual"))
    text = str(plan)
    for part in (
        "fold_batch_norm",
        "int8",
        "torch 2",
        "parity",
        "a drop of at most 0.01",
        "temporary folder",
    ):
        assert part in text
    assert json.loads(json.dumps(plan.to_dict()))["backend"] == "reference"


def test_a_plan_without_a_model_says_what_it_did_not_check():
    plan = make_plan(find_target("host"), Request(backend="reference"))
    assert "operators were not checked" in str(plan)
    assert "none is made up" in str(plan)


def test_seven_bits_where_products_saturate(backends):
    backends("fine")
    request = Request(backend="fine", calibration_data=[1])
    assert make_plan(find_target("generic-x86-64-v3"), request).quantization["weight_bits"] == 7
    assert make_plan(find_target("rpi4"), request).quantization["weight_bits"] == 8
    chosen = Request(backend="fine", calibration_data=[1], quantization={"weight_bits": 8})
    assert make_plan(find_target("generic-x86-64-v3"), chosen).quantization["weight_bits"] == 8
