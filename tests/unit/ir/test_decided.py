"""What a model reads off tensors that no input reaches is known to its program."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import edgeopt
from edgeopt.errors import CaptureError
from edgeopt.ir import ReferenceRunner


class _Strided(nn.Module):
    """Keeps whole numbers in buffers, computes sizes with them, and decides on them."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.register_buffer("stride", torch.tensor(stride))
        self.register_buffer("width", torch.tensor(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        missing = torch.ceil(x.shape[-1] / self.stride).long() * self.stride - x.shape[-1]
        if missing > 0:
            x = functional.pad(x, (0, missing))
        x = x[..., : x.shape[-1] - missing + 1].contiguous()
        return x.mean(-1) if self.width > self.stride else x.amax(-1) * float(self.stride)


class _OwnMask(nn.Module):
    """Makes a mask itself, looks whether anything is hidden, and chooses rows by it."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = torch.zeros_like(x[..., 0], dtype=torch.bool)
        mask[:, : self.hidden] = True
        rows = (~mask).nonzero()[:, 1]
        shown = x[~mask]
        total = shown.sum(0) + x[:, rows].amax(1).sum(0)
        return total * 2 if mask.any() else total


class _Loop(nn.Module):
    """Reads several numbers at one place, in one order."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.tensor([1, 3, 2]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for step in self.steps:
            x = x.roll(int(step), -1) if step > 1 else x * step
        return x


@pytest.mark.parametrize(
    "model", [_Strided(2), _Strided(4), _OwnMask(0), _OwnMask(2), _Loop()], ids=repr
)
def test_what_no_input_reaches_is_known(model):
    chance = torch.Generator().manual_seed(0)
    example, other = torch.randn(2, 2, 7, 6, generator=chance).unbind()
    program = edgeopt.capture(model.eval(), example)
    got = ReferenceRunner(program)(other.numpy())
    torch.testing.assert_close(torch.as_tensor(got), model(other))


def _by_value(x):
    return x * 2 if x.sum() > 0 else x


def _by_value_carried(x):
    size = int(x.abs().sum() > 0) + 1
    return x * 2 if torch.tensor(size) > 1 else x


def _by_write(x):
    made = torch.zeros(3)
    made[:1].copy_(x.flatten()[:1])
    return x * 2 if made.sum() > 0 else x


def _by_value_that_makes_a_shape(x):
    places = torch.arange(x.abs().sum().long())
    return x * 2 if places.sum() > 3 else x


def _by_value_that_is_a_size(x):
    made = torch.ones(8)[: x.abs().sum().long()]
    return x * 2 if made.sum() > 3 else x


def _by_value_beside_known(x):
    for values in (torch.ones(2), x):
        x = x * 2 if values.sum() > 0 else x
    return x


def _by_chance(x):
    return x * 2 if torch.rand(1) > 0.5 else x


@pytest.mark.parametrize(
    "function",
    [
        _by_value,
        _by_value_carried,
        _by_write,
        _by_value_beside_known,
        _by_value_that_makes_a_shape,
        _by_value_that_is_a_size,
        _by_chance,
    ],
)
def test_what_an_input_reaches_is_refused(written, function):
    with pytest.raises(CaptureError, match=r"data-dependent|random|not known"):
        edgeopt.capture(written(lambda _, x: function(x)), torch.ones(2, 3))


class _Remembers(nn.Module):
    """Decides on a number of its own, and changes all that it can reach."""

    def __init__(self, *, writes: bool) -> None:
        super().__init__()
        self.register_buffer("calls", torch.tensor(0))
        self.register_buffer("most", torch.tensor(3))
        self.weight = nn.Parameter(torch.ones(3))
        self.seen: torch.Tensor | None = None
        self.writes = writes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.writes:
            self.calls += 1
            self.weight.data.add_(1)
        if self.seen is None:
            self.seen = x.mean()
        return (x - self.seen) * self.weight if self.most > 2 else x


def test_running_a_model_to_find_out_leaves_it_and_the_example():
    model, example, other = _Remembers(writes=False).eval(), torch.ones(2, 3), torch.randn(2, 3)
    state = torch.get_rng_state()
    program = edgeopt.capture(model, example)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.seen is None
    got = ReferenceRunner(program)(other.numpy())
    torch.testing.assert_close(torch.as_tensor(got), (other - other.mean()))


def test_what_a_model_that_decides_writes_may_be_read_by_a_decision():
    model = _Remembers(writes=True).eval()
    with pytest.raises(CaptureError):
        edgeopt.capture(model, torch.ones(2, 3))
    assert (model.calls, model.weight.sum()) == (0, 3)


def _through_numpy(x):
    places = torch.arange(4).numpy()
    places += 1
    return x * 2 if torch.from_numpy(places).sum() > 0 else x


def test_memory_that_numpy_shares_is_not_followed(written):
    with pytest.raises(CaptureError):
        edgeopt.capture(written(lambda _, x: _through_numpy(x)), torch.ones(2, 3))


def test_a_truth_value_adds_an_axis():
    class Chosen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("is_on", torch.tensor(True))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[self.is_on] * 2 if bool(self.is_on) else x

    program = edgeopt.capture(Chosen().eval(), torch.ones(2, 3))
    assert ReferenceRunner(program)(torch.ones(2, 3).numpy()).shape == (1, 2, 3)


def test_a_counter_that_nothing_reads_is_left_out():
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return x * 2

    model = Counts().eval()
    program = edgeopt.capture(model, torch.ones(2, 3))
    assert ReferenceRunner(program)(torch.ones(2, 3).numpy()).sum() == 12
    assert model.calls == 0


def test_a_buffer_that_becomes_itself_is_no_state():
    class Moved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("places", torch.arange(3.0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.places = self.places.to(x.device)
            return x + self.places

    program = edgeopt.capture(Moved().eval(), torch.ones(2, 3))
    assert ReferenceRunner(program)(torch.ones(2, 3).numpy()).sum() == 12
