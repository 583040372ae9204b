"""An editor changes a copy."""

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.ir import Editor, QuantSpec, ReferenceRunner, Step, capture_module
from edgeopt.ir.edit import first_change

aten = torch.ops.aten
X = torch.arange(32.0).reshape(1, 2, 4, 4) / 16


def answer(program, x=X):
    return ReferenceRunner(program)(x.numpy())


def test_the_program_that_is_edited_stays_as_it_was(small):
    text, digest, before = small.text, small.digest, answer(small)
    editor = Editor(small)
    linear = editor.node("linear")
    editor.replace(
        linear, editor.call(aten.relu.default, (linear.args[0],), before=linear, like=linear)
    )
    editor.set_tensor(editor.node("p_0_weight"), torch.zeros(3, 2, 3, 3))
    editor.quant["conv2d"] = QuantSpec.affine(0, 1, method="t")
    assert small.text == text
    assert small.quant == {}
    assert (answer(small) == before).all()
    fresh = Editor(small).finish()
    assert (fresh.text, fresh.digest) == (text, digest)


def test_a_replaced_weight_takes_effect(small):
    editor = Editor(small)
    editor.set_tensor(editor.node("p_4_weight"), torch.zeros(2, 12))
    editor.set_tensor(editor.node("p_4_bias"), torch.tensor([1.0, 2.0]))
    assert answer(editor.finish()).tolist() == [[1.0, 2.0]]


def test_dead_nodes_and_constants_go(small):
    editor = Editor(small)
    linear = editor.node("linear")
    pooled = editor.call(aten.mean.dim, (linear.args[0], [1], True), before=linear, like=linear)
    editor.replace(
        linear, editor.call(aten.cat.default, ([pooled, pooled], 1), before=linear, like=linear)
    )
    program = editor.finish(Step("drop"))
    assert "p_4_weight" not in program.constants
    assert "p_4_weight" not in program.exported.state_dict
    assert "linear" not in program.text
    assert program.history[-1].name == "drop"


def test_unused_inputs_stay(written):
    program = capture_module(written(lambda _, x, y: x + 1), (X, torch.ones(2)))
    assert Editor(program).finish().input_names == program.input_names


def test_a_grid_moves_with_a_replaced_value(small):
    editor = Editor(small)
    spec = QuantSpec.affine(0.0, 6.0, method="t")
    editor.quant["clamp_default"] = spec
    node = editor.node("clamp_default")
    new = editor.call(aten.relu.default, (node.args[0],), before=node, like=node)
    editor.replace(node, new)
    program = editor.finish()
    assert set(program.quant) == {new.name}
    assert program.quant[new.name].same_grid(spec)


def test_grids_and_sparsity_of_what_is_gone_go(small_int8):
    editor = Editor(small_int8)
    linear = editor.node("linear")
    editor.replace(
        linear,
        editor.call(aten.slice.Tensor, (linear.args[0], 1, 0, 2, 1), before=linear, like=linear),
    )
    editor.quant["slice_tensor"] = editor.quant["reshape_default"]
    program = editor.finish()
    assert "p_4_weight" not in program.quant
    assert "p_4_bias" not in program.quant


def test_constants_may_be_added_twice_under_one_hint(small):
    editor = Editor(small)
    linear = editor.node("linear")
    first = editor.add_constant("shift", torch.tensor([1.0]))
    second = editor.add_constant("shift", torch.tensor([2.0]))
    assert first.name != second.name
    total = linear
    for part in (first, second):
        new = editor.call(
            aten.add.Tensor, (total, part), before=editor.graph.output_node(), like=linear
        )
        editor.graph.output_node().replace_input_with(total, new)
        total = new
    program = editor.finish()
    assert (answer(program) == answer(small) + 3).all()


class Named(nn.Module):
    """Its own parameter has the name that a bias for the convolution would get."""

    def __init__(self):
        super().__init__()
        self.conv2d_bias = nn.Parameter(torch.tensor([3.0]))
        self.conv = nn.Conv2d(2, 1, 1, bias=False)

    def forward(self, x):
        return self.conv(x) * self.conv2d_bias


def test_a_new_constant_never_takes_the_place_of_a_weight_of_the_model():
    model = Named().eval()
    program = capture_module(model, (X,))
    editor = Editor(program)
    conv = editor.node("conv2d")
    bias = editor.add_constant("conv2d_bias", torch.tensor([0.5]))
    conv.args = (*conv.args[:2], bias, *conv.args[3:])
    edited = editor.finish()
    assert len(edited.constants) == len(edited.exported.state_dict) == 3
    wanted = (model.conv(X) + 0.5) * 3
    assert torch.allclose(torch.from_numpy(answer(edited)), wanted, atol=1e-6)


def test_the_name_of_an_argument_survives():
    program = capture_module(nn.Linear(3, 2).eval(), (torch.ones(1, 3),))
    assert program.input_names == ("input",)
    assert Editor(Editor(program).finish()).finish().input_names == ("input",)


def test_new_calls_know_their_shape_and_source(small):
    editor = Editor(small)
    linear = editor.node("linear")
    new = editor.call(
        aten.matmul.default,
        (linear, editor.add_constant("m", torch.ones(2, 5))),
        before=editor.graph.output_node(),
        like=linear,
    )
    assert tuple(new.meta["val"].shape) == (1, 5)
    assert new.meta["nn_module_stack"] == linear.meta["nn_module_stack"]


def test_refresh_recomputes_shapes(small):
    editor = Editor(small)
    editor.node("reshape_default").args = (editor.node("max_pool2d"), [1, 2, 6])
    editor.node("linear").args = (
        editor.node("reshape_default"),
        editor.add_constant("w", torch.ones(4, 6)),
        None,
    )
    editor.refresh()
    assert tuple(editor.node("linear").meta["val"].shape) == (1, 2, 4)


def test_calls_may_be_filtered(small):
    editor = Editor(small)
    assert [n.name for n in editor.calls(aten.linear.default)] == ["linear"]
    assert len(list(editor.calls())) == 5


def test_what_is_no_constant(small):
    editor = Editor(small)
    assert editor.is_constant(editor.node("p_0_weight"))
    assert not editor.is_constant(editor.node("input"))
    assert not editor.is_constant(editor.node("conv2d"))
    assert not editor.is_constant(3)
    with pytest.raises(KeyError):
        editor.tensor(editor.node("input"))


def test_looking_copies_nothing(small, monkeypatch):
    monkeypatch.setattr("edgeopt.ir.edit.copy_graph", lambda _: pytest.fail("copied"))
    editor = Editor(small)
    names = [n.name for n in editor.scan()]
    assert names == [n.name for n in small.graph.nodes if n.op == "call_function"]
    assert editor.peek("linear") is small.node("linear")
    assert editor.finish().exported is small.exported
    assert editor.finish(Step("look")).history[-1].name == "look"


def test_nodes_seen_before_the_first_change_stand_for_their_copies(small):
    text = small.text
    editor = Editor(small)
    seen = list(editor.scan())  # all of the program itself
    for node in seen:
        if node.target is aten.linear.default:
            new = editor.call(aten.mul.Tensor, (node, node), before=node.next, like=node)
            editor.update(new, (new.args[0], editor.peek("linear")))
            for user in list(node.users):
                assert user.graph is small.graph
    last = editor.graph.output_node()
    last.replace_input_with(editor.node("linear"), new)
    program = editor.finish(Step("square"))
    assert small.text == text
    np.testing.assert_allclose(answer(program), answer(small) ** 2, rtol=1e-6)


def test_what_was_replaced_is_found_by_its_old_node(small):
    editor = Editor(small)
    nodes = {n.name: n for n in editor.scan()}
    first = nodes["linear"]
    doubled = editor.call(aten.mul.Tensor, (first.args[0], first.args[0]), before=first, like=first)
    linear = editor.call(aten.linear.default, (doubled, *first.args[1:]), before=first, like=first)
    editor.replace(first, linear)
    again = editor.call(aten.neg.default, (first,), before=editor.graph.output_node(), like=linear)
    assert again.args == (linear,)
    assert linear.name not in nodes
    assert "linear" not in [n.name for n in editor.scan()]


def test_a_change_is_seen_without_being_made(small):
    text = small.text

    def change(program):
        editor = Editor(program)
        for node in editor.scan(aten.linear.default):
            editor.update(node, node.args)
        return editor.finish(Step("change"))

    assert first_change(change, small) == "linear"
    assert first_change(lambda program: program, small) is None
    assert small.text == text
    assert change(small).history[-1].name == "change"
