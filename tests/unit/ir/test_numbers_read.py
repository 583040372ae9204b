"""Numbers that a model reads off its inputs and gives to operators: the operators take the tensors."""

from __future__ import annotations

import pytest
import torch

import edgeopt
from edgeopt.errors import CaptureError
from edgeopt.ir import ReferenceRunner

X = torch.arange(10.0).reshape(2, 5)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, i: x[:, i],
        lambda x, i: x[0, i] + x[..., i].sum(),
        lambda x, i: x * i.item(),
        lambda x, i: i.item() - x / (i.item() + x),
        lambda x, i: x.masked_fill(x > 4, i.item()),
        lambda x, i: (i.item(), x * 2)[1],
        lambda x, i: (torch._check(i.item() + 4 > 1), x * 2)[1],
    ],
)
@pytest.mark.parametrize("number", [torch.tensor(2), torch.tensor([3]), torch.tensor(-1)], ids=str)
def test_operators_take_the_tensor(written, function, number):
    model = written(lambda _, x, i: function(x, i))
    run = ReferenceRunner(edgeopt.capture(model, (X, torch.ones_like(number))))
    wanted = model(X, number)
    torch.testing.assert_close(torch.as_tensor(run(X.numpy(), number.numpy())), wanted)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, i: x.clamp(max=i.item()),
        lambda x, i: torch.full_like(x, i.item()),
        lambda x, i: (x, i.item()),
        lambda x, i: x * (i.item() + 1),
    ],
)
def test_what_takes_numbers_only_is_refused(written, function):
    with pytest.raises(CaptureError, match="number that the model reads off a tensor"):
        edgeopt.capture(written(lambda _, x, i: function(x, i)), (X, torch.tensor(2)))
