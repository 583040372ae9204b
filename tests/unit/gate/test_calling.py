"""What a user's ``evaluate`` does with the model must work with the artefact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.api import capture, reference
from edgeopt.errors import InputError
from edgeopt.gate.calling import as_model, float_model


class Joint(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 3), nn.Linear(5, 3)

    def forward(self, x, y=None, *, scale=None):
        total = self.a(x) + self.b(y)
        return {"sum": total, "parts": (self.a(x), torch.relu(self.b(y)))}


def artefact_of(model, example):
    program = capture(model, example)
    return as_model(reference(program), program, model)


@pytest.fixture(scope="module")
def joint():
    torch.manual_seed(0)
    return Joint().eval()


@pytest.fixture(scope="module")
def artefact(joint):
    return artefact_of(joint, (torch.randn(2, 4), torch.randn(2, 5)))


CALLS = {
    "by position": lambda f, x, y: f(x, y),
    "by name": lambda f, x, y: f(x=x, y=y),
    "in another order": lambda f, x, y: f(y=y, x=x),
    "mixed": lambda f, x, y: f(x, y=y),
    "with an option that was left out": lambda f, x, y: f(x, y, scale=None),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("batch", [1, 2, 5, 6])
def test_calls_and_batches_of_any_form(joint, artefact, call, batch):
    x, y = torch.randn(batch, 4), torch.randn(batch, 5)
    got, wanted = call(artefact, x, y), call(joint, x, y)
    torch.testing.assert_close(got["sum"], wanted["sum"])
    assert isinstance(got["parts"], tuple)
    torch.testing.assert_close(got["parts"][1], wanted["parts"][1])


def test_arrays_in_arrays_out(joint, artefact):
    x, y = np.ones((3, 4), np.float32), np.ones((3, 5), np.float32)
    for function in (artefact, float_model(joint)):
        assert isinstance(function(x, y)["sum"], np.ndarray)
    np.testing.assert_allclose(artefact(x, y)["sum"], float_model(joint)(x, y)["sum"], rtol=1e-5)


def test_gradients_are_cut(joint, artefact):
    x = torch.randn(2, 4, requires_grad=True)
    assert not artefact(x, torch.randn(2, 5))["sum"].requires_grad
    assert not float_model(joint)(x, torch.randn(2, 5))["sum"].requires_grad


def test_an_argument_that_was_not_captured_is_refused(artefact):
    with pytest.raises(InputError, match="scale") as caught:
        artefact(torch.randn(2, 4), torch.randn(2, 5), scale=torch.ones(1))
    assert "x: float32[2, 4]" in str(caught.value)


def test_an_argument_that_is_missing_is_refused(artefact):
    with pytest.raises(InputError, match="y"):
        artefact(torch.randn(2, 4))


def test_batches_that_differ_are_refused(artefact):
    with pytest.raises(InputError, match="batches"):
        artefact(torch.randn(3, 4), torch.randn(5, 5))


def test_another_shape_is_refused(artefact):
    with pytest.raises(InputError, match="input x"):
        artefact(torch.randn(2, 7), torch.randn(2, 5))


def test_a_list_is_no_tensor():
    function = artefact_of(nn.Linear(2, 2).eval(), torch.ones(1, 2))
    with pytest.raises(InputError, match="structure"):
        function([1.0, 2.0])


class Total(nn.Module):
    def forward(self, x):
        return x.relu(), x.sum()


def test_an_output_without_a_batch_cannot_be_joined():
    function = artefact_of(Total().eval(), torch.ones(1, 2))
    assert function(torch.ones(1, 2))[1].item() == 2.0
    with pytest.raises(InputError, match="no batch to join"):
        function(torch.ones(3, 2))


class Optional(nn.Module):
    def forward(self, x, mask=None):
        return x.relu(), None


def test_none_stays_none():
    function = artefact_of(Optional().eval(), (torch.ones(1, 2), None))
    first, second = function(torch.ones(4, 2), None)
    assert first.shape == (4, 2)
    assert second is None


@dataclass
class Scores:
    logits: torch.Tensor
    hidden: torch.Tensor


torch.export.register_dataclass(Scores, serialized_type_name="tests.gate.Scores")


class Wrapped(nn.Module):
    def forward(self, x):
        return Scores(logits=x.relu(), hidden=x + 1)


def test_dataclasses_come_back_as_such():
    result = artefact_of(Wrapped().eval(), torch.ones(1, 3))(torch.ones(2, 3))
    assert isinstance(result, Scores)
    assert result.logits.shape == (2, 3)


def test_without_the_module_the_programs_names_are_known(joint):
    program = capture(joint, (torch.randn(2, 4), torch.randn(2, 5)))
    function = as_model(reference(program), program)
    x, y = torch.randn(3, 4), torch.randn(3, 5)
    for call in (lambda: function(x, y), lambda: function(y=y, x=x), lambda: function(x, y=y)):
        torch.testing.assert_close(call()["sum"], joint(x, y)["sum"])
    with pytest.raises(InputError, match="z"):
        function(x, y, z=x)


def test_evaluate_may_treat_it_as_a_module(joint, artefact):
    x, y = torch.randn(2, 4), torch.randn(2, 5)
    for fn in (artefact, float_model(joint)):
        assert fn.eval() is fn
        assert fn.train().to("cpu").half().cpu().requires_grad_(False) is fn
        assert not fn.training
        assert next(fn.parameters()).device == fn.device == torch.device("cpu")
        assert sum(p.numel() for p in fn.parameters()) == 0
        assert isinstance(fn, nn.Module)
        torch.testing.assert_close(fn(x, y)["sum"], joint(x, y)["sum"])
    joint.eval()


def test_plain_attributes_are_the_models_and_nothing_else_is(joint, artefact):
    joint.names = {0: "cat"}
    assert artefact.names == {0: "cat"}
    with pytest.raises(InputError, match="asks the model for 'a'"):
        artefact.a  # noqa: B018 (a layer: it would score the float model)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        artefact.nothing  # noqa: B018 (it raises)
