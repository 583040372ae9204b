"""All core passes together: one canonical form, reached once."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.errors import ProgramError
from edgeopt.ir import QuantSpec, ReferenceRunner, capture_module, ops
from edgeopt.ir.operators import CONVOLUTIONS
from edgeopt.ir.source import source_line
from edgeopt.passes import CORE, REGISTRY, find_pass, run_core, run_passes

PASSES = Path(find_pass.__code__.co_filename).parent


def answers(program, *inputs):
    got = ReferenceRunner(program)(*[t.numpy() for t in inputs])
    return got if isinstance(got, tuple) else (got,)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.SiLU(inplace=True)
        )
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Hardsigmoid())

    def forward(self, x):
        y = self.branch(x)
        return torch.relu(x + y * self.gate(y))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.inside = nn.MultiheadAttention(8, 2, batch_first=True)
        self.out = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, 8))

    def forward(self, x):
        y = self.norm(x)
        x = x + self.inside(y, y, y, need_weights=False)[0]
        return x + self.out(x)


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.cell = kind(3, 4, batch_first=True, bidirectional=True)
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        return self.out(self.cell(x)[0][:, -1])


def stack(*layers):
    return nn.Sequential(*layers)


MODELS = {
    "residual": (Residual, (1, 4, 6, 6)),
    "attention": (Attention, (1, 5, 8)),
    "lstm": (lambda: Recurrent(nn.LSTM), (1, 3, 3)),
    "gru": (lambda: Recurrent(nn.GRU), (1, 3, 3)),
    "rnn": (lambda: Recurrent(nn.RNN), (1, 3, 3)),
    "norm first": (
        lambda: stack(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 3, padding="same")),
        (1, 3, 6, 6),
    ),
    "audio": (
        lambda: stack(
            nn.Conv1d(2, 4, 5, padding=2), nn.BatchNorm1d(4), nn.PReLU(4), nn.MaxPool1d(2)
        ),
        (1, 2, 12),
    ),
    "upsampling": (
        lambda: stack(nn.ConvTranspose2d(3, 4, 2, 2), nn.BatchNorm2d(4), nn.PixelShuffle(2)),
        (1, 3, 4, 4),
    ),
    "transformer": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True),
        (1, 4, 8),
    ),
}


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    """A model with batch norm that has seen data, its program and its canonical form."""
    torch.manual_seed(1)
    make, shape = MODELS[request.param]
    model, x = make().eval(), torch.randn(shape)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    captured = capture_module(model, (x.clone(),))
    return model, x, captured, run_core(captured)


def test_the_function_is_kept(case):
    model, x, _, core = case
    with torch.no_grad():
        wanted = model(x.clone())
    np.testing.assert_allclose(answers(core, x)[0], wanted.numpy(), atol=2e-6, rtol=1e-5)


def test_a_second_run_changes_nothing(case):
    _, _, _, core = case
    again = run_core(core)
    assert again.text == core.text
    assert again.digest == core.digest


def test_captured_programs_stay_as_they_were(case):
    _, x, captured, _ = case
    text = captured.text
    run_core(captured)
    assert captured.text == text
    assert len(captured.history) == 1
    answers(captured, x)


def test_only_canonical_spellings_are_left(case):
    _, _, _, core = case
    called = {str(n.target) for n in core.graph.nodes if n.op == "call_function"}
    gone = (
        "batch_norm silu hardtanh relu6 hardsigmoid view transpose select split unbind stack addmm "
        "bmm mm dropout clone rsub masked_fill padding prelu"
    )
    for name in called:
        assert name.removeprefix("aten.").split(".")[0].lstrip("_") not in gone.split(), name


def test_weighted_operators_are_complete(case):
    _, _, _, core = case
    for node in core.graph.nodes:
        if not ops.is_weighted(node):
            continue
        _, weight, bias = ops.weighted_parts(node)
        assert weight.name in core.constants
        assert bias.name in core.constants
        assert len(bias.users) == 1
        if node.target in CONVOLUTIONS:
            rank = core.constants[weight.name].ndim - 2
            assert all(len(a) == rank for a in node.args if isinstance(a, (list, tuple)))


def test_no_scalar_is_left_in_arithmetic(case):
    _, _, _, core = case
    aten = torch.ops.aten
    for node in core.graph.nodes:
        if node.target in (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor):
            assert len(node.all_input_nodes) == 2 or node.args[0] is node.args[1]
            assert not node.kwargs


def test_every_call_knows_where_it_comes_from(case):
    _, _, _, core = case
    for node in core.graph.nodes:
        if node.op == "call_function":
            assert re.fullmatch(r"[\w/.]+:\d+", source_line(node)), node.name


def test_grids_survive_the_core_passes():
    """Passes may run again on a program that has its table."""
    model = stack(nn.Linear(3, 4), nn.ReLU()).eval()
    core = run_core(capture_module(model, (torch.ones(1, 3),)))
    from dataclasses import replace

    spec = QuantSpec.affine(0.0, 1.0, method="t")
    gridded = replace(core, quant={"relu": spec})
    assert run_core(gridded).quant["relu"].same_grid(spec)


def test_an_alias_with_its_own_grid_is_a_rounding(written):
    from dataclasses import replace

    model = written(lambda _, x: torch.ops.aten.alias(x) * 2)
    program = capture_module(model, (torch.ones(3),))
    (alias,) = [n.name for n in program.graph.nodes if n.target is torch.ops.aten.alias.default]
    gridded = replace(program, quant={alias: QuantSpec.affine(0.0, 1.0, method="t")})
    assert alias in find_pass("remove_identities")(gridded).text
    assert alias not in find_pass("remove_identities")(program).text


def test_large_results_are_not_folded(written):
    model = written(lambda _, x: x + torch.zeros(1).expand(2**21 + 1).clone()[:1])
    program = run_passes(capture_module(model, (torch.ones(1),)), ["fold_constants"])
    assert max(t.numel() for t in program.constants.values()) < 2**21


def test_random_constants_do_not_reach_the_passes():
    """What draws numbers is refused at capture, so that nothing is folded into one draw."""
    from edgeopt.errors import CaptureError

    class Noisy(nn.Module):
        def forward(self, x):
            return x + torch.rand(3)

    with pytest.raises(CaptureError):
        capture_module(Noisy().eval(), (torch.ones(3),))


def test_a_pass_of_a_plugin_is_found_by_its_path():
    found = find_pass("edgeopt.passes.fold_constants:fold_constants")
    assert found is find_pass("fold_constants")


@pytest.mark.parametrize(
    "name", ["fold", "", "edgeopt.passes.nothing:f", "edgeopt.passes.base:nothing", "json"]
)
def test_an_unknown_pass(name):
    with pytest.raises(ProgramError, match="no pass") as caught:
        find_pass(name)
    assert "fold_constants" in caught.value.hint


def test_every_pass_is_registered_and_says_what_it_ensures():
    files = {p.stem for p in PASSES.glob("*.py")} - {"__init__", "base"}
    assert files == {place.partition(":")[0].rpartition(".")[2] for place in REGISTRY.values()}
    assert set(CORE) <= set(REGISTRY)
    for name in REGISTRY:
        made = find_pass(name)
        assert made.__name__ == name
        text = __import__(made.__module__, fromlist=["x"]).__doc__
        assert "Requires:" in text, name
        assert "Ensures:" in text, name


def test_history_names_what_was_done():
    model = stack(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU6()).eval()
    core = run_core(capture_module(model, (torch.ones(1, 3, 5, 5),)))
    done = {step.name: step.effect for step in core.history}
    assert done["fold_batch_norm"] == {"folded": 1, "spelled_out": 0}
    assert done["canonicalize_activations"] == {"changed": 1}
    assert "fuse_activations" not in done
