from __future__ import annotations

import pytest
import torch

import edgeopt
from edgeopt.errors import InputError
from edgeopt.pruning import record_sparsity, sparsify


def test_unstructured_zeros_the_smallest(net):
    sparse = sparsify(net, ratio=0.5, keep=["head"])
    weight, whole = sparse.hidden.weight.detach(), net.hidden.weight.detach().abs()
    assert int((weight == 0).sum()) == weight.numel() // 2
    assert float(whole[weight == 0].max()) <= float(whole[weight != 0].min())
    assert torch.equal(sparse.head.weight, net.head.weight)
    assert bool((net.hidden.weight != 0).all())


def test_two_of_four_keeps_the_larger_two(net):
    weight = sparsify(net, pattern="2:4").hidden.weight
    fours = weight.reshape(-1, 4)
    assert bool(((fours != 0).sum(1) == 2).all())
    kept = net.hidden.weight.reshape(-1, 4).abs().sort(1).values[:, 2:].sum(1)
    torch.testing.assert_close(fours.abs().sum(1), kept)


def test_the_program_says_how_its_weights_are_sparse(net, example):
    program = record_sparsity(edgeopt.capture(sparsify(net, pattern="2:4"), (example,)))
    kinds = {entry.kind for entry in program.sparsity.values()}
    assert kinds == {"2:4"}
    assert all(entry.density == pytest.approx(0.5) for entry in program.sparsity.values())
    assert program.history[-1].name == "record_sparsity"
    plain = record_sparsity(edgeopt.capture(net, (example,)))
    assert not plain.sparsity


@pytest.mark.parametrize(
    "options", [{"pattern": "1:8"}, {"pattern": "2:4", "ratio": 0.5}, {"ratio": 1.5}, {}]
)
def test_bad_patterns_are_refused(net, options):
    with pytest.raises(InputError):
        sparsify(net, **options)
