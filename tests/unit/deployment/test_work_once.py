"""How often a deployment does what need be done once only: counted in one real `deploy`."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import edgeopt
import edgeopt.deployment.build
import edgeopt.deployment.gates
import edgeopt.deployment.steps
import edgeopt.ir.edit
import edgeopt.quantization.pipeline
from edgeopt.data.binder import Binder
from edgeopt.reference_backend import ReferenceBackend

SAMPLES = 24


class Model(nn.Module):
    """Has something for several core passes, and nothing for the others."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(nn.functional.silu(self.norm(self.conv(x))).mean((2, 3)))


@pytest.fixture
def count(monkeypatch):
    """Returns a function that counts the calls of an attribute; it stays as it is."""

    def counted(owner, name):
        calls = []
        original = getattr(owner, name)

        def call(*args, **kwargs):
            calls.append(args)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)
        return calls

    return counted


@pytest.fixture
def data():
    torch.manual_seed(0)
    return [torch.randn(1, 3, 8, 8) for _ in range(SAMPLES)]


def deploy(data, **options):
    torch.manual_seed(0)
    return edgeopt.deploy(
        Model().eval(),
        "host",
        backend="reference",
        example_inputs=data[0],
        calibration_data=data,
        **options,
    )


def test_a_graph_is_copied_once_a_change_and_each_sample_bound_once(count, data):
    copies = count(edgeopt.ir.edit, "copy_graph")
    bound = count(Binder, "bind")
    compiled = count(ReferenceBackend, "compile")
    done = deploy(data, checks={"samples": 4})
    changes = [step.name for step in done.program.history]
    assert len(changes) >= 5
    # Each entry of the history is one change; the artefact that is run is read from its file.
    loaded = len(compiled)
    assert len(copies) == len(changes) + loaded, changes
    assert len(bound) == SAMPLES


def test_samples_are_read_no_further_than_they_are_needed(count):
    taken = []

    def stream():
        while True:
            taken.append(1)
            yield torch.randn(1, 3, 8, 8)

    bound = count(Binder, "bind")
    data = stream()
    edgeopt.deploy(
        Model().eval(),
        "host",
        backend="reference",
        example_inputs=torch.randn(1, 3, 8, 8),
        calibration_data=data,
        calibration={"max_samples": 10},
        checks={"samples": 3},
    )
    assert len(taken) == len(bound) == 13


def test_a_model_is_written_and_compiled_once_a_precision(count, data):
    written = count(ReferenceBackend, "lower")
    compiled = count(ReferenceBackend, "compile")
    deploy(data)
    # The float program once, when the backend is chosen, and the quantized one once.
    assert [program.precision for _, program, *_ in written] == ["float32", "int8"]
    assert len(compiled) == 1


def test_which_outputs_are_values_is_found_once(count, data):
    found = count(edgeopt.deployment.gates, "value_outputs")
    deploy(data, precision="int8", checks={"speed": False})
    assert len(found) == 1


def test_a_program_is_put_into_another_shape_once_a_pass(count, data):
    views = count(edgeopt.quantization.pipeline, "views_of")
    deploy(data, precision="int8", checks={"speed": False}, shapes={"batches": (2,)})
    assert len({id(args[0]) for args in views}) == len(views) <= 3


@pytest.mark.parametrize("number", [1, 2])
def test_builds_are_released_where_a_check_fails(count, data, monkeypatch, number):
    """A check that fails by itself, at the first candidate or at a fallback."""
    made = count(edgeopt.deployment.steps, "build")
    closed = count(edgeopt.deployment.build.Build, "close")
    check, checks = edgeopt.deployment.steps.check_build, []

    def fails(*args):
        checks.append(args)
        if len(checks) == number:
            raise OSError("the runtime fell over")
        return check(*args)

    monkeypatch.setattr(edgeopt.deployment.steps, "check_build", fails)
    scores = iter([1.0, 0.0])  # of the float model, and of the first candidate
    with pytest.raises(OSError, match="fell over"):
        deploy(
            data,
            evaluate=lambda fn: fn(data[0]).mean() * 0 + next(scores),
            max_drop=0.1,
            checks={"speed": False},
        )
    assert len(made) == number
    assert len({id(build) for (build,) in closed}) == number
