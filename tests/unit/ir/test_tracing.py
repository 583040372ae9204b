"""What capture does for the user's module, and that it leaves it as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.errors import CaptureError, InputError
from edgeopt.ir import ReferenceRunner


class _Remembering(nn.Module):
    """Makes anchors when it sees a new shape, as detectors do."""

    shape: torch.Size | None = None

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.anchors = torch.empty(0)
        self.seen: list[torch.Tensor] = []
        self.last: dict[str, torch.Tensor] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        if self.shape != y.shape:
            self.anchors, self.shape = torch.arange(y.shape[-1]).type_as(y), y.shape
            self.seen.append(y)
            self.last["y"] = y
        return y + self.anchors


def test_a_module_is_as_it_was_after_its_capture():
    model, x = _Remembering().eval(), torch.randn(1, 3, 8, 8)
    before = dict(model.__dict__)
    program = edgeopt.capture(model, (x,))
    assert model.__dict__ == before
    assert not model.seen
    assert not model.last
    assert edgeopt.capture(model, (x,)).digest == program.digest
    with torch.no_grad():
        expected = model(x).numpy()
    assert abs(ReferenceRunner(program)(x.numpy()) - expected).max() < 1e-5
    assert len(model.seen) == 1


def test_a_module_that_has_run_keeps_what_it_has_kept():
    model, x = _Remembering().eval(), torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        model(x)
    seen = list(model.seen)
    edgeopt.capture(model, (torch.randn(1, 3, 6, 6),))
    assert model.seen == seen
    assert model.shape == (1, 4, 6, 6)


class _Hooked(nn.Module):
    """Registers hooks at its first call, as models of transformers do for what they collect."""

    installed = False

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.kept = {"states": []}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.installed:
            self.layer.register_forward_hook(lambda *call: self.kept["states"].append(call[-1]))
            self.installed = True
        self.layer(x)
        return torch.stack(self.kept["states"]).sum(0)


def test_hooks_of_the_first_call_are_registered_once():
    model, x = _Hooked().eval(), torch.randn(1, 4)
    program = edgeopt.capture(model, (x,))
    assert not model.layer._forward_hooks
    assert not model.kept["states"]
    with torch.no_grad():
        expected = model(x).numpy()
    assert len(model.kept["states"]) == 1
    assert abs(ReferenceRunner(program)(x.numpy()) - expected).max() < 1e-5


class _Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.transformer = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)

    def forward(self, x: torch.Tensor, y: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(4)
        result: torch.Tensor = self.transformer(
            x, y, tgt_mask=mask, src_key_padding_mask=hidden, memory_key_padding_mask=hidden
        )
        return result


def test_transformers_with_masks():
    torch.manual_seed(0)
    model = _Masked().eval()
    hidden = torch.tensor([[False] * 4 + [True], [False] * 5])
    inputs = (torch.randn(2, 5, 8), torch.randn(2, 4, 8), hidden)
    program = edgeopt.capture(model, inputs)
    with torch.no_grad():
        expected = model(*inputs).numpy()
    actual = ReferenceRunner(program)(*(x.numpy() for x in inputs))
    assert abs(actual - expected).max() < 1e-5


def test_distributions_are_not_asked_whether_they_are_valid(written):
    def deviation(_, x):
        return torch.distributions.Normal(x, x.exp()).variance

    x = torch.randn(2, 3)
    program = edgeopt.capture(written(deviation), (x,))
    assert torch.allclose(torch.from_numpy(ReferenceRunner(program)(x.numpy())), (2 * x).exp())
    with pytest.raises(ValueError, match="scale"):  # asked again afterwards
        torch.distributions.Normal(x, -x.exp())


def test_torchscript_is_refused():
    model = nn.Sequential(torch.jit.script(nn.Linear(3, 2))).eval()
    with pytest.raises(InputError, match="TorchScript") as caught:
        edgeopt.capture(model, (torch.zeros(1, 3),))
    assert caught.value.where == "0"


def test_what_a_mask_chooses_is_refused_as_a_shape_of_values(written):
    def positive(_, x):
        return x[x > 0]

    with pytest.raises(CaptureError, match=r"torch\.where"):
        edgeopt.capture(written(positive), (torch.randn(2, 3),))


def test_a_language_model_is_captured_without_its_cache():
    import transformers

    config = transformers.GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=50)
    model = transformers.GPT2LMHeadModel(config).eval()
    tokens = torch.randint(0, 50, (1, 5))
    program = edgeopt.capture(model, (tokens,))
    assert model.config.use_cache
    assert [port.name for port in program.signature.outputs] == ["logits"]


def test_experts_read_the_weights_that_each_token_chooses():
    import transformers

    config = transformers.MixtralConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        num_local_experts=3,
        vocab_size=50,
    )
    model = transformers.MixtralModel(config).eval()
    chosen = model.config._experts_implementation
    tokens = torch.randint(0, 50, (1, 6))
    program = edgeopt.capture(model, {"input_ids": tokens})
    assert model.config._experts_implementation == chosen
    with torch.no_grad():
        wanted = model(tokens).last_hidden_state.numpy()
    assert abs(ReferenceRunner(program)(tokens.numpy()) - wanted).max() < 1e-4
    assert "grouped" not in " ".join(str(node.target) for node in program.graph.nodes)


def test_a_part_that_is_moved_within_forward_stays(written):
    class Moves(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = nn.Linear(3, 2)

        def forward(self, x):
            self.part = self.part.to(x.dtype)
            return self.part(x)

    model, x = Moves().eval(), torch.randn(2, 3)
    weight = model.part.weight
    assert edgeopt.capture(model, (x,)).signature.outputs[0].shape == (2, 2)
    assert model.part.weight is weight
