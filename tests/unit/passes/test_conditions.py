"""What passes require and ensure is checked when they are run."""

import logging

import pytest
import torch
from torch import nn

import edgeopt.ir.edit
from edgeopt.deployment.build import compile_program
from edgeopt.errors import ProgramError
from edgeopt.ir import Editor, Step, capture_module
from edgeopt.ir.conditions import no_calls
from edgeopt.options import CompileOptions
from edgeopt.passes import (
    CORE,
    PassSpec,
    graph_pass,
    require_canonical,
    run_core,
    run_pass,
    run_passes,
)
from edgeopt.quantization import QuantizationConfig, quantize_program
from edgeopt.reference_backend import ReferenceBackend
from edgeopt.registry import find_target

aten = torch.ops.aten
X = torch.ones(1, 3, 8, 8)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)

    def forward(self, x):
        return torch.nn.functional.silu(self.conv(x)).flatten(1)


@pytest.fixture
def captured():
    return capture_module(Model().eval(), (X,))


@pytest.fixture
def copies(monkeypatch):
    made = []
    original = edgeopt.ir.edit.copy_graph
    monkeypatch.setattr(edgeopt.ir.edit, "copy_graph", lambda m: made.append(m) or original(m))
    return made


def test_a_pass_with_nothing_to_do_copies_nothing(captured, copies):
    core = run_core(captured)
    made = len(copies)
    assert made == len(core.history) - 1  # all but the capture
    assert run_core(core) is core
    assert len(copies) == made


@pytest.mark.parametrize("name", dict.fromkeys(CORE))
def test_the_result_says_whether_it_was_modified(captured, name):
    before = run_passes(captured, CORE[: CORE.index(name)])
    result = run_pass(before, name)
    assert result.modified is (result.program is not before)
    assert not run_pass(result.program, name).modified


def test_what_a_pass_requires_is_asked_of_the_program():
    class OneAxis(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding="same")

        def forward(self, x):
            return self.conv(x)

    program = capture_module(OneAxis().eval(), (X,))
    with pytest.raises(
        ProgramError, match=r"conv2d .*test_conditions.py:\d+.*canonicalize_conv"
    ) as caught:
        run_pass(program, "own_biases")
    assert caught.value.where == "pass own_biases requires"
    assert '"canonicalize_convolutions"' in caught.value.hint


@graph_pass(ensures=[no_calls(aten.conv2d.default)])
def forgetful(program):
    """Says that it removes convolutions, and removes none."""
    editor = Editor(program)
    node = next(editor.calls(aten.conv2d.default))
    editor.call(aten.relu.default, (node,), before=node.next, like=node)
    return editor.finish(Step("forgetful"))


def test_what_a_pass_ensures_is_asked_of_its_result(captured):
    with pytest.raises(ProgramError, match=r"conv2d \(aten.conv2d.*\) is left") as caught:
        run_pass(captured, f"{__name__}:forgetful")
    assert "ensures" in caught.value.where
    assert "defect of that pass" in caught.value.hint


@pytest.mark.parametrize("precision", ["int8", "int8-dynamic", "float16"])
def test_the_quantizer_refuses_what_is_not_canonical(captured, precision):
    with pytest.raises(
        ProgramError, match=r"silu.*canonicalize_activations|flatten|view"
    ) as caught:
        quantize_program(captured, [X], QuantizationConfig(precision=precision))
    assert caught.value.where == "quantization requires canonical form"
    assert "run_core" in caught.value.hint
    quantize_program(run_core(captured), [X], QuantizationConfig(precision=precision))


def test_a_backend_refuses_what_is_not_canonical(captured):
    backend, target = ReferenceBackend(), find_target("host")
    options = CompileOptions()
    with pytest.raises(ProgramError, match="is not in the form that") as caught:
        compile_program(captured, target, backend, options=options)
    assert caught.value.where == "backend reference requires canonical form"
    compile_program(run_core(captured), target, backend, options=options)


@pytest.mark.parametrize("precision", ["float32", "int8", "int8-dynamic", "float16"])
def test_a_quantized_program_stays_canonical(captured, precision):
    program = quantize_program(run_core(captured), [X], QuantizationConfig(precision=precision))
    require_canonical(program, "the test")


def test_parameters_reach_the_pass(captured):
    program = quantize_program(run_core(captured), [X])
    unsigned = PassSpec("insert_quantize", {"unsigned": True})
    assert str(unsigned) == "insert_quantize(unsigned=True)"
    dtypes = {
        n.args[-1]
        for n in run_pass(program, unsigned).program.graph.nodes
        if "quantize_per_tensor" in str(n.target)
    }
    assert torch.uint8 in dtypes
    assert torch.int8 not in dtypes


def test_an_unknown_parameter_is_named(captured):
    with pytest.raises(ProgramError, match="no option sign") as caught:
        run_pass(captured, PassSpec("insert_quantize", {"sign": True}))
    assert "unsigned" in caught.value.hint


def test_passes_tell_the_log_what_they_did(captured, caplog):
    with caplog.at_level(logging.DEBUG, logger="edgeopt"):
        run_core(captured)
    assert "pass canonicalize_activations: modified" in caplog.text
    assert "pass fold_padding: nothing to do" in caplog.text
