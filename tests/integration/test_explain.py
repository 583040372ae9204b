"""Real backends: why float, how fast, what loses, which inputs, what it looks at; and remedies that help."""

from __future__ import annotations

import ast

import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.explaining import Explanation, findings_of

pytestmark = pytest.mark.slow


class Net(nn.Module):
    """A gelu, which OpenVINO computes in float, and channels of unlike size."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 1)
        self.third, self.head = nn.Conv2d(16, 16, 1), nn.Linear(16, 10)

    def forward(self, x):
        x = nn.functional.gelu(self.first(x))
        x = torch.relu(self.second(x))
        x = torch.relu(self.third(x))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = Net().eval()
    with torch.no_grad():
        made.second.weight[0] *= 30
        made.second.bias[0] *= 30
        made.third.weight[:, 0] /= 30
    return made


DATA = [torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(i)) for i in range(28)]
HOW = {
    "example_inputs": DATA[0],
    "calibration_data": DATA,
    "precision": "int8",
    "calibration": {"ranges": "minmax"},
}
SETTINGS = {"rounding": "nearest", "equalization": "off"}


def settings(remedy):
    return ast.literal_eval(remedy.python.partition("=")[2])


@pytest.fixture(scope="module", params=["tflite", "openvino"])
def explained(request, model, tmp_path_factory):
    pytest.importorskip(f"edgeopt_{request.param}")
    folder = tmp_path_factory.mktemp(request.param)
    explanation = edgeopt.explain(
        model, "host", backend=request.param, attributions=2, output=folder,
        quantization=SETTINGS, **HOW,
    )  # fmt: skip
    return request.param, explanation, folder


def test_every_question_is_answered(explained):
    backend, explanation, folder = explained
    assert (explanation.backend, explanation.precision) == (backend, "int8")
    assert {f.kind for f in explanation.findings} >= {"speed", "loss", "input"}
    assert explanation.notes == ()
    (speed,) = explanation.of_kind("speed")
    assert any(e.basis == "measured" and e.unit == "ms" for e in speed.evidence)
    assert len(explanation.attributions) == 1
    agreement = explanation.attributions[0]
    assert -1 <= agreement.rank_correlation.mean <= 1
    assert agreement.floor_rank_correlation.mean > 0.9
    assert all((folder / name).stat().st_size > 1000 for name in agreement.pictures)
    assert Explanation.from_dict(explanation.to_dict()) == explanation


def test_keeping_the_worst_value_in_float_helps_as_was_measured(explained, model):
    backend, explanation, _ = explained
    culprit, *_ = explanation.of_kind("loss")
    gain = {e.what: e.value for e in culprit.evidence}["compiled so: gain at the outputs"]
    assert gain > 3
    keep = settings(culprit.remedy[0])
    done = [
        edgeopt.deploy(
            model, "host", backend=backend, checks={"speed": False},
            quantization={**SETTINGS, **extra}, **HOW,
        ).accuracy.snr_db
        for extra in ({}, keep)
    ]  # fmt: skip
    assert done[1] - done[0] == pytest.approx(gain, abs=1.0)


def test_what_is_float_says_why_and_another_backend_has_an_integer_kernel(explained, model):
    backend, explanation, _ = explained
    if backend == "tflite":
        assert explanation.of_kind("float") == ()
        return
    (gelu,) = [f for f in explanation.of_kind("float") if f.title.startswith("gelu")]
    assert "OpenVINO's CPU plugin" in gelu.title
    assert "backend='tflite'" in [remedy.python for remedy in gelu.remedy]
    unrounded = edgeopt.explain(
        model, "host", backend=backend, attributions=0, measure=False,
        quantization={**SETTINGS, "real_sums": "functions"}, **HOW,
    )  # fmt: skip
    (gelu,) = [f for f in unrounded.of_kind("float") if f.title.startswith("gelu")]
    assert "on the unrounded sums of conv2d" in gelu.title
    assert "quantization={'real_sums': 'off'}" in [remedy.python for remedy in gelu.remedy]
    other = edgeopt.deploy(
        model, "host", backend="tflite", checks={"speed": False}, quantization=SETTINGS, **HOW
    )
    assert other.support.count("float") == 0


def test_a_bundle_holds_what_needs_no_clock_and_answers_beside_its_model(
    explained, model, tmp_path
):
    backend, explanation, _ = explained
    done = edgeopt.deploy(
        model, "host", backend=backend, checks={"speed": False}, output=tmp_path / "bundle",
        quantization=SETTINGS, **HOW,
    )  # fmt: skip
    stored = findings_of(done.bundle.report["findings"], where="report.json")
    assert {f.kind for f in stored} >= {"loss", "input"}
    assert not any(e.unit == "ms" for f in stored for e in f.evidence)
    alone = edgeopt.explain(done.bundle, attributions=0)
    assert alone.of_kind("speed")
    assert alone.of_kind("loss")[0].nodes == explanation.of_kind("loss")[0].nodes
    beside = edgeopt.explain(
        tmp_path / "bundle", beside_float=model, example_inputs=DATA[0],
        calibration_data=DATA[20:24], attributions=1,
    )  # fmt: skip
    assert len(beside.worst_samples) == 4
    assert len(beside.attributions) == 1
    wide = edgeopt.compile(edgeopt.capture(model, DATA[0]), "host", backend=backend)
    timed = edgeopt.explain(done.bundle, beside_float=wide)
    assert any("float32" in f.title for f in timed.of_kind("speed"))


def test_what_quantization_left_in_float_is_said_with_its_reason():
    torch.manual_seed(0)
    loud = Net().eval()
    with torch.no_grad():
        loud.second.weight[0] *= 300
        loud.second.bias[0] *= 300
        loud.third.weight[:, 0] /= 300
    done = edgeopt.deploy(
        loud, "host", backend="tflite", checks={"speed": False}, quantization=SETTINGS, **HOW
    )
    stored = findings_of(done.bundle.report["findings"], where="report.json")
    titles = [f.title for f in stored if f.kind == "float"]
    assert any(title.startswith("conv2d is float: rounding would lose it: ") for title in titles)
    assert any("it reads what conv2d makes, which is float" in title for title in titles)


def test_gradients_through_integers(model):
    explanation = edgeopt.explain(
        model, "host", backend="reference", attributions=1, method="integrated-gradients",
        measure=False, beside={"itself": model}, quantization=SETTINGS, **HOW,
    )  # fmt: skip
    by_step = {one.step: one for one in explanation.attributions}
    assert by_step["itself"].rank_correlation.mean == pytest.approx(1.0)
    assert 0.2 < by_step["int8"].rank_correlation.mean < 1.0
    assert "straight-through" in by_step["int8"].method
