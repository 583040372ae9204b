"""Every option type accepts and refuses the same, however it is made.

The types are found, not listed: one that is added is tested as it is.
"""

from __future__ import annotations

import functools
import importlib
import math
import pkgutil
import sys
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import edgeopt
from edgeopt.contracts.storage import Precision
from edgeopt.errors import ConfigError
from edgeopt.options import Options, all_options, field_help, kinds
from edgeopt.registry.schema import take


def every_type():
    for module in pkgutil.walk_packages(edgeopt.__path__, "edgeopt."):
        if "__main__" not in module.name and ".device" not in module.name:
            importlib.import_module(module.name)
    ours = {kind for kind in all_options() if kind.__module__.startswith("edgeopt.")}
    return sorted(ours, key=lambda kind: kind.__name__)


TYPES = every_type()
each_type = pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)

WORDS = ["", "auto", "int8", "int8_dynamic", "fp16", "msee", "mse", "on", "off", "adamw", "cosine",
         "a", "no", "2:4", "unstructured", "none", "x.0"]  # fmt: skip
PLAIN = [None, True, False, 0, 1, -1, 2, 7, 8, 9, 16, 128, -3, 10**400, 0.0, 0.5, 1.0, -1.0, 1.5,
         1e-3, math.nan, math.inf, -math.inf, *WORDS]  # fmt: skip
NESTED = [[], ["a"], ["int8"], [0.5], [1], [1, 2], [1, 2, 3], ["a", 1], {}, {"a": "b"}, {"a": 0.5},
          {"a": 1}, {"samples": 0}, {"samples": 2}, {"max_samples": 4}, {"trials": 2},
          {"precision": "int4"}, {"low": 1.0}, {"a": {"low": 1.0}}, {"a": {"low": 1.0, "high": 2.0}},
          {"epochs": 1}, {"epochs": 0}, {"name": "n"}, {"weight_bits": 4}, [{"step": "quantize"}],
          [{"step": "quantize"}, {"step": "quantize"}], {0: 1}, {"a": None}]  # fmt: skip
VALUES = PLAIN + NESTED


def outcome(make):
    """Returns what was made, or the problems that it was refused for."""
    try:
        return make()
    except ConfigError as error:
        return {problem.path for problem in error.problems}


@functools.cache
def smallest(kind):
    """Returns the fewest fields that ``kind`` can be made of."""
    needed = {f.name for f in msgspec.structs.fields(kind) if f.required}
    chosen = {}
    for name in needed:
        chosen[name] = next(v for v in VALUES if v is not None and not problems(kind, {name: v}))
    if isinstance(outcome(lambda: kind(**chosen)), Options):
        return chosen
    tries = [{**chosen, name: value} for name in kind.__struct_fields__ for value in VALUES]
    return next(
        one for one in tries if isinstance(outcome(functools.partial(kind, **one)), Options)
    )


def problems(kind, fields):
    """Returns what is wrong with the fields given, what is missing aside."""
    return [
        p for p in take(kind, fields)[1] if p.path not in set(kind.__struct_fields__) - set(fields)
    ]


@functools.cache
def hint_of(kind, name):
    return get_type_hints(kind, include_extras=True)[name]


def is_special(annotation):
    """Returns whether msgspec itself knows nothing of what a field takes."""
    if get_origin(annotation) is Annotated:
        extras = [m.extra or {} for m in annotation.__metadata__]
        if any({"kind", "single"} & set(extra) for extra in extras):
            return True
    return any(is_special(one) for one in get_args(annotation))


def not_finite(value):
    if isinstance(value, float):
        return not math.isfinite(value)
    return value == 10**400


def test_the_types_are_found():
    names = {kind.__name__ for kind in TYPES}
    assert {"QuantizationConfig", "TrainingOptions", "Request", "Prune", "SearchOptions"} <= names
    assert {"TuneOptions", "CompileOptions", "PruningOptions", "Preprocess", "Recipe"} <= names


def test_nothing_that_is_called_options_is_left_out():
    for name, module in sys.modules.items():
        if name.startswith("edgeopt."):
            for kind in vars(module).values():
                if isinstance(kind, type) and kind.__module__.startswith("edgeopt."):
                    if kind.__module__ == "edgeopt.ir.graph_schema":
                        continue  # named as in torch's own files
                    named = kind.__name__.endswith(("Options", "Config", "Limits", "Checks"))
                    assert not named or issubclass(kind, Options), kind


@each_type
@quick
@given(data=st.data())
def test_constructor_and_dict_accept_and_refuse_the_same(kind, data):
    fields = data.draw(
        st.fixed_dictionaries(
            {}, optional=dict.fromkeys(kind.__struct_fields__, st.sampled_from(VALUES))
        )
    )
    fields = {**smallest(kind), **fields}
    made = outcome(lambda: kind(**fields))
    read = outcome(lambda: kind.from_dict(fields))
    if isinstance(made, Options):
        assert made == read
        assert type(made) is type(read)
        assert made.replace() == made
        assert kind.from_dict(made) is made
        again = msgspec.structs.replace(made)
        assert again == made
    else:
        assert not isinstance(read, Options)
        assert made & read


@each_type
def test_each_field_takes_what_its_type_says(kind):
    """msgspec's own conversion is the oracle; only finite numbers and true integers pass here."""
    for name in kind.__struct_fields__:
        annotation = hint_of(kind, name)
        if annotation is Any or is_special(annotation):
            continue
        for value in VALUES:
            require_conversion(kind, name, annotation, value)


def require_conversion(kind, name, annotation, value):
    try:
        msgspec.convert(value, annotation)
        right = not not_finite(value)
    except (msgspec.ValidationError, ConfigError, OverflowError):
        right = False
    wrong = problems(kind, {name: value})
    assert right == (not wrong), (name, value, wrong)
    if right:
        return
    least = smallest(kind)
    with pytest.raises(ConfigError) as caught:
        kind(**{**least, name: value})
    assert name in str(caught.value), (name, value)
    good = kind(**least)
    with pytest.raises(ConfigError):
        good.replace(**{name: value})
    with pytest.raises(ConfigError):
        msgspec.structs.replace(good, **{name: value})


@each_type
def test_what_has_no_type_of_msgspec_is_checked_too(kind):
    for name in kind.__struct_fields__:
        if is_special(hint_of(kind, name)):
            assert problems(kind, {name: 3.5j}), name


@each_type
def test_an_unknown_field_is_refused_in_both_forms_and_the_nearest_named(kind):
    name = kind.__struct_fields__[0]
    least = smallest(kind)
    for make in (lambda f: kind(**f), kind.from_dict):
        with pytest.raises(ConfigError) as caught:
            make({**least, f"{name}x": 1})
        assert f'did you mean "{name}"' in str(caught.value)


@each_type
def test_each_field_is_documented(kind):
    assert kind.__doc__
    assert [name for name, text in field_help(kind).items() if not text] == []


@each_type
def test_options_take_no_positions(kind):
    with pytest.raises(ConfigError, match="by name"):
        kind(1)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: edgeopt.QuantizationConfig(precision="int4"), 'did you mean "int4-dynamic"?'),
        (lambda: edgeopt.QuantizationConfig(precision="fp16"), 'did you mean "float16"?'),
        (
            lambda: edgeopt.QuantizationConfig(precision="int8_dynamic"),
            'mean "int8-dynamic"?',
        ),
        (lambda: edgeopt.QuantizationConfig(ranges="msee"), 'got "msee"\n  -> did you mean "mse"?'),
        (lambda: edgeopt.QuantizationConfig(weight_bits=16), "weight_bits: expected one of 2, 3,"),
        (lambda: edgeopt.TrainingOptions(epochs=1, clip_norm=-1.0), "clip_norm: expected a number"),
        (lambda: edgeopt.Calibration(max_samples=-3), "of 1 or more, got -3"),
        (lambda: edgeopt.Checks(parity={"min_cosine": 2}), "parity.min_cosine: expected a number"),
        (
            lambda: edgeopt.QuantizationConfig(overrides={"conv": {"low": 2.0, "high": 1.0}}),
            'overrides."conv".high: expected a number above low (2), got 1',
        ),
    ],
)
def test_errors_say_where_what_and_what_was_meant(make, says):
    with pytest.raises(ConfigError) as caught:
        make()
    assert says in str(caught.value)


def test_numbers_of_numpy_are_numbers():
    config = edgeopt.QuantizationConfig(max_samples=np.int64(4), weight_bits=None)
    assert type(config.max_samples) is int
    limits = edgeopt.ParityLimits(min_cosine=np.float32(0.5))
    assert type(limits.min_cosine) is float


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigError) as caught:
        edgeopt.QuantizationConfig(precision="int4", ranges="msee", max_samples=0)
    assert [p.path for p in caught.value.problems] == ["max_samples", "ranges", "precision"]


def test_options_within_options_may_be_tables():
    checks = edgeopt.Checks(parity={"min_argmax": 0.9})
    assert checks.parity == edgeopt.ParityLimits(min_argmax=0.9)
    assert isinstance(checks.to_fields(), Mapping)
    assert checks.changes() == {"parity": checks.parity}


def test_precisions_are_those_of_the_contract():
    assert get_args(get_args(kinds.Precision)[0]) == tuple(Precision)
    assert get_args(get_args(kinds.PrecisionChoice)[0]) == ("auto", *Precision)
