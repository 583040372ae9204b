"""One quantization for the data of every shape; shapes that are crossed, carried through recipes, or too large."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.deployment import steps
from edgeopt.errors import ConfigError, GateError, InputError
from edgeopt.ir import capture_module

torch.manual_seed(0)
CLASSIFIER = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)
).eval()  # fmt: skip
PICTURES = [torch.randn(1, 3, 16, 16) for _ in range(24)]


def text(length, rows=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 50, (rows, length), generator=generator)
    return {"ids": ids, "mask": torch.ones(rows, length, dtype=torch.int64)}


def deploy(model=CLASSIFIER, **options):
    usual = {"backend": "reference", "calibration_data": PICTURES, "precision": "int8"}
    options = {**usual, **options}
    return edgeopt.deploy(model, "host", checks={"speed": False}, **options)


def test_constants_of_every_shape_lie_in_their_range():
    class Ramp(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(8, 8)

        def forward(self, x):
            ramp = torch.arange(x.shape[1]).reshape(1, -1, 1).float() * 0.1
            return self.linear(x) + ramp

    data, long = ([torch.randn(1, length, 8) for _ in range(24)] for length in (16, 64))
    model = Ramp().eval()
    done = deploy(model, example_inputs=data[0], calibration_data=[*data, long[0]],
                  shapes={"lengths": (64,)})  # fmt: skip
    x = long[1]
    error = edgeopt.load(done.bundle)(x.numpy()) - model(x).detach().numpy()
    assert np.square(error).sum() < 1e-3 * float(model(x).detach().square().sum())
    with pytest.raises(
        GateError, match=r"inputs \[1, 64, 8\]"
    ):  # nothing says what it reaches there
        deploy(model, example_inputs=data[0], calibration_data=data, shapes={"lengths": (64,)})


class Adds(nn.Module):
    """What it computes grows with the length: at the longer one it leaves the range of the shorter."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.last(self.first(x).relu().sum(1))


def test_ranges_hold_for_the_data_of_every_shape():
    torch.manual_seed(0)
    model = Adds().eval()
    short, long = ([torch.randn(1, length, 8) for _ in range(40)] for length in (4, 48))
    done = deploy(model, example_inputs=short[0], calibration_data=[*short, *long],
                  shapes={"lengths": (48,)})  # fmt: skip
    assert done.programs[0].accuracy.snr_db > 25
    assert done.accuracy.snr_db > 15  # the steps of the wider range
    with pytest.raises(GateError, match=r"inputs \[1, 48, 8\]"):
        deploy(
            model, example_inputs=short[0], calibration_data=short, shapes={"examples": long[:1]}
        )


def test_batches_of_the_same_data_change_no_number():
    one = deploy(example_inputs=PICTURES[0])
    several = deploy(example_inputs=PICTURES[0], shapes={"batches": (4,)})
    assert several.program.digest == one.program.digest


class Attention(nn.Module):
    """torch's own layer, which is traced in another order for one row than for several."""

    def __init__(self):
        super().__init__()
        self.table, self.last = nn.Embedding(50, 16), nn.Linear(16, 4)
        self.heads = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, ids, mask):
        x = self.table(ids)
        hidden = self.heads(x, x, x, key_padding_mask=mask == 0, need_weights=False)[0]
        weight = mask.unsqueeze(-1).float()
        return hidden, self.last((hidden * weight).sum(1) / weight.sum(1).clamp(min=1.0))


ATTENTION = Attention().eval()


@pytest.fixture(scope="module")
def crossed():
    data = [text(length, seed=seed) for seed in range(12) for length in (8, 24)]
    shapes = {"batches": (1, 4), "lengths": (8, 24), "crossed": True}
    return deploy(ATTENTION, example_inputs=text(8), calibration_data=data, shapes=shapes)


@pytest.mark.slow
def test_crossed_shapes_are_all_pairs(crossed):
    shapes = {program.shapes[0] for program in crossed.programs}
    assert shapes == {(4, 8), (1, 24), (4, 24)}
    pairs = {program.shapes[0]: program.checked_on for program in crossed.programs}
    assert pairs[(4, 24)] == "calibration samples"  # rows of (1, 24), put together
    assert all(program.pads == (0, 1) for program in crossed.programs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "length", "taken"),
    [(1, 5, (1, 8)), (3, 8, (4, 8)), (1, 20, (1, 24)), (2, 9, (4, 24)), (4, 24, (4, 24))],
)
def test_the_smallest_that_fits_along_both_axes_is_taken(crossed, rows, length, taken):
    runner = edgeopt.load(crossed.bundle)
    inputs = text(length, rows=rows, seed=3)
    hidden, scores = runner(inputs["ids"].numpy(), inputs["mask"].numpy())
    wanted = [value.detach().numpy() for value in ATTENTION(**inputs)]
    for value, expected in zip((hidden, scores), wanted, strict=True):
        assert value.shape == expected.shape
        assert ((value - expected) ** 2).sum() < 0.03 * (expected**2).sum()
    known = [(1, 8), *(program.shapes[0] for program in crossed.programs)]
    assert [known[program] for program in runner._runners] == [taken]  # loaded as they are called
    runner.close()


def test_nothing_to_cross_is_refused():
    with pytest.raises(ConfigError, match="no two kinds of numbers to cross"):
        deploy(example_inputs=PICTURES[0], shapes={"batches": (4,), "crossed": True})


def test_what_does_not_fit_into_memory_is_refused_with_how_much_it_takes():
    with pytest.raises(InputError, match=r"1000000000 along axis 0 take about .* GiB") as caught:
        deploy(example_inputs=PICTURES[0], shapes={"batches": (10**9,)})
    assert "this machine has" in str(caught.value)


QUANTIZE = {"name": "q", "steps": [{"step": "quantize", "precision": "int8"}]}


def test_a_recipe_carries_the_shapes_through():
    torch.manual_seed(0)
    model = Adds().eval()
    short, long = ([torch.randn(1, length, 8) for _ in range(40)] for length in (4, 48))
    done = deploy(model, example_inputs=short[0], calibration_data=[*short, *long],
                  shapes={"lengths": (48,)}, recipe=QUANTIZE, precision="auto")  # fmt: skip
    assert done.precision == "int8"
    assert done.programs[0].shapes == ((1, 48, 8),)
    assert done.programs[0].accuracy.snr_db > 25  # its own step has seen both
    assert edgeopt.load(done.bundle)(long[0].numpy()).shape == (1, 4)


def test_each_shape_is_captured_once(monkeypatch):
    shapes = []

    def capture(module, example_inputs=None):
        (tensor,) = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
        shapes.append(tuple(tensor.shape))
        return capture_module(module, example_inputs)

    monkeypatch.setattr(steps, "capture_module", capture)
    data = [torch.randn(1, length, 8) for _ in range(8) for length in (4, 48)]
    deploy(Adds().eval(), example_inputs=data[0], calibration_data=data,
           shapes={"lengths": (48,)}, recipe=QUANTIZE, precision="auto")  # fmt: skip
    # of the model, and of what the recipe made of it
    assert sorted(shapes) == [(1, 4, 8)] * 2 + [(1, 48, 8)] * 2


def sums():
    """Returns a method that adds up what it sees, and sessions for it."""

    class Sums(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(8, 8)

        def forward(self, x, total):
            return {"y": self.linear(x) + total, "total": total + x}

    torch.manual_seed(0)
    zeros = torch.zeros(1, 8)
    model = Sums().eval()
    method = edgeopt.Method(model, (zeros, zeros), reads={"total": "t"}, writes={"total": "t"})
    return method, [[torch.randn(1, 8) for _ in range(4)] for _ in range(12)]


def test_a_recipe_that_quantizes_is_carried_to_methods():
    method, sessions = sums()
    step = {
        "step": "quantize",
        "precision": "int8",
        "ranges": "minmax",
        "rounding": "nearest",
    }
    options = {"calibration_data": sessions, "precision": "auto"}
    by_recipe = deploy(method, recipe={"name": "q", "steps": [step]}, **options)
    own = {name: step[name] for name in ("ranges", "rounding")}
    by_hand = deploy(method, **{**options, "precision": "int8"}, quantization=own)
    assert by_recipe.precision == "int8"
    assert by_recipe.program.digest == by_hand.program.digest
    assert by_recipe.program.digest != deploy(method, **options).program.digest


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"recipe": {"steps": [{"step": "sparsify", "ratio": 0.5}]}}, r"steps\[0\] \(sparsify\)"),
        ({"precision": "float16"}, 'precision="float16" was given'),
        ({"quantization": {"rounding": "nearest"}}, "quantization was given too"),
        ({"train_data": [(torch.zeros(1, 8), 0)]}, "quantized on sessions"),
    ],
)
def test_what_a_recipe_cannot_do_with_methods_is_refused(options, said):
    method, sessions = sums()
    usual = {"calibration_data": sessions, "recipe": QUANTIZE, "precision": "auto"}
    with pytest.raises(InputError, match=said) as caught:
        deploy(method, **{**usual, **options})
    assert ("edgeopt.compress(module" in str(caught.value)) == ("recipe" in options)
