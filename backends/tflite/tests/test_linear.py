"""Linear: ranks, layouts, activations, and computed weights."""

import pytest
import torch
from torch import nn

BOTH = pytest.mark.parametrize("precision", ["float32", "int8"])


def check(case, precision):
    case.assert_close() if precision == "float32" else case.assert_steps(0)


@BOTH
@pytest.mark.parametrize("shape", [(12,), (1, 12), (3, 12), (2, 5, 12), (2, 3, 2, 12)])
def test_ranks(compiled, shape, precision):
    case = compiled(nn.Linear(12, 7), torch.randn(shape), precision=precision)
    check(case, precision)
    assert case.count("FULLY_CONNECTED") == 1


@BOTH
def test_relu_is_fused_and_nothing_else_is_written(compiled, precision):
    model = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 4), nn.ReLU6())
    case = compiled(model, torch.randn(2, 12), precision=precision)
    check(case, precision)
    assert case.artifact.operators == {"FULLY_CONNECTED": 2}


@BOTH
def test_a_pooled_image_needs_no_reshape(compiled, precision):
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    )
    case = compiled(model, torch.randn(1, 3, 7, 7), precision=precision)
    case.assert_close() if precision == "float32" else case.assert_steps(1, share=0.1)
    assert case.artifact.operators == {"CONV_2D": 1, "FULLY_CONNECTED": 1, "MEAN": 1}


@BOTH
def test_flattened_image_is_transposed_once(compiled, precision):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 9, 4))
    case = compiled(model, torch.randn(2, 3, 5, 5), precision=precision)
    check(case, precision)
    assert case.count("TRANSPOSE") == 1


def test_a_computed_weight_is_a_product(compiled):
    case = compiled(
        nn.functional.linear,
        torch.randn(2, 3, 6), torch.randn(4, 6), torch.randn(4),
    )  # fmt: skip
    case.assert_close()
    assert case.count("BATCH_MATMUL") == 1


def test_a_product_of_a_transposed_value_with_itself(compiled):
    def square(x):
        pooled = nn.functional.max_pool2d(x, 2, 1)
        return pooled @ pooled

    compiled(square, torch.randn(1, 2, 5, 5)).assert_close()


def test_a_product_of_a_turned_value_with_itself(compiled):
    def square(x):
        turned = (x * 2).permute(1, 2, 0)
        return turned @ turned

    compiled(square, torch.randn(4, 3, 4)).assert_close()
