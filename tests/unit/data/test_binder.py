"""How what a user passes is bound to what a model takes."""

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.api import capture
from edgeopt.contracts import Signature, TensorSpec
from edgeopt.data.binder import Binder, check_arrays
from edgeopt.data.calls import as_call, call_model
from edgeopt.errors import InputError

ONE = Signature((TensorSpec("x", (1, 3), "float32"),), ())
TWO = Signature((TensorSpec("x", (1, 3), "float32"), TensorSpec("y", (1, 3), "float32")), ())
IDS = Signature((TensorSpec("ids", (1, 4), "int64"), TensorSpec("mask", (1, 4), "int64")), ())
FIXED = Signature((TensorSpec("x", (1, 3), "float32"), TensorSpec("table", (5,), "float32")), ())
BATCH = Signature((TensorSpec("x", (2, 3), "float32"),), ())


def rows(count, start=0):
    return torch.arange(3.0 * count).reshape(count, 3) + start


@pytest.mark.parametrize(
    ("signature", "item"),
    [
        (ONE, rows(1)),
        (ONE, rows(1).numpy()),
        (ONE, (rows(1),)),
        (ONE, [rows(1)]),
        (ONE, (rows(1), 7)),
        (ONE, (rows(1), torch.tensor([7]))),
        (ONE, [rows(1), torch.tensor([7])]),
        (ONE, ((rows(1),), 7)),
        (ONE, {"x": rows(1)}),
        (ONE, {"x": rows(1), "label": 7}),
        (ONE, ({"x": rows(1)}, 7)),
        (TWO, (rows(1), rows(1, 9))),
        (TWO, ((rows(1), rows(1, 9)), 7)),
        (TWO, {"y": rows(1, 9), "x": rows(1)}),
        (TWO, ({"y": rows(1, 9), "x": rows(1)}, torch.tensor([1]))),
        (TWO, (rows(1), rows(1, 9), torch.tensor([1]))),
        (TWO, [rows(1), rows(1, 9), 7]),
    ],
)
def test_every_common_form_of_a_sample(signature, item):
    bound = Binder(signature).bind(item)
    assert len(bound) == len(signature.inputs)
    assert torch.equal(bound[0], rows(1))
    if signature is TWO:
        assert torch.equal(bound[1], rows(1, 9))


@pytest.mark.parametrize(
    "array",
    [np.ones((1, 3), np.float32)[:, ::-1], np.broadcast_to(np.float32(1), (1, 3))],
    ids=["reversed", "read-only"],
)
def test_arrays_that_torch_cannot_share_are_copied(array):
    (bound,) = Binder(ONE).bind(array)
    assert torch.equal(bound, torch.ones(1, 3))


@pytest.mark.parametrize(
    ("signature", "item", "said"),
    [
        (ONE, rows(1).double(), "expected float32 of shape (1, 3)"),
        (ONE, rows(1)[0], "got float32 of shape (3,)"),
        (ONE, torch.ones(1, 4), "got float32 of shape (1, 4)"),
        (ONE, "picture.png", "got a str"),
        (ONE, None, "got a NoneType"),
        (ONE, (), "0 tensors given"),
        (ONE, {"image": rows(1)}, "no entry for x; it has image"),
        (ONE, np.array(["a"]), "is no tensor"),
        (TWO, (rows(1), rows(1).double()), "input y: expected float32"),
        (TWO, rows(1), "1 tensors given"),
        (TWO, (rows(1), rows(1), rows(1), rows(1)), "4 tensors given"),
        (ONE, (rows(1), rows(1), rows(1)), "3 tensors given"),
        (TWO, {"x": rows(1)}, "no entry for y"),
        (IDS, {"ids": torch.ones(1, 4, dtype=torch.int32), "mask": torch.ones(1, 4)}, "input ids"),
    ],
)
def test_what_does_not_fit(signature, item, said):
    with pytest.raises(InputError) as caught:
        Binder(signature).bind(item)
    assert said in caught.value.what


def cut(signature, item):
    binder = Binder(signature)
    return list(binder.cut(binder.bind(item)))


def test_batches_are_cut_to_the_batch_of_the_program():
    samples = cut(ONE, (rows(3), torch.tensor([1, 2, 3])))
    assert [s[0].shape for s in samples] == [(1, 3)] * 3
    assert torch.equal(torch.cat([s[0] for s in samples]), rows(3))


def test_an_input_without_a_batch_is_repeated():
    table = torch.arange(5.0)
    samples = cut(FIXED, [(rows(2), table)])
    assert len(samples) == 2
    assert all(torch.equal(s[1], table) for s in samples)


def test_inputs_with_batches_of_different_size_are_refused():
    with pytest.raises(InputError, match=r"different size: x: \[4, 3\], y: \[3, 3\]"):
        cut(TWO, (rows(4), rows(3)))


@pytest.mark.parametrize(("count", "leftover"), [(2, 0), (3, 1), (4, 0), (1, 1)])
def test_rows_that_fill_no_batch_are_counted(count, leftover):
    binder = Binder(BATCH)
    tensors = binder.bind(rows(count))
    assert binder.leftover(tensors) == leftover
    assert binder.size(tensors) == count // 2


class Nested(nn.Module):
    def forward(self, pair, mask=None, *, scale=1.0):
        return pair[0] + pair[1] * scale


EXAMPLE = ((rows(1), rows(1, 9)), None)


@pytest.fixture(scope="module")
def nested():
    return Binder.of_program(capture(Nested().eval(), EXAMPLE), Nested())


@pytest.mark.parametrize(
    "item",
    [EXAMPLE, (rows(1), rows(1, 9)), ((rows(1), rows(1, 9)), 7)],
    ids=["as captured", "flat", "labelled"],
)
def test_nested_arguments_and_none_are_bound_as_captured(nested, item):
    bound = nested.bind(item)
    assert torch.equal(bound[0], rows(1))
    assert torch.equal(bound[1], rows(1, 9))


def test_the_call_that_passes_tensors_has_the_structure_of_the_example(nested):
    args, kwargs = nested.call([rows(1), rows(1, 9)])
    assert isinstance(args[0], tuple)
    assert args[1] is None
    assert torch.equal(Nested()(*args, **kwargs), rows(1) + rows(1, 9))


class Plain(nn.Module):
    def forward(self, x, y=None):
        return x if y is None else x + y


@pytest.mark.parametrize(
    ("example", "item"),
    [
        (rows(1), rows(4)),
        (rows(1), (rows(4), torch.arange(4))),
        (rows(1), {"x": rows(4), "labels": torch.arange(4)}),
        (rows(1), torch.ones(4, 7)),
        ({"x": rows(1)}, ({"x": rows(4)}, 7)),
        ((rows(1), rows(1)), {"y": rows(4), "x": rows(4)}),
        ((rows(1), rows(1)), (rows(4), rows(4), torch.arange(4))),
    ],
)
def test_a_module_takes_any_batch_and_shape(example, item):
    binder = Binder.of_example(example, Plain())
    bound = binder.bind(item)
    assert bound[0].shape[0] == 4
    assert binder.size(bound) == 4
    args, kwargs = binder.call(bound)
    assert Plain()(*args, **kwargs).shape[0] == 4


@pytest.mark.parametrize("item", [rows(1).double(), rows(1)[0], "photo.png", ()])
def test_what_a_module_cannot_take(item):
    with pytest.raises(InputError):
        Binder.of_example(rows(1), Plain()).bind(item)


def test_entries_without_an_argument_are_left_out_of_a_call():
    item = {"x": rows(1), "labels": 7}
    assert torch.equal(call_model(Plain(), item, named=Plain()), rows(1))
    with pytest.raises(TypeError, match="labels"):
        call_model(Plain(), item)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ((), "0 inputs given"),
        ((np.ones((1, 3), np.float32),) * 2, "2 inputs given"),
        ((np.ones((1, 3)),), "expected float32 of shape (1, 3), got float64"),
        ((np.ones((2, 3), np.float32),), "got float32 of shape (2, 3)"),
        (([[1.0, 2.0, 3.0]],), "got list"),
    ],
)
def test_a_runner_takes_exactly_its_signature(arrays, said):
    with pytest.raises(InputError) as caught:
        check_arrays(ONE, arrays)
    assert said in str(caught.value)


def test_calls():
    x = rows(1)
    assert as_call(x) == ((x,), {})
    assert as_call((x, x)) == ((x, x), {})
    assert as_call({"a": x}) == ((), {"a": x})
