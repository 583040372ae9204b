"""How what a user passes is bound to a program's inputs."""

import numpy as np
import pytest
import torch

from edgeopt.contracts import Signature, TensorSpec
from edgeopt.errors import CalibrationError, InputError
from edgeopt.ir.inputs import as_call, bind_sample, calibration_samples, check_arrays

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
    ],
)
def test_every_common_form_of_a_sample(signature, item):
    bound = bind_sample(signature, item)
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
    (bound,) = bind_sample(ONE, array)
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
        (TWO, {"x": rows(1)}, "no entry for y"),
        (IDS, {"ids": torch.ones(1, 4, dtype=torch.int32), "mask": torch.ones(1, 4)}, "input ids"),
    ],
)
def test_what_does_not_fit(signature, item, said):
    with pytest.raises(InputError) as caught:
        bind_sample(signature, item)
    assert said in caught.value.what


def test_a_wrong_item_of_calibration_data_is_counted():
    with pytest.raises(CalibrationError) as caught:
        list(calibration_samples(ONE, [rows(1), rows(1), torch.ones(1, 4)]))
    assert caught.value.where == "calibration_data, item 2"


def test_batches_are_cut_to_the_batch_of_the_program():
    samples = list(calibration_samples(ONE, [(rows(3), torch.tensor([1, 2, 3])), rows(1, 9)]))
    assert [s[0].shape for s in samples] == [(1, 3)] * 4
    assert torch.equal(torch.cat([s[0] for s in samples]), torch.cat([rows(3), rows(1, 9)]))


def test_an_incomplete_last_batch_is_left_out():
    samples = list(calibration_samples(BATCH, [rows(4), rows(1)]))
    assert len(samples) == 2


def test_an_input_without_a_batch_is_repeated():
    table = torch.arange(5.0)
    samples = list(calibration_samples(FIXED, [(rows(2), table)]))
    assert len(samples) == 2
    assert all(torch.equal(s[1], table) for s in samples)


def test_the_limit_counts_samples_and_reads_no_further():
    def stream():
        yield rows(3)
        raise AssertionError("read too far")

    assert len(list(calibration_samples(ONE, stream(), limit=2))) == 2


@pytest.mark.parametrize("data", [[], iter(()), ()])
def test_empty_data(data):
    with pytest.raises(CalibrationError, match="no sample in it") as caught:
        list(calibration_samples(ONE, data))
    assert caught.value.where == "calibration_data"


def test_only_incomplete_batches():
    with pytest.raises(CalibrationError, match="whole batch of 2"):
        list(calibration_samples(BATCH, [rows(1)]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite(bad):
    broken = rows(1)
    broken[0, 1] = bad
    with pytest.raises(CalibrationError, match="1 of 3 values are NaN or infinite") as caught:
        list(calibration_samples(ONE, [rows(1), broken]))
    assert caught.value.where == "calibration_data, item 1"


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
