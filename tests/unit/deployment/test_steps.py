"""The chain of steps, called by hand: what `edgeopt.deploy` does, from frozen values to frozen values."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

import edgeopt
import edgeopt.deployment.baseline
from edgeopt.contracts.target import Quantization
from edgeopt.deployment import Request, steps
from edgeopt.deployment.build import build
from edgeopt.errors import InputError
from edgeopt.gate.float_program import float_program
from edgeopt.options import CompileOptions
from edgeopt.reference_backend import ReferenceBackend
from edgeopt.registry import detect_host, find_target


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.conv(x).relu().mean((2, 3)))


@pytest.fixture(scope="module")
def model():
    return Model().eval()


@pytest.fixture(scope="module")
def data():
    torch.manual_seed(1)
    return [torch.randn(1, 3, 8, 8) for _ in range(24)]


@pytest.fixture
def request_(data):
    return Request(backend="reference", calibration_data=data, example_inputs=data[0])


def chained(model, request):
    job = steps.plan(model, "host", request)
    baseline = steps.baseline(model, job)
    source = steps.source(job, baseline)
    candidate = steps.quantize(job, source)
    build = steps.compile(job, candidate)
    return job, baseline, source, candidate, steps.check(job, candidate, build, baseline)


def test_the_steps_by_hand_are_a_deployment(model, data, request_):
    job, baseline, _, _, checked = chained(model, request_)
    by_hand = steps.bundle(job, checked, baseline)
    done = edgeopt.deploy(
        model, "host", backend="reference", calibration_data=data, example_inputs=data[0]
    )
    assert by_hand.program.digest == done.program.digest
    assert by_hand.parity == done.parity
    assert by_hand.accuracy == done.accuracy
    assert by_hand.warnings == done.warnings
    assert by_hand.bundle.manifest.files.keys() == done.bundle.manifest.files.keys()


def test_every_value_is_frozen(model, request_):
    for value in chained(model, request_):
        name = dataclasses.fields(value)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, None)


def test_one_baseline_serves_every_candidate(model, data, request_, monkeypatch):
    runs, scores = [], []
    run_all = edgeopt.deployment.baseline.run_all
    monkeypatch.setattr(
        edgeopt.deployment.baseline, "run_all", lambda *a, **k: runs.append(1) or run_all(*a, **k)
    )

    def evaluate(function):
        scores.append(function)
        return float(sum(function(x).sum() for x in data[:2]))

    request = request_.replace(evaluate=evaluate, max_drop=1e6)
    job, baseline, source, _, first = chained(model, request)
    for precision in ("float16", "float32"):
        candidate = steps.quantize(job, source, precision, {"precision": precision})
        again = steps.check(job, candidate, steps.compile(job, candidate), baseline)
        assert again.gate.accuracy.float_value == first.gate.accuracy.float_value
        assert again.candidate.program.precision == precision
    assert len(runs) == 1
    assert len(scores) == 1 + 3


def test_a_candidate_is_made_once(model, request_):
    job, _, source, candidate, _ = chained(model, request_)
    assert steps.quantize(job, source).program is candidate.program
    other = steps.quantize(job, source, "int8", {**job.plan.quantization, "keep_float": ["*"]})
    assert other.program is not candidate.program


def test_a_quantized_program_is_its_only_candidate(model, data, request_):
    program = edgeopt.quantize(model, data, example_inputs=data[0])
    job, baseline, source, candidate, checked = chained(program, request_)
    assert candidate.program is program
    assert source.sensitivities(candidate) == ()
    assert baseline.program.precision == "float32"
    assert not baseline.program.quant
    assert steps.report(job, checked, baseline).attempts == ()


def test_what_is_compared_with_stays_when_another_program_is_deployed(model, data, request_):
    program = edgeopt.capture(model, data[0])
    torch.manual_seed(9)
    other = nn.Sequential(nn.Flatten(), nn.Linear(192, 4)).eval()
    job = steps.plan(other, "host", request_)
    baseline = steps.baseline(model, job, program)
    assert job.program.digest != program.digest
    assert baseline.program.digest == program.digest
    wanted = model(torch.from_numpy(baseline.samples.checks[0][0])).detach().numpy()
    np.testing.assert_allclose(baseline.outputs[0][0], wanted, atol=1e-5)


def test_a_float_program_is_its_own(model, data):
    program = edgeopt.capture(model, data[0])
    assert float_program(program) is program


def test_without_a_model_there_is_nothing_to_plan():
    with pytest.raises(InputError, match="no model"):
        steps.plan(None, "host", Request(backend="reference"))


def test_without_evaluate_there_is_no_score(model, request_):
    job = steps.plan(model, "host", request_)
    with pytest.raises(InputError, match="no score"):
        _ = steps.baseline(model, job).score


def test_what_would_saturate_here_is_not_run_here(model, data, monkeypatch):
    """A machine without VNNI computes other numbers than the device with it would."""
    target, program = find_target("nuc-12"), edgeopt.quantize(model, data, example_inputs=data[0])
    here = msgspec.structs.replace(detect_host(), quantization=Quantization(weight_bits=7))
    monkeypatch.setattr("edgeopt.deployment.build.detect_host", lambda: here)

    class Saturating(ReferenceBackend):
        saturates = True

    def reason(program, backend, target=target):
        return build(program, target, backend, options=CompileOptions()).not_here

    assert "saturate on this machine" in reason(program, Saturating())
    assert not reason(program, ReferenceBackend())
    narrow = edgeopt.quantize(model, data, example_inputs=data[0], weight_bits=7)
    assert not reason(narrow, Saturating())
    assert not reason(program, Saturating(), here)
