"""Operators in float are grouped by their reason; what is advised makes them integer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeopt.api import capture
from edgeopt.deployment.work import value_rows
from edgeopt.explaining.floats import float_findings
from edgeopt.explaining.replacements import replacement
from edgeopt.explaining.rows import ValueRow, left_in_float, rows_of, short_name
from edgeopt.quantization import QuantizationConfig, quantize_program
from edgeopt.reference_backend import ReferenceBackend
from edgeopt.registry import find_target


class Net(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.before, self.body = nn.Conv2d(3, 8, 3, padding=1), body
        self.after = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return self.after(self.body(torch.relu(self.before(x)))).mean((2, 3))


class Does(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


DATA = [torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(i)) for i in range(8)]


def rows(model, **config):
    program = capture(model.eval(), DATA[0])
    program = quantize_program(program, DATA, QuantizationConfig(rounding="nearest", **config))
    support = ReferenceBackend().lower(program, find_target("host")).support
    return rows_of(value_rows(program, support))


def findings(model, **config):
    precision = config.get("precision", "int8")
    return float_findings(rows(model, **config), precision)


def test_a_known_layer_is_float_for_a_known_reason():
    (finding, *others) = findings(Net(nn.Softmax(1)))
    assert finding.title == "softmax is float: no integer kernel"
    assert [e.place for e in finding.evidence if e.what == "float operator"]
    assert not others
    assert "not measured" in finding.sentences[0]


def test_equal_reasons_are_one_group():
    found = findings(Net(nn.Sequential(nn.Softmax(1), nn.Conv2d(8, 8, 1), nn.Softmax(1))))
    assert [f.title for f in found] == ["2 × softmax are float: no integer kernel"]
    assert len(found[0].nodes) == 2


def test_a_pattern_of_the_users_is_named_and_leaving_it_out_helps():
    model = Net(nn.Identity())
    finding, *_ = findings(model, keep_float=("after",))
    assert "keep_float='after'" in finding.title
    assert finding.remedy[0].python == "quantization={'keep_float': []}"
    assert finding.remedy[0].flags == "--set 'keep_float=[]'"
    assert findings(model, keep_float=()) == ()


def test_all_in_float_is_one_finding_whose_remedy_ends_it():
    model = Net(nn.Identity())
    (finding,) = findings(model, precision="int8-dynamic")
    assert finding.title.startswith("All ")
    assert finding.remedy[0].python == "precision='int8'"
    assert findings(model, precision="int8") == ()


def test_another_backend_is_named_only_where_it_has_fewer():
    all_rows = rows(Net(nn.Softmax(1)))
    (value,) = [row.value for row in all_rows if row.kind == "float"]
    helps = float_findings(all_rows, "int8", elsewhere={"other": frozenset()})
    same = float_findings(all_rows, "int8", elsewhere={"other": frozenset({value})})
    assert "backend='other'" in [r.python for r in helps[0].remedy]
    assert "backend='other'" not in [r.python for r in same[0].remedy]


REPLACED = {
    "layer_norm": (nn.LayerNorm([8, 8]), nn.BatchNorm2d(8)),
    "group_norm": (nn.GroupNorm(2, 8), nn.BatchNorm2d(8)),
    "abs": (Does(torch.abs), Does(lambda x: torch.relu(x) + torch.relu(-1.0 * x))),
    "neg": (Does(torch.neg), Does(lambda x: -1.0 * x)),
    "maximum": (
        Does(lambda x: torch.maximum(x, x.flip(2))),
        Does(lambda x: torch.relu(x - x.flip(2)) + x.flip(2)),
    ),
    "minimum": (
        Does(lambda x: torch.minimum(x, x.flip(2))),
        Does(lambda x: x.flip(2) - torch.relu(x.flip(2) - x)),
    ),
    "sum": (
        Does(lambda x: x + x.sum((2, 3), keepdim=True)),
        Does(lambda x: x + x.mean((2, 3), keepdim=True) * 64),
    ),
    "amax": (
        Does(lambda x: x + x.amax((2, 3), keepdim=True)),
        Does(lambda x: x + nn.functional.max_pool2d(x, 8)),
    ),
    "upsample_bilinear2d": (
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Upsample(scale_factor=2, mode="nearest"),
    ),
    "softmax": (nn.Softmax(1), nn.Identity()),
    "log_softmax": (nn.LogSoftmax(1), nn.Identity()),
}


@pytest.mark.parametrize("name", sorted(REPLACED))
def test_what_is_advised_instead_runs_on_integers(name):
    before, after = REPLACED[name]
    assert replacement(name)
    assert any(row.kind == "float" for row in rows(Net(before)))
    assert [short_name(row.operator) for row in rows(Net(after)) if row.kind == "float"] == []


def row(value, kind="float", *, makes="", inputs=(), reason=""):
    operator = f"aten.{value.rstrip('_0123456789')}.default"
    return ValueRow(value, makes or value, operator, kind, reason=reason, inputs=inputs)


def test_what_rounding_would_lose_is_the_root_of_what_reads_it():
    lacks = "its weight {} has no quantization parameters"
    values = (
        row("conv2d", "integer", makes="relu"),
        row("conv2d_1", makes="relu_1", inputs=("relu",), reason=lacks.format("p_second")),
        row("relu_1", "folded", inputs=("conv2d_1",)),
        row("conv2d_2", inputs=("relu_1",), reason=lacks.format("p_third")),
        row("mean", inputs=("conv2d_2",), reason="conv2d_2 has no quantization parameters"),
    )
    found = float_findings(values, "int8", left={"relu_1": "-1.4 dB are left of it"}, wide=True)
    root = "rounding would lose it: -1.4 dB are left of it"
    assert [f.title for f in found] == [
        f"conv2d is float: {root}",
        f"conv2d is float: it reads what conv2d makes, which is float: {root}",
        f"mean is float: it reads what conv2d makes, which is float: {root}",
    ]
    assert found[0].remedy[0].python == "quantization={'overrides': {'relu_1': {'bits': 16}}}"
    assert found[1].remedy == ()


def test_names_do_not_part_equal_reasons():
    lacks = "its weight {} has no quantization parameters"
    values = [row(f"conv2d_{i}", reason=lacks.format(f"p_{i}")) for i in range(3)]
    (finding,) = float_findings(values, "int8")
    assert finding.title == "3 × conv2d are float: its weight has no quantization parameters"


def test_reasons_of_quantization_come_from_the_history():
    history = [{"name": "quantize", "effect": {"float": {"relu": "why"}}}, {"name": "other"}]
    assert left_in_float(history) == {"relu": "why"}
    assert left_in_float(None) == {}
