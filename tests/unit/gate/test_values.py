"""Which outputs are one score a class, and which are values: by what is said, what makes them and what they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.errors import InputError
from edgeopt.gate.metrics import LikenessMeter
from edgeopt.gate.values import value_outputs
from edgeopt.options import BundleOptions, Classification, Detection, Embedding
from edgeopt.passes import run_core


class Ends(nn.Module):
    """A layer of eight numbers, and an end."""

    def __init__(self, end):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.end = nn.Linear(8, 8), end

    def forward(self, x):
        return self.end(self.linear(x))


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 8, batch_first=True)

    def forward(self, x):
        return self.lstm(x[:, None])[0][:, -1]


ENDS = {
    "linear": nn.Identity(),
    "softmax": nn.Softmax(-1),
    "sharp softmax": nn.Sequential(nn.Hardtanh(-1, 1), nn.LayerNorm(8), nn.Linear(8, 8), nn.Softmax(-1)),
    "layer norm": nn.LayerNorm(8),
    "moved": nn.Sequential(nn.Tanh(), nn.Unflatten(1, (2, 4)), nn.Flatten()),
    "recurrent": Cell(),
}  # fmt: skip


def found(model, *, values=(), **bundle):
    program = run_core(edgeopt.capture(model.eval(), torch.randn(1, 8)))
    x = torch.randn(1, 8)
    outputs = [(model(x).detach().numpy(),)]
    names = [spec.name for spec in program.signature.outputs]
    return value_outputs(program, values, BundleOptions(**bundle), outputs) == set(names)


@pytest.mark.parametrize(
    ("end", "are_values"),
    [
        ("linear", False),
        ("softmax", False),
        ("sharp softmax", False),
        ("layer norm", True),
        ("moved", True),
        ("recurrent", True),
    ],
)
def test_what_makes_them_says_it(end, are_values):
    assert found(Ends(ENDS[end])) is are_values


def test_vectors_of_length_one_are_values_and_one_sure_class_is_not():
    class Unit(nn.Module):
        def forward(self, x):
            return x / x.norm(dim=1, keepdim=True)

    class Sure(nn.Module):
        def forward(self, x):
            return (x * 1e4).softmax(1)

    assert found(Ends(Unit()))
    assert not found(Ends(Sure()))


def test_what_is_said_wins():
    vector = Ends(nn.LayerNorm(8))
    assert not found(vector, postprocess=Classification())
    assert not found(vector, labels=[str(n) for n in range(8)])
    assert found(vector, labels=["a", "b"])
    logits = Ends(nn.Identity())
    assert found(logits, postprocess=Embedding())
    assert found(logits, postprocess=Detection.yolo(4))
    assert found(logits, values=["output_0"])


def test_of_values_no_class_is_compared():
    scores, vector = LikenessMeter(""), LikenessMeter("", by_class=False)
    for meter in (scores, vector):
        meter.add(np.array([[1.0, 0.99]]), np.array([[0.99, 1.0]]))
    assert scores.likeness().argmax == 0
    assert vector.likeness().argmax is None
    assert vector.likeness().snr_db == scores.likeness().snr_db


def deploy(model, **options):
    data = [torch.randn(1, 8) for _ in range(24)]
    options = {"checks": {"speed": False}, **options}
    return edgeopt.deploy(model.eval(), "host", backend="reference", example_inputs=data[0],
                          calibration_data=data, precision="int8", **options)  # fmt: skip


def test_an_embedding_is_judged_by_its_error_in_a_deployment():
    done = deploy(Ends(nn.LayerNorm(8)))
    assert done.accuracy.fidelity[0].measure == "error"
    assert done.parity.argmax is None
    assert deploy(Ends(nn.Identity())).accuracy.fidelity[0].measure == "class"
    named = deploy(Ends(nn.Identity()), checks={"speed": False, "values": ["output_0"]})
    assert named.accuracy.fidelity[0].measure == "error"


def test_an_output_that_is_not_there_is_no_value():
    with pytest.raises(InputError, match="no output vector") as caught:
        deploy(Ends(nn.Identity()), checks={"speed": False, "values": ["vector"]})
    assert "output_0" in str(caught.value)


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.last = nn.Linear(12, 8), nn.Linear(8, 4)

    def forward(self, x, h):
        h = self.cell(torch.cat([x, h], 1))
        return self.last(h), h


def test_states_are_values():
    torch.manual_seed(0)
    method = edgeopt.Method(Counts().eval(), (torch.randn(1, 4), torch.zeros(1, 8)),
                            reads={"h": "h"}, writes={"output_1": "h"})  # fmt: skip
    data = [[torch.randn(1, 4) for _ in range(12)] for _ in range(3)]
    options = {"backend": "reference", "calibration_data": data, "precision": "int8"}
    done = edgeopt.deploy(method, "host", checks={"speed": False}, **options)
    assert [one.measure for one in done.accuracy.fidelity] == ["class", "error"]
    with pytest.raises(InputError, match="there is no output vector"):
        edgeopt.deploy(method, "host", checks={"values": ["vector"]}, **options)
