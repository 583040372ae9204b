"""What cannot become a program, and what the error says of it."""

import pytest
import torch
from torch import nn

from edgeopt.errors import CaptureError
from edgeopt.ir import ReferenceRunner, capture_module

X = torch.ones(2, 3)


def line_of(function, offset=1):
    return f"test_capture_refusals.py:{function.__code__.co_firstlineno + offset}"


def test_a_branch_on_values(written):
    def decide(_, x):
        if x.sum() > 0:
            return x
        return -x

    with pytest.raises(CaptureError, match="data-dependent") as caught:
        capture_module(written(decide), (X,))
    assert caught.value.where == line_of(decide)
    assert "torch.where" in caught.value.hint


class Picker(nn.Module):
    def forward(self, x):
        return x[x > 0]


def test_a_shape_that_depends_on_values():
    with pytest.raises(CaptureError, match="not known") as caught:
        capture_module(Picker().eval(), (X,))
    assert caught.value.where == line_of(Picker.forward)
    assert "torch.where" in caught.value.hint


@pytest.mark.parametrize(
    ("function", "hint"),
    [(torch.combinations, "Keep the shape"), (torch.cov, "Compute both sides")],
    ids=["a shape", "a branch"],
)
def test_what_torch_does_with_values_inside_an_operator(written, function, hint):
    with pytest.raises(CaptureError) as caught:
        capture_module(written(lambda _, x: function(x[0])), (X,))
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (torch.empty_like, "has written nothing to it"),
        (lambda x: x.new_empty(3) + x, "has written nothing to it"),
        (lambda x: torch.empty(2, 3)[0] + x, "has written nothing to it"),
        (lambda x: torch.where(x > 0, x, torch.empty_like(x)), "has written nothing to it"),
        (lambda x: x.clone().copy_(torch.empty_like(x)), "has written nothing to it"),
        (lambda x: torch.empty_like(x).masked_fill_(x > 0, 1.0), "has written nothing to it"),
        (torch.Tensor.bfloat16, "bfloat16"),
        (torch.Tensor.to_sparse, "sparse"),
    ],
    ids=["empty_like", "new_empty", "view", "where", "copy", "mask", "bfloat16", "sparse"],
)
def test_values_that_no_artefact_gives(written, function, words):
    with pytest.raises(CaptureError, match=words):
        capture_module(written(lambda _, x: function(x)), (X,))


def test_memory_that_is_written_before_it_is_read(written):
    def rows(_, x):
        buffer = torch.empty(2, 3)
        buffer[0], buffer[1] = x[1], x[0]
        flat = torch.empty(6)
        flat.view(2, 3)[0].fill_(1.0)
        flat[3:] = 1.0
        return buffer + flat.view(2, 3) + torch.zeros_like(torch.empty_like(x)).fill_(1.0)

    program = capture_module(written(rows), (X,))
    assert (ReferenceRunner(program)(X.numpy()) == 3).all()


def test_item(written):
    def cut(_, x):
        return x[: int(x.sum().item())]

    with pytest.raises(CaptureError) as caught:
        capture_module(written(cut), (X,))
    assert caught.value.where == line_of(cut)


def test_dynamic_shapes_are_refused():
    batch = torch.export.Dim("batch")
    exported = torch.export.export(nn.Linear(3, 2).eval(), (X,), dynamic_shapes=({0: batch},))
    with pytest.raises(CaptureError, match="a dimension of input is not known") as caught:
        capture_module(exported)
    assert "without dynamic_shapes" in caught.value.hint


def test_a_graph_inside_the_graph(written):
    model = written(lambda _, x: torch.cond(x.sum() > 0, lambda v: v + 1, lambda v: v - 1, (x,)))
    with pytest.raises(CaptureError, match="cond has graphs inside"):
        capture_module(model, (X,))


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        self.seen += 1
        return x * self.seen


def test_a_write_to_a_buffer():
    with pytest.raises(CaptureError, match="writes to its buffer seen") as caught:
        capture_module(Counter().eval(), (X,))
    assert caught.value.where == line_of(Counter.forward)


def test_a_program_exported_in_training_mode():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    exported = torch.export.export(model, (torch.ones(2, 3, 8, 8),))
    with pytest.raises(CaptureError, match="running_mean") as caught:
        capture_module(exported)
    assert "model.eval()" in caught.value.hint


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda _, x: x + torch.rand(3), "pass the numbers in"),
        (lambda _, x: x + torch.randn_like(x), "pass the numbers in"),
        (lambda _, x: nn.functional.dropout(x, 0.5), "dropout is on"),
        (
            lambda _, x: nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=0.3),
            "pass the numbers in",
        ),
    ],
    ids=["rand", "randn_like", "dropout", "attention"],
)
def test_random_numbers(written, draw, said):
    with pytest.raises(CaptureError, match="draws random numbers") as caught:
        capture_module(written(draw), (X,))
    assert said in caught.value.hint


@pytest.mark.parametrize(
    "model",
    [
        nn.Dropout(0.5),
        nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)),
        nn.LSTM(3, 4, num_layers=2, dropout=0.5),
        nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True),
        nn.RReLU(),
    ],
    ids=["dropout", "sequence", "lstm", "transformer", "rrelu"],
)
def test_operators_that_draw_only_in_training_are_taken(model):
    width = 4 if isinstance(model, nn.TransformerEncoderLayer) else 3
    x = torch.ones(2, 1, width)
    program = capture_module(model.eval(), (x,))
    got = ReferenceRunner(program)(x.numpy())
    wanted = model(x)
    got, wanted = (v[0] if isinstance(v, tuple) else v for v in (got, wanted))
    assert torch.allclose(torch.from_numpy(got), wanted, atol=1e-5)


def test_no_tensor_comes_out(written):
    with pytest.raises(CaptureError, match="returns no tensor"):
        capture_module(written(lambda _, x: 3), (X,))


def test_inputs_of_another_shape_than_the_model_takes():
    with pytest.raises(CaptureError, match=r"torch\.export: .*\[2, 3\]"):
        capture_module(nn.Linear(4, 3).eval(), (X,))


def test_an_argument_that_the_model_lacks():
    with pytest.raises(CaptureError, match="input"):
        capture_module(nn.Linear(3, 3).eval(), {"pixels": X})


def test_an_input_without_elements(written):
    with pytest.raises(CaptureError, match=r"input \w+ has no elements: its shape is \[0, 3\]"):
        capture_module(written(lambda _, x: x + 1), (torch.ones(0, 3),))
