"""One emission of each program within a block."""

from __future__ import annotations

import msgspec
import torch

from edgeopt.contracts import Lowered, SupportReport
from edgeopt.lowering import lower_once, shared_lowerings
from edgeopt.registry import find_target


class Counting:
    name = "counting"

    def __init__(self):
        self.written = []

    def lower(self, program, target):
        self.written.append(program)
        return Lowered(program, target, SupportReport(self.name, target.name, ()))


def test_the_same_program_is_written_once_within_a_block(program_of):
    backend, target = Counting(), find_target("host")
    program = program_of(lambda x: x.relu(), torch.ones(2))
    with shared_lowerings():
        first = lower_once(backend, program, target)
        with shared_lowerings():
            assert lower_once(backend, program, target) is first
        assert lower_once(backend, program, target) is first
    assert len(backend.written) == 1
    assert lower_once(backend, program, target) is not first, "nothing is kept after the block"


def test_another_program_or_target_is_written_anew(program_of):
    backend, target = Counting(), find_target("host")
    program, other = (program_of(lambda x: x.relu(), torch.ones(2)) for _ in range(2))
    changed = msgspec.structs.replace(target, memory_mb=target.memory_mb + 1)
    with shared_lowerings():
        lower_once(backend, program, target)
        lower_once(backend, other, target)
        assert lower_once(backend, program, changed).target == changed
    assert len(backend.written) == 3


def test_only_the_last_few_are_kept(program_of):
    backend, target = Counting(), find_target("host")
    program = program_of(lambda x: x.relu(), torch.ones(2))
    with shared_lowerings():
        lower_once(backend, program, target)
        for size in range(3, 10):
            lower_once(backend, program_of(lambda x: x.relu(), torch.ones(size)), target)
            if size < 6:
                lower_once(backend, program, target)
        count = len(backend.written)
        lower_once(backend, program, target)
    assert count == 8, "what is asked for again stays"
    assert len(backend.written) == 9, "what is not is let go"
