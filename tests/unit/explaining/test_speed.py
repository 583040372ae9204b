"""How fast it is beside float, in sentences, from measurements that are given."""

from __future__ import annotations

from edgeopt.explaining.speed import speed_finding, structure_finding
from edgeopt.gate.speed import Speed
from edgeopt.measure import Latency
from edgeopt.measure.statistics import Ratio
from edgeopt.registry import find_target

HOST, PI = find_target("host"), find_target("rpi4")


def speed(value, verdict, *, reasons=()):
    one = Latency(value, value, 0.1, 100)
    other = Latency(1.0, 1.0, 0.1, 100)
    ratio = Ratio(value, value - 0.01, value + 0.01, verdict)
    return Speed("int8", one, other, ratio, 1, "cpu", on_target=True, reasons=reasons)


def test_slower_says_why_and_what_to_type():
    finding = speed_finding("int8", HOST, speed=speed(1.25, "slower", reasons=("8 conversions",)))
    assert "1.25 times the time of float32" in finding.title
    assert finding.sentences == ("8 conversions.",)
    assert finding.remedy[0].flags == "--precision float32"
    assert {e.value for e in finding.evidence if e.unit == "ms"} == {1.25, 1.0}


def test_faster_advises_no_other_precision():
    finding = speed_finding("int8", HOST, speed=speed(0.5, "faster"))
    assert "2.00 times as fast" in finding.title
    assert finding.remedy == ()


def test_no_difference_is_said_so():
    assert "not told apart" in speed_finding("int8", HOST, speed=speed(1.0, "no difference")).title


def test_nothing_measured_is_no_finding():
    assert speed_finding("int8", HOST) is None


def test_structure_tells_conversions_and_missing_instructions():
    finding = structure_finding("int8", {"QUANTIZE": 4, "DEQUANTIZE": 4, "CONV_2D": 3}, PI)
    assert "8 conversions" in finding.sentences[0]
    assert any("dotprod" in text for text in finding.sentences)
    assert {e.basis for e in finding.evidence} == {"counted", "described"}
    assert structure_finding("float32", {"QUANTIZE": 9}, PI) is None
