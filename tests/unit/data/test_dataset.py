"""Real inputs are read once, checked once and counted in samples."""

import pytest
import torch

from edgeopt.contracts import Signature, TensorSpec
from edgeopt.data.batches import BatchInputs, require_reiterable, rereadable
from edgeopt.data.binder import Binder
from edgeopt.data.dataset import Dataset
from edgeopt.errors import CalibrationError, InputError

ONE = Binder(Signature((TensorSpec("x", (1, 3), "float32"),), ()))
BATCH = Binder(Signature((TensorSpec("x", (2, 3), "float32"),), ()))


def rows(count, start=0):
    return torch.arange(3.0 * count).reshape(count, 3) + start


class Counted(Binder):
    """A binder that counts what it binds."""

    bound = 0

    def bind(self, item):
        Counted.bound += 1
        return super().bind(item)


def test_items_are_bound_once_however_often_the_samples_are_read():
    Counted.bound = 0
    binder = Counted(ONE.signature)
    dataset = Dataset.read([rows(3), rows(2)], binder, limit=10)
    for _ in range(3):
        assert len(list(dataset)) == 5
    assert Dataset.read(dataset, binder, limit=4).samples == dataset.samples[:4]
    assert Counted.bound == 2


def test_samples_of_another_model_are_bound_again():
    dataset = Dataset.read([rows(4)], BATCH, limit=10)
    assert len(dataset) == 2
    assert len(Dataset.read(dataset, ONE, limit=10)) == 4


def test_the_limit_counts_samples_and_reads_no_further():
    def stream():
        yield rows(3)
        raise AssertionError("read too far")

    dataset = Dataset.read(stream(), ONE, limit=2)
    assert len(dataset) == 2
    assert not dataset.exhausted


def test_data_that_was_read_to_its_end_is_exhausted():
    assert Dataset.read([rows(3)], ONE, limit=10).exhausted


def test_rows_that_fill_no_batch_are_left_out_and_told():
    dataset = Dataset.read([rows(4), rows(1), rows(3)], BATCH, limit=10)
    assert len(dataset) == 3
    assert dataset.incomplete_rows == 2
    assert dataset.dropped == "2 rows of calibration_data fill no batch of 2: left out"
    assert not Dataset.read([rows(4)], BATCH, limit=10).dropped


def test_whole_items_are_counted_in_samples():
    items = [(rows(3), torch.arange(3)), (rows(3), torch.arange(3)), (rows(3), torch.arange(3))]
    dataset = Dataset.read(items, Binder.of_example(rows(1)), limit=4, whole=True)
    assert [len(s[0]) for s in dataset] == [3, 3]
    assert dataset.items == tuple(items[:2])


def test_samples_are_spread_evenly():
    dataset = Dataset.read([rows(9)], ONE, limit=9)
    assert [float(s[0][0, 0]) for s in dataset.spread(3)] == [0.0, 9.0, 18.0]
    assert dataset.spread(20) is dataset


def test_a_wrong_item_is_counted():
    with pytest.raises(CalibrationError) as caught:
        Dataset.read([rows(1), rows(1), torch.ones(1, 4)], ONE, limit=10)
    assert caught.value.where == "calibration_data, item 2"


@pytest.mark.parametrize("data", [[], iter(()), ()])
def test_empty_data(data):
    with pytest.raises(CalibrationError, match="no sample in it") as caught:
        Dataset.read(data, ONE, limit=10)
    assert caught.value.where == "calibration_data"


def test_only_incomplete_batches():
    with pytest.raises(CalibrationError, match="whole batch of 2"):
        Dataset.read([rows(1)], BATCH, limit=10)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite(bad):
    broken = rows(1)
    broken[0, 1] = bad
    with pytest.raises(CalibrationError, match="1 of 3 values are NaN or infinite") as caught:
        Dataset.read([rows(1), broken], ONE, limit=10)
    assert caught.value.where == "calibration_data, item 1"


def test_what_must_be_there_is_asked_for():
    with pytest.raises(CalibrationError, match="real inputs are needed"):
        Dataset(ONE).required()


def test_a_torch_dataset_without_iter_can_be_read():
    data = torch.utils.data.TensorDataset(rows(5).reshape(5, 1, 3), torch.arange(5))
    assert len(Dataset.read(data, ONE, limit=3)) == 3


def test_an_iterator_is_kept_as_it_is_read():
    taken = []

    def stream():
        for i in range(100):
            taken.append(i)
            yield rows(1, i)

    data = rereadable(stream(), "calibration_data")
    first = Dataset.read(data, ONE, limit=4)
    assert taken == [0, 1, 2, 3]
    second = Dataset.read(BatchInputs(data), ONE, limit=6)
    assert taken == [0, 1, 2, 3, 4, 5]
    assert torch.equal(first[3][0], second[3][0])


def test_what_can_be_read_again_stays_as_it_is():
    data = [rows(1)]
    assert rereadable(data, "calibration_data") is data
    assert rereadable(None, "calibration_data") is None
    require_reiterable(data, "data")


@pytest.mark.parametrize("data", ["photos", {"x": rows(1)}, rows(1), rows(1).numpy(), 5])
def test_one_input_is_no_data(data):
    for check in (rereadable, require_reiterable):
        with pytest.raises(InputError, match="iterable of inputs") as caught:
            check(data, "data")
        assert caught.value.where == "data"


def test_an_iterator_serves_no_training():
    with pytest.raises(InputError, match="only once") as caught:
        require_reiterable(iter([rows(1)]), "data", instead=", or epochs=1")
    assert caught.value.hint == "pass a DataLoader or a list of batches, or epochs=1"
