"""What `deploy` takes flat, what in groups, and what it says of a keyword that is elsewhere."""

from __future__ import annotations

import inspect

import pytest

import edgeopt
from edgeopt.errors import ConfigError
from edgeopt.options import GROUPS, DeployOptions, PruningOptions, SearchOptions


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"check_samples": 8}, "checks=Checks(samples=8)"),
        ({"check_speed": False}, "checks=Checks(speed=False)"),
        ({"strict": True}, "checks=Checks(strict=True)"),
        ({"tune": 64}, "tuning=TuneOptions(trials=…)"),
        ({"tuning_database": "none"}, "tuning=TuneOptions(database='none')"),
        ({"labels": ["a"]}, "bundle=BundleOptions(labels=…)"),
        ({"overwrite": True}, "bundle=BundleOptions(overwrite=True)"),
        ({"threads": 2}, "bundle=BundleOptions(threads=2)"),
        ({"max_samples": 4}, "calibration=Calibration(max_samples=4)"),
        ({"loss": print}, "training=RecipeTraining(loss=…)"),
        ({"weight_bits": 4}, "quantization=QuantizationConfig(weight_bits=4)"),
        ({"presicion": "int8"}, 'did you mean "precision"?'),
    ],
)
def test_a_keyword_that_is_elsewhere_is_refused_with_what_to_type(given, says):
    with pytest.raises(ConfigError) as caught:
        edgeopt.deploy(None, "host", **given)
    assert says in str(caught.value)


def test_a_search_says_so_too():
    with pytest.raises(ConfigError, match=r"checks=ParityChecks\(samples=8\)"):
        edgeopt.search(None, "host", check_samples=8)


def test_options_that_would_lose_fields_are_refused():
    with pytest.raises(ConfigError, match="checks: expected a ParityChecks, got a Checks"):
        SearchOptions(checks=edgeopt.Checks(strict=True))
    with pytest.raises(ConfigError, match="calibration: expected a Calibration, got a Quant"):
        DeployOptions(calibration=edgeopt.QuantizationConfig(weight_bits=4))


def test_deploy_has_few_keywords_and_the_groups():
    parameters = inspect.signature(edgeopt.deploy).parameters
    assert len(parameters) <= 16
    kinds = {name: f.type for name, f in ((f.name, f) for f in _fields(DeployOptions))}
    for name, kind in GROUPS.items():
        if name in kinds and name != "quantization":
            assert kinds[name] is kind


def test_a_group_may_be_a_dict():
    with pytest.raises(ConfigError, match=r"checks.samples: expected a whole number .* got 0"):
        edgeopt.deploy(None, "host", checks={"samples": 0})


@pytest.mark.parametrize(
    ("function", "kind"), [(edgeopt.search, SearchOptions), (edgeopt.prune, PruningOptions)]
)
def test_functions_show_the_options_of_their_types(function, kind):
    parameters = inspect.signature(function).parameters
    for field in _fields(kind):
        assert parameters[field.name].default == field.default, field.name


@pytest.mark.parametrize(
    "quantization",
    [{"precision": "int8-dynamic"}, edgeopt.QuantizationConfig(precision="int8-dynamic")],
)
def test_a_precision_is_not_lost_in_a_group(quantization):
    with pytest.raises(ConfigError, match='pass precision="int8-dynamic"'):
        DeployOptions(quantization=quantization)


def test_what_is_chosen_twice_is_refused():
    calibration = edgeopt.Calibration(max_samples=4)
    with pytest.raises(ConfigError, match=r"calibration.max_samples is given too"):
        DeployOptions(quantization={"max_samples": 8}, calibration=calibration)
    chosen = DeployOptions(quantization={"rounding": "auto"}, calibration=calibration)
    assert chosen.settings() == {"max_samples": 4, "rounding": "auto"}


def _fields(kind):
    import msgspec

    return msgspec.structs.fields(kind)
