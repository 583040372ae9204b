"""A toolchain that writes lists of words."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from edgeopt import lowering
from edgeopt.contracts import DeviceRuntime
from edgeopt.ir import capture_module
from edgeopt.lowering import ModelFiles, RuleBackend, RuleTable
from edgeopt.passes import run_core

aten = torch.ops.aten


def make_emitter(rule, **members):
    class WordEmitter(lowering.Emitter):
        rules = rule

        def add_input(self, node):
            return node.name

        def constant(self, name):
            return f"constant {name}"

        def dummy(self, node):
            return f"nothing for {node.name}"

    return type("WordEmitter", (WordEmitter,), members)


def make_backend(emitter):
    class WordBackend(RuleBackend):
        name = "words"
        runtime = "Words"
        distribution = "edgeopt"
        toolchain: ClassVar = {"torch": "torch"}

        def emitter(self, program, target):
            return emitter(program)

        def write(self, lowered, options):
            return ModelFiles("words.txt", {"words.txt": repr(lowered.model._values).encode()})

        def device_model(self):
            raise ImportError("no words here")

        def device_runtime(self, target):
            return DeviceRuntime("Words", (), "class Model: pass")

    return WordBackend()


@pytest.fixture
def rule():
    """Returns a table with rules for relu and add."""
    table = RuleTable("Words")

    @table(aten.relu.default)
    def _relu(e, node):
        return f"relu({e.value(node.args[0])})"

    @table(aten.add.Tensor)
    def _add(e, node):
        return f"add({', '.join(map(e.value, node.args[:2]))})"

    return table


class _Function(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


@pytest.fixture
def program_of():
    """Returns a function: from a function of tensors, and inputs, to its canonical program."""

    def make(function, *inputs):
        return run_core(capture_module(_Function(function).eval(), inputs))

    return make


@pytest.fixture
def words():
    """Returns functions that make an emitter, and a backend of it."""
    return make_emitter, make_backend
