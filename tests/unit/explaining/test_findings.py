"""Structs of an explanation: they go through JSON unchanged, and read as text."""

import json

import pytest

from edgeopt.errors import BundleError, InputError
from edgeopt.explaining import (
    AttributionAgreement,
    Evidence,
    Explanation,
    Finding,
    Interval,
    Remedy,
    SampleDifference,
    Score,
    explanation_lines,
    findings_of,
)

FINDING = Finding(
    kind="float",
    title="2 softmaxes are float",
    sentences=("No runtime has an integer kernel for them.",),
    evidence=(Evidence("share of the operators' time", 3.2, "%", "net.py:7", "measured"),),
    remedy=(Remedy("Keep it.", "precision='int8'", "-p int8"),),
    nodes=("softmax", "softmax_1"),
)
AGREEMENT = AttributionAgreement(
    step="int8",
    method="Occlusion",
    regions=49,
    samples=8,
    rank_correlation=Interval(0.93, 0.9, 0.95),
    top_overlap=Interval(0.8, 0.7, 0.9),
    top=5,
    floor="1 % of noise",
    floor_rank_correlation=Interval(0.99, 0.98, 0.995),
    floor_top_overlap=Interval(0.95, 0.9, 1.0),
    chance_rank_correlation=0.2,
)
WHOLE = Explanation(
    target="host",
    backend="tflite",
    precision="int8",
    findings=(FINDING,),
    worst_samples=(SampleDifference(3, 12.5, False, (Score("cat", 0.7),), (Score("dog", 0.5),)),),
    attributions=(AGREEMENT,),
    notes=("there is more",),
)


def test_through_json_and_back():
    assert Explanation.from_dict(json.loads(json.dumps(WHOLE.to_dict()))) == WHOLE


def test_findings_of_a_report():
    plain = json.loads(json.dumps(WHOLE.to_dict()))["findings"]
    assert findings_of(plain, where="bundle") == (FINDING,)
    assert findings_of(None, where="bundle") == ()


@pytest.mark.parametrize("plain", [{"kind": "float"}, [{"kind": "strange", "title": "x"}], 7])
def test_what_is_no_finding_is_refused(plain):
    with pytest.raises(BundleError, match="bundle"):
        findings_of(plain, where="bundle", error=BundleError)


def test_another_dictionary_is_refused():
    with pytest.raises(InputError):
        Explanation.from_dict({"target": 3})


def test_the_text_holds_every_answer_and_fits_80_columns():
    text = str(WHOLE)
    for part in (
        "Why is something float?",
        "2 softmaxes are float",
        "net.py:7: 3.2 % (measured)",
        "precision='int8'",
        "input 3: 12.5 dB ANOTHER CLASS; float cat 0.7; compressed dog 0.5",
        "rank correlation 0.930 [0.900, 0.950]",
        "two different inputs",
        "note: there is more",
    ):
        assert part in " ".join(text.split()), part
    assert max(map(len, text.splitlines())) <= 80


def test_the_command_line_gets_flags():
    typed = [line.text for line in explanation_lines(WHOLE, typed="flags") if line.role == "typed"]
    assert typed == ["-p int8"]


def test_below_the_floor_is_told_apart():
    assert not AGREEMENT.within_floor
