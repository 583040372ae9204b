"""What a report tells: gathered from what a bundle says of itself."""

from __future__ import annotations

import pytest

from edgeopt.errors import InputError
from edgeopt.reporting import gather
from edgeopt.testing.deep_report import deep_report

LATENCY = {"median_ms": 2.0, "min_ms": 1.9, "iqr_ms": 0.1, "runs": 100}


def accuracy(**fields):
    plain = {
        "kind": "accuracy",
        "value": 0.85,
        "float_value": 0.9,
        "samples": 16,
        "inputs": "held back",
    }
    return {**plain, **fields}


def parity(cosine=1.0):
    output = {
        "output": "y",
        "samples": 16,
        "cosine_min": cosine,
        "cosine_mean": cosine,
        "snr_db": 60.0 if cosine == 1 else 5.0,
        "max_error": 0.0,
    }
    return {"outputs": [output], "samples": 16, "inputs": "held back", "where": "here"}


def speed(value, verdict):
    return {
        "precision": "int8",
        "latency": LATENCY,
        "float_latency": {**LATENCY, "median_ms": 2.0 / value},
        "ratio": {"value": value, "low": value - 0.1, "high": value + 0.1, "verdict": verdict},
        "threads": 1,
        "machine": "a CPU",
        "on_target": False,
        "reasons": ["the processor lacks VNNI"] if verdict == "slower" else [],
    }


BASE = {
    "target": "rpi4",
    "backend": "tflite",
    "precision": "int8",
    "size_bytes": 100,
    "float_size_bytes": 390,
}


def test_the_verdict_says_accuracy_size_and_speed_in_one_sentence():
    report = gather({**BASE, "accuracy": accuracy(), "speed": speed(0.5, "faster")})
    assert report.verdict == (
        "Passes: int8 on rpi4; the score falls by 0.05, from float's 0.9 to 0.85; 3.9 times smaller than the float "
        "weights; 2.00 times as fast as float32 on the machine it was made on, not the target."
    )
    assert report.state == "good"


def test_what_falls_short_says_so_first():
    report = gather({**BASE, "accuracy": accuracy(max_drop=0.01)})
    assert report.state == "bad"
    assert report.verdict.startswith("Falls short: int8 on rpi4 loses more than was asked")
    figure = next(one for one in report.figures if one.title == "Accuracy")
    assert figure.state == "bad"


def test_an_artefact_that_computes_something_else_falls_short():
    report = gather({**BASE, "parity": parity(0.5)})
    assert report.state == "bad"
    assert "does not compute what the program does" in report.verdict
    assert report.findings[0].title == "Parity fails"


def test_what_was_not_compared_passes_nothing():
    report = gather(BASE)
    assert report.state == "unknown"
    assert report.verdict.startswith("Not checked")


@pytest.mark.parametrize(
    ("size", "words"),
    [(100, "3.9 times smaller"), (390, "as large as"), (780, "2.0 times larger")],
    ids=["smaller", "equal", "larger"],
)
def test_size_beside_float_is_called_what_it_is(size, words):
    report = gather({**BASE, "size_bytes": size})
    assert words in report.verdict
    assert ("Larger than float" in [one.title for one in report.findings]) is (size > 390)


def test_slower_than_float_is_a_finding_with_its_reason():
    report = gather({**BASE, "accuracy": accuracy(), "speed": speed(1.5, "slower")})
    finding = next(one for one in report.findings if one.title == "Slower than float")
    assert finding.evidence == ("the processor lacks VNNI",)
    assert "slower: 1.50 times the time of float32" in report.verdict


def test_an_interval_stands_beside_the_figure_and_where_it_was_measured():
    report = gather({**BASE, "speed": speed(0.5, "faster")})
    figure = next(one for one in report.figures if one.title == "Speed beside float")
    assert figure.interval == "95 % interval 0.400 to 0.600"
    assert "a CPU, host, not the target; 1 threads; medians of 100 runs" in figure.source


def value(name, **fields):
    return {
        "value": name,
        "makes": name,
        "operator": "aten.conv2d.default",
        "kind": "integer",
        **fields,
    }


def test_an_activation_that_a_kernel_applies_is_no_layer_of_its_own():
    values = [
        value("conv", makes="relu", inputs=["x"], shape=[1, 8]),
        value("relu", kind="folded", inputs=["conv"], shape=[1, 8]),
        value("next", inputs=["relu"], shape=[1, 4]),
    ]
    statistics = [{"value": "relu", "low": 0.0, "high": 6.0, "elements": 8, "snr_db": 30.5}]
    report = gather({**BASE, "values": values, "statistics": statistics})
    assert [(one.value, one.makes, one.inputs) for one in report.layers] == [
        ("conv", "relu", ()),
        ("next", "next", (0,)),
    ]
    assert report.layers[0].snr_db == 30.5
    assert report.layers[1].snr_db is None


def test_memory_keeps_each_value_until_its_last_reader():
    values = [
        value("a", shape=[1, 256]),
        value("b", inputs=["a"], shape=[1, 512]),
        value("c", inputs=["b"], shape=[1, 128]),
        value("d", inputs=["a", "c"], shape=[1, 1]),
    ]
    statistics = [
        {"value": name, "low": 0.0, "high": 1.0, "elements": 1, "storage": "int8"}
        for name in "abcd"
    ]
    memory = gather({**BASE, "values": values, "statistics": statistics}).memory
    assert [one.size_bytes for one in memory.moments] == [256, 768, 896, 385]
    assert memory.moments[2].largest == "b"
    assert "computed" in memory.source.lower()


def test_work_stands_for_time_where_nobody_timed_and_says_so():
    report = gather({**BASE, "values": [value("a", macs=5), value("b", macs=0)]})
    assert [one.amount for one in report.operators] == [5]
    assert report.unit == "multiply-adds"
    assert "work, not time" in report.operators_source


def test_a_deep_network_keeps_all_of_its_calls():
    report = gather(deep_report(2000))
    assert len(report.layers) == 2000
    assert report.layers[9].inputs == (8, 0)
    assert report.findings


def test_poor_and_clipped_values_are_named_with_what_to_type():
    values = [value("a", source="net.py:7", module="head")]
    statistics = [
        {"value": "a", "low": -9.0, "high": 9.0, "elements": 8, "snr_db": 11.0, "storage": "int8"}
        | {"grid_low": -4.0, "grid_high": 4.0, "scale": 0.03, "zero_point": 0, "clipped": 0.02}
    ]
    findings = {
        one.title: one
        for one in gather({**BASE, "values": values, "statistics": statistics}).findings
    }
    poor = findings["Values that rounding changes most"]
    assert poor.evidence == ("a (aten.conv2d.default head net.py:7): 11.0 dB",)
    assert poor.remedy[0].startswith("quantization={'keep_float': ['a']}")
    assert "2.00% beyond -4 to 4" in findings["Values that are clipped"].evidence[0]


def test_what_was_explained_when_the_bundle_was_made_is_shown_in_place_of_what_layers_tell():
    loss = {
        "kind": "loss",
        "title": "a loses most",
        "sentences": ["Rounded, it keeps 11 dB.", "Much is cut off."],
        "evidence": [{"what": "gain", "value": 8.25, "unit": "dB", "basis": "measured"}],
        "remedy": [{"what": "Keep it.", "python": "keep_float=['a']", "flags": "--set x"}],
    }
    in_float = {"kind": "float", "title": "a is float"}
    values = [value("a"), value("b", kind="float")]
    statistics = [
        {"value": "a", "low": -9.0, "high": 9.0, "elements": 8, "snr_db": 11.0, "storage": "int8"}
    ]
    plain = {**BASE, "values": values, "statistics": statistics, "findings": [in_float, loss]}
    shown = gather(plain).findings
    assert [one.title for one in shown] == ["a loses most", "a is float"]
    assert shown[0].sentence == "Rounded, it keeps 11 dB. Much is cut off."
    assert shown[0].evidence == ("gain: 8.25 dB (measured)",)
    assert shown[0].remedy == ("Keep it. keep_float=['a']",)
    titles = [one.title for one in gather({**plain, "findings": []}).findings]
    assert titles == ["Values that rounding changes most", "Operators in float"]


@pytest.mark.parametrize(
    "plain",
    [
        {"values": "many"},
        {"statistics": [{"value": 3}]},
        {"accuracy": {"kind": "luck"}},
        {"findings": [{"kind": "luck"}]},
    ],
    ids=["values", "statistics", "accuracy", "findings"],
)
def test_what_is_no_report_is_refused(plain):
    with pytest.raises(InputError):
        gather({**BASE, **plain})


def test_each_further_program_is_judged_and_one_that_fails_fails_the_whole():
    good = {"method": "encode", "shapes": [[1, 8]], "parity": parity(), "accuracy": accuracy()}
    bad = {"method": "decode", "shapes": [[1, 8], [2]], "parity": parity(0.5), "accuracy": None}
    report = gather({**BASE, "accuracy": accuracy(), "programs": [good, bad]})
    states = {one.title: one.state for one in report.figures if one.title.startswith("Program")}
    assert states == {"Program 2: encode 1×8": "good", "Program 3: decode 1×8, 2": "bad"}
    assert report.state == "bad"
    assert report.verdict.startswith("Falls short")


def test_warnings_of_times_count_too():
    profile = {"device": "pi4", "runs": 5, "warnings": ["busy", "hot"]}
    report = gather({**BASE, "accuracy": accuracy(), "warnings": ["busy"], "profile": profile})
    assert report.warnings == ("busy", "hot")
    assert report.state == "warning"
    assert "with 2 warnings" in report.verdict


def test_of_a_microcontroller_flash_counts_and_not_the_size_of_sources():
    moments = [
        {
            "operator": "a",
            "tensors": [{"name": "a", "size_bytes": 2048}, {"name": "x", "size_bytes": 512}],
        }
    ]
    use = {"flash_bytes": 14_000, "ram_bytes": 10_240, "moments": moments, "notes": ["in strips"]}
    memory = {"use": use, "limits": {"flash_kb": 1024, "ram_kb": 252, "arena_kb": 252}}
    report = gather({**BASE, "size_bytes": 9000, "accuracy": accuracy(), "memory": memory})
    assert "it takes 13.7 KiB of flash and 10.0 KiB of RAM" in report.verdict
    assert "Larger than float" not in [one.title for one in report.findings]
    assert [(one.size_bytes, one.largest) for one in report.memory.moments] == [(2560, "a")]
    assert report.memory.limit_bytes == 252 * 1024
    assert report.memory.notes == ("in strips",)
