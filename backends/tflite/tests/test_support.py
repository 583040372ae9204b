"""The support report: what is refused, and why."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgeopt.errors import UnsupportedError
from edgeopt.options import CompileOptions
from edgeopt_tflite.emitter import Emitter

REFUSED = {
    "inverse": (lambda x: torch.linalg.inv_ex(x[..., :5])[0], "linalg", "knows"),
    "gamma": (torch.lgamma, "lgamma", "knows"),
    "double": (lambda x: (x.double() * 2).float(), "", "float64"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_operator_reason_and_line(backend, target, program_of, name):
    function, operator, reason = REFUSED[name]
    program, _ = program_of(function, torch.randn(1, 2, 5, 6))
    report = backend.support(program, target)
    assert not report.ok
    assert any(part in n.reason for n in report.unsupported for part in reason.split("|"))
    assert any(part in n.operator for n in report.unsupported for part in operator.split("|"))
    assert all(re.fullmatch(r"\w+\.py:\d+", n.source) for n in report.unsupported)
    with pytest.raises(UnsupportedError) as caught:
        backend.compile(backend.lower(program, target), CompileOptions())
    assert caught.value.report == report
    assert report.unsupported[0].source in str(caught.value)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (torch.abs, "ABS takes float32, int32, here int64"),
        (lambda x: x.argmax(-1), "ARG_MAX takes"),
        (lambda x: x @ x.mT, "BATCH_MATMUL takes float32, here int64"),
    ],
)
def test_integers_that_a_kernel_lacks_are_refused(backend, target, program_of, function, reason):
    program, _ = program_of(function, torch.arange(6).reshape(2, 3))
    (refused,) = backend.support(program, target).unsupported
    assert reason in refused.reason


def test_a_product_with_a_computed_matrix_needs_no_bias(backend, target, program_of):
    program, _ = program_of(functional.linear, torch.randn(3), torch.randn(4, 3))
    assert backend.support(program, target).ok


def test_all_refusals_are_found_at_once(backend, target, program_of):
    program, _ = program_of(
        lambda x: torch.special.bessel_j0(torch.special.bessel_j1(x)), torch.randn(3)
    )
    report = backend.support(program, target)
    assert [n.operator for n in report.unsupported] == [
        "aten.special_bessel_j1.default", "aten.special_bessel_j0.default",
    ]  # fmt: skip


def test_why_a_node_of_an_int8_program_is_float(backend, target, program_of):
    layers = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Softmax(-1))
    program, _ = program_of(layers, torch.randn(2, 8), precision="int8")
    verdicts = {n.operator: n for n in backend.support(program, target).nodes}
    assert verdicts["aten.linear.default"].verdict == "integer"
    assert verdicts["aten.layer_norm.default"].verdict == "float"
    assert verdicts["aten.softmax.int"].verdict == "float"
    assert verdicts["aten.softmax.int"].reason == "no integer kernel"


def test_attention_is_float_for_the_reason_all_backends_give(backend, target, program_of):
    x = torch.randn(1, 2, 4, 8)
    program, _ = program_of(lambda x: functional.scaled_dot_product_attention(x, x, x), x)
    (node,) = backend.support(program, target).nodes
    assert (node.verdict, node.reason) == ("float", "the precision is float32")


def test_the_table_covers_what_programs_are_made_of():
    names = {str(target) for target in Emitter.rules}
    assert len(names) > 90
    assert {"aten.conv2d.default", "aten.linear.default", "aten.layer_norm.default"} <= names
