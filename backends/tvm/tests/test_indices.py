"""What chooses rows of a table is held against the table's size before anything is read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.options import CompileOptions
from edgeopt.registry import find_target
from edgeopt_tvm import TVMBackend

ROWS = 5


class Rows(nn.Module):
    """One table read by an input in another shape, and by a computed index."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(ROWS, 3)

    def forward(self, ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        ours: torch.Tensor = self.table(ids.reshape(-1)).sum(0, keepdim=True)
        theirs: torch.Tensor = self.table(real.to(torch.int64)).sum(1)
        return ours + theirs


@pytest.fixture(scope="module")
def runner():
    backend, target = TVMBackend(), find_target("host")
    example = (torch.zeros(1, 4, dtype=torch.int64), torch.zeros(1, 2))
    program = edgeopt.capture(Rows().eval(), example)
    artifact = backend.compile(
        backend.lower(program, target), CompileOptions(tuning_database="none")
    )
    runner = backend.load(artifact, threads=1)
    yield runner
    runner.close()


def ids(*values):
    return np.array([[0, *values]], np.int64)


@pytest.mark.parametrize("wrong", [-1, ROWS, 2**40])
def test_a_row_that_is_not_there_is_named(runner, wrong):
    real = np.zeros((1, 2), np.float32)
    with pytest.raises(Exception, match=f"input ids: {wrong}, expected 0 to {ROWS - 1}"):
        runner(ids(0, wrong, 1), real)
    assert np.isfinite(runner(ids(0, 1, ROWS - 1), real)).all()  # and it goes on


def test_a_computed_index_reads_nothing_else(runner):
    last, beyond, far = (np.full((1, 2), v, np.float32) for v in (ROWS - 1, 1000, 2.0**32))
    wanted = runner(ids(0, 1, 2), last)
    assert np.array_equal(wanted, runner(ids(0, 1, 2), beyond))
    assert np.array_equal(wanted, runner(ids(0, 1, 2), far))  # in 32 bits it would be 0


class Nothing(nn.Module):
    """Its output has no elements."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * 2)[:, 4:]


def test_an_output_of_no_elements_is_returned():
    backend, program = TVMBackend(), edgeopt.capture(Nothing().eval(), torch.zeros(1, 4))
    artifact = backend.compile(
        backend.lower(program, find_target("host")), CompileOptions(tuning_database="none")
    )
    runner = backend.load(artifact, threads=1)
    assert runner(np.zeros((1, 4), np.float32)).shape == (1, 0)
    runner.close()
