"""What a captured program is: the model's function, with weights and names of its own."""

import dataclasses
from typing import ClassVar, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.errors import CaptureError, InputError
from edgeopt.ir import ReferenceRunner, capture_module

X = torch.randn(1, 3, generator=torch.Generator().manual_seed(7))


class Scaled(nn.Module):
    def forward(self, x, scale=None, *, shift):
        return x * scale + shift


def answers(program, *inputs):
    got = ReferenceRunner(program)(*[t.numpy() for t in inputs])
    return got if isinstance(got, tuple) else (got,)


def same(got, wanted):
    assert got.shape == tuple(wanted.shape)
    np.testing.assert_allclose(got, wanted.detach().numpy(), atol=1e-6)


@pytest.mark.parametrize(
    "example",
    [X, (X,), [X], {"input": X}, X.numpy()],
    ids=["tensor", "tuple", "list", "dict", "array"],
)
def test_inputs_may_be_given_in_any_common_form(example):
    model = nn.Linear(3, 2).eval()
    program = capture_module(model, example)
    (spec,) = program.signature.inputs
    assert (spec.name, spec.shape, spec.dtype) == ("input", (1, 3), "float32")
    same(answers(program, X)[0], model(X))


def test_arguments_by_name_are_bound_by_name():
    model = Scaled().eval()
    program = capture_module(model, {"shift": X + 1, "x": X, "scale": X + 2})
    assert [s.name for s in program.signature.inputs] == ["shift", "x", "scale"]
    same(answers(program, X + 1, X, X + 2)[0], X * (X + 2) + X + 1)


def test_what_is_no_tensor_becomes_part_of_the_program():
    program = capture_module(Scaled().eval(), {"x": X, "scale": 2.0, "shift": X})
    assert [s.name for s in program.signature.inputs] == ["x", "shift"]
    same(answers(program, X, X)[0], X * 3)


def test_nested_inputs_are_flattened(written):
    model = written(lambda _, pair, named: pair[0] - pair[1] * named["a"])
    program = capture_module(model, ([X, X + 1], {"a": X + 2}))
    assert len(program.signature.inputs) == 3
    same(answers(program, X, X + 1, X + 2)[0], X - (X + 1) * (X + 2))


def test_an_unused_input_stays_in_the_signature(written):
    program = capture_module(written(lambda _, x, y: x + 1), (X, torch.ones(2, 2)))
    assert [s.shape for s in program.signature.inputs] == [(1, 3), (2, 2)]
    same(answers(program, X, torch.ones(2, 2))[0], X + 1)


def test_integer_and_boolean_inputs(written):
    model = written(
        lambda self, ids, keep: self.table(ids).masked_fill(~keep[..., None], 0.0),
        table=nn.Embedding(5, 3),
    )
    ids, keep = torch.tensor([[1, 4]]), torch.tensor([[True, False]])
    program = capture_module(model, (ids, keep))
    assert [s.dtype for s in program.signature.inputs] == ["int64", "bool"]
    same(answers(program, ids, keep)[0], model(ids, keep))


class Pair(NamedTuple):
    left: torch.Tensor
    right: torch.Tensor


@dataclasses.dataclass
class Boxed:
    boxes: torch.Tensor
    scores: torch.Tensor


@pytest.mark.parametrize(
    ("returned", "names"),
    [
        (lambda a, b: a, ["output_0"]),
        (lambda a, b: (a, b), ["output_0", "output_1"]),
        (lambda a, b: {"logits": a, "hidden": b}, ["logits", "hidden"]),
        (lambda a, b: {"logits": a, "nothing": None, "hidden": b}, ["logits", "hidden"]),
        (lambda a, b: {"logits": a, "states": (a, b)}, ["logits", "states_0", "states_1"]),
        (Pair, ["left", "right"]),
        (Boxed, ["boxes", "scores"]),
        (lambda a, b: (a, None, 3, b), ["output_0", "output_1"]),
    ],
    ids=["one", "tuple", "dict", "dict with None", "nested", "namedtuple", "dataclass", "mixed"],
)
def test_outputs_are_flattened_and_named(written, returned, names):
    model = written(lambda _, x: returned(x + 1, x * 2))
    program = capture_module(model, (X,))
    assert [s.name for s in program.signature.outputs] == names
    got = answers(program, X)
    same(got[0], X + 1)
    same(got[-1], X + 1 if names == ["output_0"] else X * 2)


def test_the_output_of_a_hugging_face_model_has_its_names():
    transformers = pytest.importorskip("transformers")
    config = transformers.DistilBertConfig(
        dim=8, n_layers=1, n_heads=2, hidden_dim=16, vocab_size=20, output_hidden_states=True
    )
    model = transformers.DistilBertForSequenceClassification(config).eval()
    ids = torch.tensor([[1, 2, 3]])
    program = capture_module(model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    assert [s.name for s in program.signature.inputs] == ["input_ids", "attention_mask"]
    assert [s.name for s in program.signature.outputs] == [
        "logits",
        "hidden_states_0",
        "hidden_states_1",
    ]
    got = answers(program, ids, torch.ones_like(ids))
    same(got[0], model(ids, torch.ones_like(ids)).logits)


@pytest.mark.parametrize(
    "returned",
    [
        lambda _, x: (x + 1, x),
        lambda self, x: (x + 1, self.held),
        lambda _, x: (x + 1,) * 2,
        lambda _, x: (x, x),
    ],
    ids=["an input", "a constant", "one value twice", "the input twice"],
)
def test_unusual_outputs(written, returned):
    model = written(returned, held=torch.arange(4.0))
    got = answers(capture_module(model, (X,)), X)
    for ours, wanted in zip(got, model(X), strict=True):
        same(ours, wanted)


def test_an_operator_in_place_on_an_input_adds_no_output():
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2)).eval()
    wanted = model(X.clone())
    program = capture_module(model, (X.clone(),))
    assert len(program.signature.outputs) == 1
    (got,) = answers(program, X)
    same(got, wanted)


def test_an_example_input_that_is_a_buffer_of_the_model_stays_an_input(written):
    table = torch.arange(3.0)
    model = written(lambda self, x: x + 2 * self.table, table=table)
    program = capture_module(model, (model.table,))
    (got,) = answers(program, torch.ones(3))
    same(got, torch.ones(3) + 2 * table)


def test_training_the_model_further_does_not_change_the_program():
    model = nn.Linear(3, 2).eval()
    program = capture_module(model, (X,))
    before = {name: tensor.clone() for name, tensor in program.constants.items()}
    with torch.no_grad():
        model.weight.add_(1)
    for name, tensor in program.constants.items():
        assert torch.equal(tensor, before[name])


def test_tied_weights_stay_one_tensor(written):
    table = nn.Embedding(5, 3)
    model = written(
        lambda self, ids: torch.nn.functional.linear(self.table(ids), self.head),
        table=table,
        head=table.weight,
    )
    program = capture_module(model, (torch.tensor([[1, 2]]),))
    assert len({t.data_ptr() for t in program.constants.values()}) == 1


@pytest.mark.parametrize("decomposed", [False, True])
def test_an_exported_program_is_taken_as_it_is(decomposed):
    model = nn.Linear(3, 2).eval()
    exported = torch.export.export(model, (X,))
    exported = exported.run_decompositions() if decomposed else exported
    text = str(exported.graph)
    program = capture_module(exported)
    assert str(exported.graph) == text
    same(answers(program, X)[0], model(X))


def test_the_model_may_name_its_own_inputs():
    class Lightning(nn.Linear):
        example_input_array = torch.zeros(2, 3)

    class Timm(nn.Conv2d):
        default_cfg: ClassVar = {"input_size": (3, 8, 8)}

    class HuggingFace(nn.Embedding):
        @property
        def dummy_inputs(self):
            return {"input": torch.tensor([[1, 2]])}

    for model, shape in (
        (Lightning(3, 2), (2, 3)),
        (Timm(3, 2, 3), (1, 3, 8, 8)),
        (HuggingFace(4, 2), (1, 2)),
    ):
        assert capture_module(model.eval()).signature.inputs[0].shape == shape


def test_a_model_that_does_not_say_what_it_takes():
    with pytest.raises(InputError, match="Linear does not say what it takes") as caught:
        capture_module(nn.Linear(3, 2).eval())
    assert caught.value.where == "example_inputs"
    assert "example_inputs=(tensor,)" in caught.value.hint


@pytest.mark.parametrize("given", [3, nn.Linear, "model.pt2", None])
def test_what_is_no_model(given):
    with pytest.raises(InputError, match=r"expected a torch\.nn\.Module or an ExportedProgram"):
        capture_module(given, (X,))


def test_training_mode_is_refused_and_the_module_named():
    with pytest.raises(InputError, match="training mode") as caught:
        capture_module(nn.Sequential(nn.Linear(3, 2), nn.Dropout()), (X,))
    assert "model.eval()" in caught.value.hint


def test_one_submodule_in_training_mode_is_refused():
    model = nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.Dropout())).eval()
    model[1][0].train()
    with pytest.raises(InputError, match="training mode") as caught:
        capture_module(model, (X,))
    assert caught.value.where == "1.0"


def test_an_activation_added_after_eval_does_no_harm():
    model = nn.Sequential(nn.Linear(3, 2)).eval()
    model.append(nn.ReLU())
    same(answers(capture_module(model, (X,)), X)[0], model(X))


def test_the_models_own_error_keeps_its_words_and_line(written):
    def fail(_, x):
        raise ValueError("nothing fits here")

    with pytest.raises(CaptureError, match="nothing fits here") as caught:
        capture_module(written(fail), (X,))
    line = fail.__code__.co_firstlineno + 1
    assert caught.value.where == f"test_capture.py:{line}"
    assert isinstance(caught.value.__cause__, ValueError)


def test_history_starts_with_the_capture():
    program = capture_module(nn.Linear(3, 2).eval(), (X,))
    assert [step.name for step in program.history] == ["capture"]


def test_names_of_this_machine_are_not_kept():
    program = capture_module(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), torch.ones(1, 3, 8, 8)
    )
    traces = [n.meta.get("stack_trace") or "" for n in program.graph.nodes]
    assert any(traces)
    assert not any('File "/' in trace for trace in traces)


@pytest.mark.parametrize("other", ["half", "double", "bfloat16"])
def test_a_model_of_another_type_is_told_what_to_type(other):
    model = getattr(nn.Linear(3, 2).eval(), other)()
    with pytest.raises(InputError, match=r"model\.float\(\)\.cpu\(\)"):
        capture_module(model, (torch.zeros(1, 3),))


def test_a_model_on_another_device_is_told_what_to_type():
    with pytest.raises(InputError, match=r"on meta.*\n.*model\.float\(\)\.cpu\(\)"):
        capture_module(nn.Linear(3, 2).eval().to("meta"), (torch.zeros(1, 3),))


def test_autocast_and_inference_mode_around_change_nothing():
    model, x = nn.Linear(3, 2).eval(), (torch.zeros(1, 3),)
    wanted = capture_module(model, x).digest
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert capture_module(model, x).digest == wanted
    with torch.inference_mode():
        assert capture_module(model, (torch.zeros(1, 3),)).digest == wanted


def test_one_tensor_given_for_two_inputs_is_two_inputs():
    class Difference(nn.Module):
        def forward(self, x, y):
            return x - y

    x = torch.ones(2, 3)
    program = capture_module(Difference().eval(), (x, x))
    made = ReferenceRunner(program)(x.numpy(), 3 * x.numpy())
    assert made.min() == made.max() == -2


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.as_strided((3, 2, 4), (4, 2, 1)),
        lambda x: x.transpose(0, 1).as_strided((2, 3), (1, 4), 3),
        lambda x: x[1:].as_strided((2, 2), (4, 1)),
        lambda x: (x * 2).as_strided((), (), 5),
    ],
)
def test_windows_of_memory_are_read_by_their_places(function):
    class Windows(nn.Module):
        def forward(self, x):
            return function(x)

    x = torch.arange(20.0).reshape(5, 4)
    program = capture_module(Windows().eval(), x)
    np.testing.assert_array_equal(ReferenceRunner(program)(x.numpy()), function(x).numpy())
