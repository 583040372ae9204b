"""Equal programs have equal digests, and others do not."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from edgeopt.ir import Editor, QuantSpec, Sparsity, capture_module

X = torch.ones(1, 3)


def model():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()


def with_constant(program, change):
    editor = Editor(program)
    tensor = editor.constants["p_0_weight"].clone()
    change(tensor)
    editor.set_tensor(editor.node("p_0_weight"), tensor)
    return editor.finish()


def test_the_same_model_gives_the_same_digest():
    assert capture_module(model(), (X,)).digest == capture_module(model(), (X,)).digest


def test_history_and_names_of_methods_do_not_count():
    program = capture_module(model(), (X,))
    assert program.with_step("look", {}, {}).digest == program.digest
    spec = QuantSpec.affine(0.0, 1.0, method="minmax")
    grids = [{"linear": spec}, {"linear": spec.with_method("mse")}]
    one, other = (replace(program, quant=grid).digest for grid in grids)
    assert one == other != program.digest


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[0, 0].add_(1e-6),
        lambda t: t[0, 0].mul_(-1),
        lambda t: t.copy_(t.flip(0)),
    ],
    ids=["one value", "a sign", "order"],
)
def test_every_value_counts(change):
    program = capture_module(model(), (X,))
    assert with_constant(program, change).digest != program.digest


def test_layout_in_memory_does_not_count():
    one = nn.Conv2d(3, 4, 3).eval()
    x = torch.ones(1, 3, 5, 5)
    plain = capture_module(one, (x,)).digest
    assert capture_module(one.to(memory_format=torch.channels_last), (x,)).digest == plain


def test_grids_count_beyond_the_digits_of_the_text(small_int8):
    spec = small_int8.quant["linear"]
    moved = torch.nextafter(spec.scale, torch.tensor([1.0]))
    other = replace(small_int8, quant={**small_int8.quant, "linear": replace(spec, scale=moved)})
    assert other.text == small_int8.text
    assert other.digest != small_int8.digest


def test_precision_and_sparsity_count(small):
    digests = {
        small.digest,
        replace(small, precision="float16").digest,
        replace(small, sparsity={"p_0_weight": Sparsity("2:4", 0.5)}).digest,
    }
    assert len(digests) == 3


def test_names_of_outputs_count(written):
    one, other = (
        capture_module(written(lambda _, x, key=key: {key: x + 1}), (X,)).digest
        for key in ("logits", "scores")
    )
    assert one != other


def test_bits_and_axis_count(small_int8):
    spec = small_int8.quant["linear"]
    seven = replace(small_int8, quant={**small_int8.quant, "linear": replace(spec, bits=7)})
    assert seven.digest != small_int8.digest


PROGRAM = """
import torch
from torch import nn
from edgeopt.ir import capture_module
from edgeopt.passes import run_core

class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return nn.functional.softmax(self.inner(x, x, x, need_weights=False)[0], -1)

torch.manual_seed(3)
convolution = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.SiLU())
for model, shape in ((convolution, (1, 1, 5, 5)), (Attention(), (1, 4, 8)), (nn.LSTM(4, 4), (3, 1, 4))):
    print(run_core(capture_module(model.eval(), (torch.ones(shape),))).digest)
"""


@pytest.mark.slow
def test_another_process_computes_the_same_digest(capsys):
    """Nor does it matter that captures are prepared once here, which no user's process does."""
    exec(PROGRAM, {"__name__": "here"})  # noqa: S102 (the same text)
    digests = {capsys.readouterr().out} | {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, threads in (("1", "1"), ("2", "2"))
    }
    assert len(digests) == 1
    assert len(set(digests.pop().split())) == 3
