from __future__ import annotations

import pytest

from edgeopt.deployment.request import Request
from edgeopt.errors import InputError


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"precision": "int9"}, 'did you mean "int4-dynamic", "int8"'),
        ({"precision": "int8"}, "int8-dynamic"),
        ({"max_drop": -0.1}, "max_drop"),
        ({"max_drop": float("nan")}, "max_drop"),
        ({"bundle": {"threads": -1}}, "bundle.threads: expected a whole number of 0 or more"),
        ({"checks": {"samples": 0}}, "checks.samples: expected a whole number of 1 or more"),
        ({"evaluate": 0.9}, "evaluate"),
    ],
)
def test_wrong_options_are_named(options, says):
    with pytest.raises(InputError, match=says):
        Request(**options).check()


def test_an_output_that_exists_is_refused_before_work(tmp_path):
    place = tmp_path / "bundle"
    place.mkdir()
    with pytest.raises(InputError, match="something lies there"):
        Request(output=place).check()
    Request(output=place, bundle={"overwrite": True}).check()


def test_the_defaults_are_fine():
    Request().check()
