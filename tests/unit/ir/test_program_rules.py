"""Every rule of the IR is broken here on purpose, and must say so."""

import copy
import operator
import os
from dataclasses import replace

import pytest
import torch
from torch import nn

from edgeopt.contracts import Signature, TensorSpec
from edgeopt.errors import ProgramError
from edgeopt.ir import Editor, Program, QuantSpec, Step, program_rules, verify_program

aten = torch.ops.aten


def edited(program, change):
    """Returns the program after ``change`` of a copy of its graph, without any check."""
    exported = copied(program)
    change(exported.graph_module.graph)
    return replace(program, exported=exported)


def copied(program):
    exported = copy.deepcopy(program.exported)
    for old, new in zip(program.graph.nodes, exported.graph_module.graph.nodes, strict=True):
        new.name = old.name  # torch renames an argument that is called as a builtin
    return exported


def regridded(program, name, **changes):
    return replace(program, quant={**program.quant, name: replace(program.quant[name], **changes)})


def without(program, *names):
    return replace(program, quant={k: v for k, v in program.quant.items() if k not in names})


def node_of(graph, target):
    return next(n for n in graph.nodes if n.target is target)


def retarget(target, new, args=None):
    def change(graph):
        node = node_of(graph, target)
        node.target = new
        node.args = node.args if args is None else (node.args[0], *args)

    return lambda program: edited(program, change)


def with_shape(program, **changes):
    (spec,) = program.signature.outputs
    values = {"name": spec.name, "shape": spec.shape, "dtype": spec.dtype, **changes}
    return replace(program, signature=Signature(program.signature.inputs, (TensorSpec(**values),)))


def add_attribute(graph):
    first = next(n for n in graph.nodes if n.op == "call_function")
    graph.owning_module.register_buffer("weight", torch.ones(1))
    with graph.inserting_before(first):
        graph.get_attr("weight")


def read(exported):
    """Returns a program with a signature that fits, whatever else is wrong with it."""
    made = Program(exported, Signature((), ()))

    def specs(names):
        values = [(name, made.node(name).meta["val"]) for name in names]
        return tuple(
            TensorSpec(name, tuple(v.shape), str(v.dtype).removeprefix("torch."))
            for name, v in values
        )

    return replace(made, signature=Signature(specs(made.input_names), specs(made.output_names)))


def unknown_shape(program):
    class Doubled(nn.Module):
        def forward(self, x):
            return x * 2

    x = torch.ones(3, 2)
    dynamic = ({0: torch.export.Dim("batch")},)
    return read(torch.export.export(Doubled().eval(), (x,), dynamic_shapes=dynamic))


def float_input_of_ints(program):
    """The table names a value of integers."""
    made = read(torch.export.export(nn.Embedding(4, 2).eval(), (torch.tensor([[1]]),)))
    return replace(made, quant={made.input_names[0]: QuantSpec.affine(0.0, 1.0, method="t")})


def moved_constant(program):
    exported = copied(program)
    exported.state_dict["0.weight"] = exported.state_dict["0.weight"] + 1e-3
    return replace(program, exported=exported)


def with_one_step_for_all_channels(program):
    exported = copied(program)
    exported.state_dict["0.bias"] = torch.zeros(3)
    spec = program.quant["p_0_bias"]
    one = {"scale": spec.scale[:1], "zero_point": spec.zero_point[:1], "axis": None}
    return regridded(replace(program, exported=exported), "p_0_bias", **one)


BROKEN = [
    ("signature fits graph", lambda p: with_shape(p, shape=(1, 3))),
    ("signature fits graph", lambda p: with_shape(p, dtype="int8")),
    ("signature fits graph", lambda p: replace(p, signature=Signature((), p.signature.outputs))),
    ("every operator is one of torch", retarget(aten.reshape.default, os.system, ())),
    ("every operator is one of torch", retarget(aten.reshape.default, torch.reshape)),
    ("every operator is one of torch", retarget(aten.reshape.default, operator.add)),
    ("every operator is one of torch", retarget(aten.reshape.default, aten.from_file.default)),
    ("every operator is one of torch", retarget(aten.reshape.default, aten.save.default)),
    ("every operator is functional", retarget(aten.reshape.default, aten.add_.Tensor)),
    ("every operator is functional", lambda p: edited(p, add_attribute)),
    ("every shape is known", unknown_shape),
    (
        "quantized values are float tensors",
        lambda p: replace(p, quant={**p.quant, "gone": p.quant["linear"]}),
    ),
    ("quantized values are float tensors", float_input_of_ints),
    ("channels fit axis", lambda p: regridded(p, "p_0_weight", axis=1)),
    ("channels fit axis", lambda p: regridded(p, "p_0_weight", axis=4)),
    ("constants lie on their grid", moved_constant),
    (
        "constants lie on their grid",
        lambda p: regridded(p, "p_0_weight", scale=p.quant["p_0_weight"].scale * 1.01),
    ),
    ("integer weighted operators are complete", lambda p: without(p, "p_4_bias")),
    (
        "integer weighted operators are complete",
        lambda p: regridded(p, "p_0_bias", scale=p.quant["p_0_bias"].scale / 2),
    ),
    ("integer weighted operators are complete", with_one_step_for_all_channels),
    (
        "moved values keep their grid",
        lambda p: replace(p, quant={**p.quant, "max_pool2d": p.quant["linear"]}),
    ),
    (
        "moved values keep their grid",
        lambda p: regridded(p, "reshape_default", zero_point=torch.tensor([0], dtype=torch.int32)),
    ),
]


@pytest.mark.parametrize(
    ("rule", "broken"), BROKEN, ids=[f"{i} {rule}" for i, (rule, _) in enumerate(BROKEN)]
)
def test_a_broken_rule_is_found(small_int8, rule, broken):
    with pytest.raises(ProgramError, match=rf"\(rule: {rule}\)") as caught:
        verify_program(broken(small_int8), after="a test")
    assert caught.value.where == "program after a test"


def test_every_rule_is_broken_above():
    names = {rule.__name__.strip("_").replace("_", " ") for rule in program_rules.RULES}
    assert names == {rule for rule, _ in BROKEN}


def test_legal_programs_pass(small, small_int8):
    verify_program(small)
    verify_program(small_int8)


def test_a_step_that_breaks_a_rule_is_named(small_int8):
    editor = Editor(small_int8)
    editor.quant["linear"] = replace(editor.quant["linear"], axis=1)
    with pytest.raises(ProgramError) as caught:
        editor.finish(Step("my_pass"))
    assert caught.value.where == "program after my_pass"
    assert "report" in caught.value.hint


def test_float_values_between_integers_are_legal(small_int8):
    verify_program(without(small_int8, "linear"))


def test_a_weighted_operator_may_be_kept_in_float(small_int8):
    verify_program(without(small_int8, "p_0_weight", "p_0_bias"))


def test_an_alias_may_change_the_grid(small_int8):
    editor = Editor(small_int8)
    linear = editor.node("linear")
    other = editor.call(aten.alias.default, (linear.args[0],), before=linear, like=linear)
    linear.args = (other, *linear.args[1:])
    scale = editor.quant["reshape_default"].scale * 2
    editor.quant[other.name] = replace(editor.quant["reshape_default"], scale=scale)
    bias = editor.quant["p_4_bias"]
    editor.quant["p_4_bias"] = replace(bias, scale=bias.scale * 2)
    rounded = editor.quant["p_4_bias"].fake(editor.constants["p_4_bias"])
    editor.set_tensor(editor.node("p_4_bias"), rounded)
    editor.finish(Step("requantize"))
