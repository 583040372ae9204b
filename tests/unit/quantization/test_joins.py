"""Values that are joined: each part keeps its numbers, and like parts stay integers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgeopt.ir import ReferenceRunner, ops
from edgeopt.passes import require_canonical
from edgeopt.quantization import quantize_program

aten = torch.ops.aten


class Joined(nn.Module):
    """Two convolutions, and a function that joins what they give."""

    def __init__(self, join, *, same=False, head=None):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4 if same else 2, 1)
        self.join, self.head = join, head or nn.Identity()

    def forward(self, x):
        return self.head(self.join(self.one(x), self.two(x)))


class Cell(nn.Module):
    """A recurrent cell by hand: its state lies in front of its input."""

    def __init__(self, steps=4):
        super().__init__()
        self.steps, self.step = steps, nn.Linear(5 + 8, 8)

    def forward(self, x):
        state = x.new_zeros(x.shape[0], 8)
        for t in range(self.steps):
            state = torch.tanh(self.step(torch.cat([state, x[:, t]], 1)))
        return state


class Beside(nn.Module):
    """A model's own input beside a function of it."""

    def __init__(self, function):
        super().__init__()
        self.function, self.conv = function, nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return torch.cat([self.function(x), x], 1), self.conv(x)


def pictures(count=16, channels=3, size=8, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return list(torch.randn(count, channels, size, size, generator=generator).split(1))


def snr_db(wanted, got):
    signal, noise = wanted.square().sum(), (wanted - got).square().sum()
    return float(10 * torch.log10(signal / noise)) if noise > 0 else math.inf


def outputs(program, samples):
    runner = ReferenceRunner(program)
    found = []
    for sample in samples:
        given = sample if isinstance(sample, tuple) else (sample,)
        made = runner(*(t.numpy() for t in given))
        found.append(torch.from_numpy(made[0] if isinstance(made, tuple) else made))
    return torch.stack(found)


def quantized(program, module, samples):
    first = samples[0] if isinstance(samples[0], tuple) else (samples[0],)
    exact = program(module, *first)
    return exact, quantize_program(exact, samples)


def in_float(program, target):
    return [n for n in program.graph.nodes if n.target is target and n.name not in program.quant]


HEADS = {
    "cat": (lambda a, b: torch.cat([a * 100, b.sigmoid()], 1), {}, 1, 4),
    "cat, the narrow part first": (lambda a, b: torch.cat([b.sigmoid(), a * 100], 1), {}, 1, 2),
    "cat of moved parts": (
        lambda a, b: torch.cat([a.flatten(2) * 100, b.sigmoid().flatten(2)], 1).permute(0, 2, 1),
        {},
        2,
        4,
    ),
    "cat of three": (lambda a, b: torch.cat([a * 9, a * 900, b.tanh()], 1), {}, 1, 8),
    "stack": (lambda a, b: torch.stack([a * 100, b.sigmoid()], 1), {"same": True}, 1, 1),
    "boxes beside logits": (lambda a, b: torch.cat([a.relu() * 300, b], 1), {}, 1, 4),
    "500 times": (lambda a, b: torch.cat([a, b * 500], 1), {}, 1, 4),
    "joined, then chosen": (lambda a, b: torch.cat([a * 500, b], 1)[:, :, 1:], {}, 1, 4),
}


@pytest.mark.parametrize("head", HEADS)
def test_each_part_of_an_output_keeps_its_numbers(program, head):
    join, options, axis, first = HEADS[head]
    samples = pictures()
    exact, rounded = quantized(program, lambda: Joined(join, **options), samples)
    wanted, got = outputs(exact, samples), outputs(rounded, samples)
    rest = wanted.shape[axis + 1] - first
    for a, b in zip(
        wanted.split([first, rest], axis + 1), got.split([first, rest], axis + 1), strict=True
    ):
        assert snr_db(a, b) > 30


def test_the_reason_is_in_the_history(program):
    _, rounded = quantized(program, lambda: Joined(HEADS["cat"][0]), pictures())
    (step,) = [s for s in rounded.history if s.name == "join_parts"]
    assert "sigmoid of 0 to 0.996 would lie on a grid of" in step.effect["float"]["cat"]


def test_like_parts_share_a_grid_and_stay_integers(program):
    head = nn.Conv2d(8, 4, 3)
    module = Joined(lambda a, b: torch.cat([a, 2 * b], 1), same=True, head=head)
    _, rounded = quantized(program, lambda: module, pictures())
    assert not in_float(rounded, aten.cat.default)
    assert all(s.name != "join_parts" for s in rounded.history)


def test_a_gate_beside_a_signal_is_requantized_in_front_of_a_convolution(program):
    head = nn.Conv2d(6, 4, 1)
    module = Joined(lambda a, b: torch.cat([2 * a, b.sigmoid()], 1), head=head)
    samples = pictures()
    exact, rounded = quantized(program, lambda: module, samples)
    (cat,) = [n for n in rounded.graph.nodes if n.target is aten.cat.default]
    assert rounded.quant[cat.name].high > 2
    assert cat.args[0][1].target is aten.alias.default
    assert float(rounded.quant[cat.args[0][1].args[0].name].scale[0]) == 1 / 256
    assert snr_db(outputs(exact, samples), outputs(rounded, samples)) > 30


@pytest.mark.parametrize(("steps", "factor"), [(2, 1.0), (4, 1.0), (4, 20.0)])
def test_a_recurrent_cell_by_hand(program, steps, factor):
    generator = torch.Generator().manual_seed(3)
    samples = [factor * torch.randn(1, steps, 5, generator=generator) for _ in range(16)]
    exact, rounded = quantized(program, lambda: Cell(steps), samples)
    assert snr_db(outputs(exact, samples), outputs(rounded, samples)) > 25


@pytest.mark.parametrize("function", [torch.sigmoid, torch.tanh, lambda x: torch.sigmoid(x) * 0.1])
def test_an_input_beside_a_function_of_it_is_not_cut(program, function):
    samples = [3 * s for s in pictures()]
    exact, rounded = quantized(program, lambda: Beside(function), samples)
    wanted, got = outputs(exact, samples), outputs(rounded, samples)
    for a, b in zip(wanted.split(3, 2), got.split(3, 2), strict=True):
        assert snr_db(a, b) > 35


@pytest.mark.parametrize(("picture", "mask"), [(255.0, 1.0), (1.0, 255.0), (1.0, 1.0)])
def test_a_picture_beside_its_mask(program, picture, mask):
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3)
            with torch.no_grad():  # as training leaves them: both inputs matter alike
                self.conv.weight[:, :3] /= picture
                self.conv.weight[:, 3:] /= mask

        def forward(self, x, m):
            return self.conv(torch.cat([x, m], 1))

    generator = torch.Generator().manual_seed(2)
    samples = [
        (
            picture * torch.rand(1, 3, 8, 8, generator=generator),
            mask * (torch.rand(1, 1, 8, 8, generator=generator) > 0.5),
        )
        for _ in range(16)
    ]
    exact, rounded = quantized(program, Both, samples)
    assert snr_db(outputs(exact, samples), outputs(rounded, samples)) > 28
    assert bool(in_float(rounded, aten.cat.default)) == (picture != mask)


@pytest.mark.parametrize("fill", [50.0, -7.5, 0.25])
def test_a_fill_counts_in_the_range(program, fill):
    module = Joined(lambda a, _: functional.pad(a, (1, 2, 1, 1), value=fill))
    samples = pictures()
    exact, rounded = quantized(program, lambda: module, samples)
    wanted, got = outputs(exact, samples), outputs(rounded, samples)
    inside = (..., slice(1, -1), slice(1, -2))
    assert snr_db(wanted[inside], got[inside]) > 30
    assert torch.allclose(got[..., 0, :], torch.tensor(fill), atol=0.02)


@pytest.mark.parametrize("fill", [-math.inf, torch.finfo(torch.float32).min, -1e38])
@pytest.mark.parametrize(("size", "stride"), [(3, 2), (2, 2), (3, 1)])
def test_nothing_around_max_pooling_stays_integer(program, fill, size, stride):
    def join(a, _):
        return functional.max_pool2d(functional.pad(a, (0, 1, 0, 1), value=fill), size, stride)

    samples = pictures()
    exact, rounded = quantized(program, lambda: Joined(join, head=nn.Conv2d(4, 2, 1)), samples)
    assert snr_db(outputs(exact, samples), outputs(rounded, samples)) > 30
    calls = [n for n in rounded.graph.nodes if n.op == "call_function"]
    assert all(n.name in rounded.quant or ops.fused_activation(n) for n in calls)


def test_nothing_that_is_read_stays_in_float(program):
    samples = pictures()
    module = Joined(lambda a, _: functional.pad(a, (1,) * 4, value=-math.inf))
    exact, rounded = quantized(program, lambda: module, samples)
    wanted, got = outputs(exact, samples), outputs(rounded, samples)
    there = torch.isfinite(wanted)
    assert torch.equal(there, torch.isfinite(got))
    assert snr_db(wanted[there], got[there]) > 30


def test_a_join_that_stays_in_float_after_all_leaves_no_rounding_in_front(program):
    """The sigmoid would be rounded again for the join, until the join is found to lose the output."""

    class Unlike(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(4, 2, 3, padding=1)

        def forward(self, large, small):
            return self.conv(torch.cat([small.sigmoid(), large, small], 2))

    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.randn(*shape, generator=generator)

    samples = [(drawn(1, 4, 4) * 1090, drawn(1, 4, 6) * 13) for _ in range(20)]
    quantized = quantize_program(program(Unlike, *samples[0]), samples)
    require_canonical(quantized, "a backend")


def test_a_value_that_many_ways_lead_to_is_looked_at_once(program):
    """2^30 ways through the joins, as writes in place make them of a cost volume."""

    class Woven(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)

        def forward(self, x):
            x = self.first(x)
            for _ in range(30):
                x = torch.cat([x[:, :2], x[:, 1:3]], 1)
            return self.last(x)

    samples = pictures(4)
    module = program(Woven, samples[0])
    assert in_float(quantize_program(module, samples), aten.cat.default) == []
