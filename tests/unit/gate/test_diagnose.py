from __future__ import annotations

import pytest

from edgeopt.contracts import NodeSupport, SupportReport
from edgeopt.gate.diagnose import UNEXPLAINED, diagnose, float_share, missing_isa, slow_reasons
from edgeopt.registry import find_target

REPORT = SupportReport(
    "tflite",
    "rpi5",
    (
        NodeSupport("conv", "aten.conv2d.default", "integer"),
        NodeSupport("norm", "aten.layer_norm.default", "float", "normalizes", "net.py:7", "n"),
        NodeSupport("view", "aten.reshape.default", "folded"),
    ),
)


@pytest.mark.parametrize(
    ("target", "lacks"),
    [("rpi4", "dotprod"), ("rpi5", None), ("generic-x86-64-v3", "VNNI"), ("xeon-spr", None)],
)
def test_missing_instructions_are_named(target, lacks):
    found = missing_isa(find_target(target))
    assert bool(found) == bool(lacks)
    assert not lacks or lacks in found[0]


def test_a_slow_artefact_gets_every_reason():
    reasons = slow_reasons(find_target("rpi4"), REPORT, {"QUANTIZE": 3, "DEQUANTIZE": 2}, 0.05)
    text = "; ".join(reasons)
    assert "1 operators run in float (50 %)" in text
    assert "net.py:7" in text
    assert "5 conversions" in text
    assert "dotprod" in text
    assert "so small" in text


def test_conversions_at_the_edges_are_no_reason():
    assert slow_reasons(find_target("rpi5"), None, {"QUANTIZE": 1, "DEQUANTIZE": 1}, 5.0) == (
        UNEXPLAINED,
    )


def test_views_do_not_count_for_the_share_in_float():
    assert float_share(REPORT) == 0.5
    assert float_share(None) == 0.0


def test_float_programs_have_nothing_left_in_float():
    found = diagnose(find_target("rpi4"), precision="float16", support=REPORT)
    assert found.in_float == ()
    assert found.missing_isa == ()


def test_operators_in_float_are_listed():
    text = str(diagnose(find_target("rpi5"), precision="int8", support=REPORT))
    assert "operators left in float (1):" in text
    assert "norm (aten.layer_norm.default at net.py:7): normalizes" in text
