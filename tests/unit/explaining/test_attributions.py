"""What a model looks at: agreement is 1 with itself, lower for fewer bits, and below the floor's where it matters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from edgeopt.api import capture
from edgeopt.contracts import Signature, TensorSpec
from edgeopt.explaining.agreement import (
    chance_correlation,
    interval,
    most_important,
    rank_correlation,
    top_overlap,
)
from edgeopt.explaining.attribution import answer_of, gradients, left_out
from edgeopt.explaining.compare import Comparer, tuple_of
from edgeopt.explaining.pictures import write_maps, write_picture
from edgeopt.explaining.regions import regions_of
from edgeopt.ir import ReferenceRunner
from edgeopt.qat import QuantizedModule
from edgeopt.quantization import QuantizationConfig, quantize_program


def quantized(program, pictures, bits):
    config = QuantizationConfig(weight_bits=bits, rounding="nearest")
    return quantize_program(program, pictures[:16], config)


@pytest.fixture(scope="module")
def program(classifier, pictures):
    return capture(classifier, pictures[0])


@pytest.fixture(scope="module")
def comparer(program, pictures):
    samples = [(x.numpy(),) for x in pictures[20:26]]
    return Comparer(program.signature, samples, tuple_of(ReferenceRunner(program)))


def test_the_model_agrees_with_itself(comparer, program):
    agreement = comparer.attributed("same", tuple_of(ReferenceRunner(program))).agreement
    assert agreement.rank_correlation.mean == pytest.approx(1.0)
    assert agreement.top_overlap.mean == 1.0
    assert agreement.within_floor


def test_two_bits_agree_less_than_eight(comparer, program, pictures):
    agreements = [
        comparer.attributed(
            f"{bits} bits", tuple_of(ReferenceRunner(quantized(program, pictures, bits)))
        ).agreement
        for bits in (8, 2)
    ]
    eight, two = (one.rank_correlation.mean for one in agreements)
    assert two < eight - 0.05
    assert eight > 0.9
    assert not agreements[1].within_floor
    assert agreements[0].chance_rank_correlation < eight


def test_only_what_the_model_sees_counts(comparer):
    looked = comparer.looked[0]
    rows, columns = looked.regions.grid
    seen = np.abs(looked.map.reshape(rows, columns))
    assert (rows, columns) == (6, 6)
    assert seen[:3].sum() > 10 * seen[4:].sum()


def test_gradients_of_integers_are_near_those_of_float(classifier, program, pictures):
    sample = (pictures[21].numpy(),)
    regions = regions_of(program.signature, sample)
    answer = answer_of(tuple_of(ReferenceRunner(program))(*sample), output=0, by_class=True)
    maps = [
        gradients(module, sample, regions, answer)
        for module in (classifier, QuantizedModule(quantized(program, pictures, 8)))
    ]
    assert np.abs(maps[0]).max() > 0
    assert rank_correlation(*maps) > 0.9


def test_gradients_of_a_linear_model_are_its_terms():
    model = nn.Linear(6, 2, bias=False).eval()
    x = np.arange(6, dtype=np.float32)[None]
    signature = Signature((TensorSpec("x", (1, 6), "float32"),), ())
    regions = regions_of(signature)
    with torch.no_grad():
        outputs = (model(torch.from_numpy(x)).numpy(),)
    answer = answer_of(outputs, output=0, by_class=True)
    wanted = model.weight.detach().numpy()[answer.index] * (x[0] - x.mean())
    np.testing.assert_allclose(gradients(model, (x,), regions, answer), wanted, atol=1e-5)
    function = lambda a: (model(torch.from_numpy(a)).detach().numpy(),)  # noqa: E731
    np.testing.assert_allclose(left_out(function, (x,), regions, answer), wanted, atol=1e-5)


def test_tokens_are_left_out_one_by_one():
    table = np.array([0.0, 1.0, 5.0, -2.0])

    def function(ids, mask):
        return (np.array([[table[ids[mask == 1]].sum(), 0.0]]),)

    ids = np.array([[2, 1, 3, 0, 0]])
    mask = np.array([[1, 1, 1, 0, 0]])
    specs = tuple(TensorSpec(name, (1, 5), "int64") for name in ("ids", "mask"))
    regions = regions_of(Signature(specs, ()), (ids, mask))
    assert regions.kind == "tokens"
    assert regions.count == 3
    answer = answer_of(function(ids, mask), output=0, by_class=True)
    assert left_out(function, (ids, mask), regions, answer).tolist() == [5.0, 1.0, -2.0]


@pytest.mark.parametrize(
    ("shape", "dtype", "kind", "count"),
    [
        ((1, 3, 32, 32), "float32", "picture", 196),
        ((1, 32, 32, 3), "uint8", "picture", 196),
        ((1, 1, 8, 10), "float32", "picture", 80),
        ((1, 4, 60), "float32", "positions", 60),
        ((1, 16000), "float32", "features", 256),
        ((1, 7), "int64", "tokens", 7),
    ],
)
def test_parts_of_each_kind_of_input(shape, dtype, kind, count):
    regions = regions_of(Signature((TensorSpec("x", shape, dtype),), ()))
    assert (regions.kind, regions.count) == (kind, count)
    assert regions.mask.shape == shape
    assert set(np.unique(regions.mask)) == set(range(count))
    array = np.ones(shape, dtype)
    assert regions.baseline(array).shape == shape


def test_vectors_are_followed_along_their_direction():
    answer = answer_of((np.array([[3.0, 4.0]]),), output=0, by_class=False)
    assert answer.index is None
    assert answer.number((np.array([[3.0, 4.0]]),)) == pytest.approx(5.0)
    assert answer.number((np.array([[-4.0, 3.0]]),)) == pytest.approx(0.0)


def test_rank_correlation_is_scipys():
    chance = np.random.default_rng(0)
    for _ in range(5):
        a, b = chance.integers(0, 9, 30), chance.integers(0, 9, 30)
        assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert rank_correlation(np.zeros(4), np.zeros(4)) == 1.0
    assert rank_correlation(np.zeros(4), np.arange(4)) == 0.0


def test_overlap_counts_the_largest():
    assert top_overlap(np.array([3.0, 2, 1, 0]), np.array([3.0, 0, 1, 2]), 2) == 0.5
    assert most_important(196) == 20
    assert most_important(5) == 3


def test_an_interval_holds_its_mean():
    one = interval([0.1, 0.5, 0.9])
    assert one.low < one.mean < one.high
    assert interval([0.5]).low == 0.5


def test_chance_is_of_different_inputs():
    assert chance_correlation([np.arange(4)], [np.arange(4)]) is None
    maps = [np.arange(4), -np.arange(4)]
    assert chance_correlation(maps, maps) == pytest.approx(-1.0)


def test_pictures_of_maps_lie_side_by_side(comparer, tmp_path):
    from PIL import Image

    looked, sample = comparer.looked[0], comparer.samples[0]
    write_maps(
        tmp_path / "maps.png",
        sample[0],
        looked.regions,
        [("float", looked.map), ("int8", looked.map)],
    )
    write_picture(tmp_path / "input.png", sample[0], looked.regions)
    with Image.open(tmp_path / "maps.png") as maps, Image.open(tmp_path / "input.png") as one:
        assert one.size == (6, 6)
        panel = (maps.width - 16) // 3
        assert panel == 222
        left = maps.crop((panel + 8, 18, 2 * panel + 8, 240)).tobytes()
        right = maps.crop((2 * panel + 16, 18, 3 * panel + 16, 240)).tobytes()
        assert left == right
        assert len(set(left)) > 20
