from __future__ import annotations

import numpy as np
import pytest
import torch

from edgeopt.contracts import Signature, TensorSpec
from edgeopt.errors import InputError
from edgeopt.gate.accuracy import RAISED, Accuracy, check_accuracy, check_agreement, score
from edgeopt.gate.calling import float_model

SCORES = Signature(inputs=(), outputs=(TensorSpec("logits", (1, 3), "float32"),))
MAP = Signature(inputs=(), outputs=(TensorSpec("map", (1, 2, 2, 3), "float32"),))


def rows(*values):
    return [(np.array([row], np.float32),) for row in values]


def test_agreement_is_never_called_accuracy():
    found = check_agreement(SCORES, rows([1, 2, 3], [3, 2, 3.1]), rows([1, 2, 3], [3.1, 2, 3]))
    assert found.kind == "agreement"
    assert (found.value, found.float_value, found.drop) == (0.5, 1.0, 0.5)
    assert "accuracy" not in str(found)
    assert found.ok


def test_agreement_outside_max_drop_is_not_ok():
    reference, got = rows([1, 2, 3], [3, 2, 3.1]), rows([1, 2, 3], [3.1, 2, 3])
    assert not check_agreement(SCORES, reference, got, max_drop=0.4).ok
    assert check_agreement(SCORES, reference, got, max_drop=0.5).ok


def test_outputs_that_are_no_scores_lose_energy():
    array = np.ones((1, 2, 2, 3), np.float32)
    same = check_agreement(MAP, [(array,)], [(array,)])
    assert (same.value, same.drop, same.cosine) == (1.0, 0.0, 1.0)
    near = check_agreement(MAP, [(array,)], [(1.05 * array,)], max_drop=0.01)
    assert near.drop == pytest.approx(0.0025, rel=1e-3)
    assert near.ok
    assert "error 0.25 % of the energy (SNR 26.0 dB" in str(near)
    far = check_agreement(MAP, [(array,)], [(1.2 * array,)], max_drop=0.01)
    assert far.drop == pytest.approx(0.04, rel=1e-3)
    assert far.failure == "outside max_drop 0.01"


def test_the_worst_output_decides():
    both = Signature((), (*SCORES.outputs, *MAP.outputs))
    scores, array = np.array([[1, 2, 3]], np.float32), np.ones((1, 2, 2, 3), np.float32)
    found = check_agreement(both, [(scores, array)], [(scores, 1.2 * array)], max_drop=0.01)
    assert found.drop == pytest.approx(0.04, rel=1e-3)
    assert not found.ok


def test_too_little_left_fails_unless_evaluate_judges():
    array = np.ones((1, 2, 2, 3), np.float32)
    found = check_agreement(MAP, [(array,)], [(0 * array,)])
    assert not found.ok
    assert "too little is left of map: 0.0 dB" in found.failure
    judged = check_accuracy(lambda fn: fn(), lambda: 0.9, float_value=0.9, agreement=found)
    assert judged.ok
    assert "map: 0.0 dB" in judged.doubts


def test_accuracy_compares_the_two_scores():
    found = check_accuracy(lambda fn: fn(), lambda: 0.8, float_value=0.9, max_drop=0.05)
    assert found.kind == "accuracy"
    assert found.drop == pytest.approx(0.1)
    assert not found.ok
    assert "float 0.9000" in str(found)


def test_a_drop_of_exactly_max_drop_is_ok():
    assert check_accuracy(lambda fn: fn(), lambda: 0.8, float_value=0.9, max_drop=0.1).ok


def test_a_better_score_is_ok():
    found = check_accuracy(lambda fn: fn(), lambda: 0.95, float_value=0.9, max_drop=0.0)
    assert found.ok
    assert found.drop < 0


def test_nothing_asked_is_ok():
    assert Accuracy("accuracy", 0.1, 0.9).ok


@pytest.mark.parametrize("given", [None, "high", float("nan"), float("inf"), [1, 2]])
def test_evaluate_must_return_a_finite_number(given):
    with pytest.raises(InputError, match="it returned"):
        score(lambda fn: given, lambda: None)


def test_numpy_and_torch_numbers_are_numbers():
    import torch

    assert score(lambda fn: np.float32(0.5), lambda: None) == 0.5
    assert score(lambda fn: torch.tensor(0.5), lambda: None) == 0.5


@pytest.mark.parametrize("result", [True, "0.5", None, (0.5, 0.6), {"a": 1}, torch.zeros(2)])
def test_what_is_no_score_is_refused(result):
    with pytest.raises(InputError, match="not a number"):
        score(lambda fn: result, len)


def test_a_tensor_of_one_number_is_a_score():
    assert score(lambda fn: torch.tensor([0.5]), len) == 0.5


def test_a_function_that_is_never_called_is_noticed():
    with pytest.raises(InputError, match="never called what it was given"):
        score(lambda fn: 0.9, float_model(torch.nn.Identity()))


def test_what_evaluate_raises_stays_and_says_whose_it_is():
    with pytest.raises(ZeroDivisionError) as caught:
        score(lambda fn: 1 / 0, len)
    assert caught.value.__notes__[0].startswith(RAISED)
    assert "test_accuracy.py" in caught.value.__notes__[0]


def test_a_drop_in_another_unit_than_the_score_is_refused():
    with pytest.raises(InputError, match="nothing could fail") as caught:
        check_accuracy(lambda fn: 0.9, len, float_value=0.95, max_drop=5)
    assert "0.05 for 5 points" in caught.value.hint
    assert check_accuracy(lambda fn: 87.0, len, float_value=90.0, max_drop=5).ok


@pytest.mark.parametrize(
    ("score", "max_drop", "doubted"),
    [
        (76.2, 0.01, True),
        (76.2, 0.5, False),
        (76.2, 1.0, False),
        (0.762, 0.0001, False),
        (1.0, 0.0005, False),
        (76.2, 0.0, False),
        (76.2, None, False),
    ],
)
def test_a_share_of_scores_in_percent_is_doubted(score, max_drop, doubted):
    same = check_accuracy(lambda fn: fn(), lambda: score, float_value=score, max_drop=max_drop)
    assert same.ok
    assert bool(same.unit_doubt) == doubted
    if max_drop is not None:
        worse = check_accuracy(lambda fn: fn(), lambda: 0.5, float_value=score, max_drop=max_drop)
        assert ("one point is max_drop=1" in worse.failure) == doubted
