"""What people type in another form than the one declared: understood, or refused with what to type."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import inspect as schema

import edgeopt
from edgeopt.errors import ConfigError
from edgeopt.options import BundleOptions, DeployOptions, Options, SearchOptions, all_options
from edgeopt.options.pruning import PruningOptions
from edgeopt.registry.words import bare

TABLES = {("Detection", "skeleton"), ("Recipe", "steps")}  # lists of pairs and of tables


def lists():
    for kind in all_options():
        if not kind.__module__.startswith("edgeopt."):
            continue
        for field in schema.type_info(kind).fields:
            inner, extra = bare(field.type)
            if isinstance(inner, schema.VarTupleType) and (kind.__name__, field.name) not in TABLES:
                yield pytest.param(extra, id=f"{kind.__name__}.{field.name}")


@pytest.mark.parametrize("extra", sorted(lists(), key=lambda one: one.id))
def test_one_item_stands_for_each_list(extra):
    assert extra.get("single")


def test_one_number_is_what_torchvision_takes():
    made = edgeopt.Preprocess(resize=256, crop=224, mean=0.5, std=np.array([1.0, 2.0, 4.0]), fill=0)
    assert made.resize == (256,)
    assert made.crop == (224, 224)
    assert made.mean == (0.5,)
    assert made.std == (1.0, 2.0, 4.0)
    assert made == edgeopt.Preprocess.from_dict(made.to_fields())


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (lambda v: DeployOptions(max_drop=v).max_drop, 0.01),
        (lambda v: SearchOptions(max_drop=v).max_drop, 0.01),
        (lambda v: PruningOptions(ratio=v).ratio, 0.01),
        (lambda v: PruningOptions(macs=v).macs, 0.01),
        (lambda v: SearchOptions(pruning=v).pruning["ratios"], (0.01,)),
        (lambda v: edgeopt.Checks(parity={"min_argmax": v}).parity.min_argmax, 0.01),
    ],
    ids=["deploy", "search", "ratio", "macs", "pruning", "argmax"],
)
@pytest.mark.parametrize("text", ["1%", " 1.0 % "])
def test_a_share_may_be_written_in_percent(make, value, text):
    assert make(text) == value


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (lambda: DeployOptions(max_drop=5), "0.05 for 5 %"),
        (lambda: PruningOptions(ratio=50), "0.5 for 50 %"),
        (lambda: edgeopt.Checks(parity={"min_argmax": 99.5}), "0.995 for 99.5 %"),
        (lambda: DeployOptions(max_drop="0.01"), "a number has no quotes: 0.01"),
        (lambda: DeployOptions(precision="int8_dynamic"), 'did you mean "int8-dynamic"?'),
        (lambda: DeployOptions(precision="bf16"), 'did you mean "float16"?'),
        (lambda: SearchOptions(precisions="fp16"), 'did you mean "float16"?'),
    ],
    ids=["drop", "ratio", "argmax", "quoted", "dynamic", "bf16", "a list of names"],
)
def test_another_unit_or_name_is_refused_with_what_to_type(make, hint):
    with pytest.raises(ConfigError) as caught:
        make()
    assert hint in caught.value.hint


def test_percent_means_nothing_where_no_share_is():
    with pytest.raises(ConfigError):
        SearchOptions(max_latency_ms="5%")


def test_a_drop_of_points_goes_with_a_score_in_points():
    assert DeployOptions(max_drop=5, evaluate=lambda fn: 87.0).max_drop == 5


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "cat\ndog\n\n"),
        ("a.json", '["cat", "dog"]'),
        ("b.json", '{"1": "dog", "0": "cat"}'),
    ],
)
@pytest.mark.parametrize("form", [str, lambda path: path], ids=["text", "path"])
def test_labels_are_read_from_a_file(tmp_path, name, text, form):
    (tmp_path / name).write_text(text)
    assert BundleOptions(labels=form(tmp_path / name)).labels == ("cat", "dog")


def test_labels_may_be_a_table():
    assert BundleOptions(labels={1: "dog", 0: "cat"}).labels == ("cat", "dog")


@pytest.mark.parametrize("given", ["nothing.txt", "", {1: "a"}, {0: 3}, 3, [1]])
def test_labels_that_are_none_are_refused(given):
    with pytest.raises(ConfigError) as caught:
        BundleOptions(labels=given)
    assert caught.value.where == "labels"


def test_each_option_type_is_looked_at():
    assert len({kind for kind in all_options() if issubclass(kind, Options)}) > 20
