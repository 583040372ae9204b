"""Models that a writer of C gets wrong: each equals the reference, its inputs and outputs in the arena."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import edgeopt
from edgeopt.errors import UnsupportedError
from edgeopt.ir import ReferenceRunner
from edgeopt.options import CompileOptions
from edgeopt.registry import find_backend, find_target
from edgeopt_micro.device.edgeopt_board.ports import Port

PLAIN = {"ranges": "minmax", "equalization": "off", "smoothing": "off"}
PLAIN |= {"bias_correction": "off", "rounding": "nearest"}


class Of(nn.Module):
    """A model of a function and the layers that it names."""

    def __init__(self, function, **layers):
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, *x):
        return self.function(self, *x)


def program_of(model, samples, precision):
    torch.manual_seed(0)
    model = model.eval()
    if precision == "float32":
        return edgeopt.capture(model, samples[0])
    return edgeopt.quantize(model, samples, example_inputs=samples[0], precision=precision, **PLAIN)


def check(model, *shape, precision="int8", target="generic-cortex-m4f", steps=0, samples=None):
    """Compares the C source with the reference on some samples."""
    torch.manual_seed(1)
    samples = samples or [(torch.randn(*shape),) for _ in range(8)]
    program = program_of(model, samples, precision)
    backend = find_backend("micro")
    lowered = backend.lower(program, find_target(target))
    artifact = backend.compile(lowered, CompileOptions())
    runner = backend.load(artifact)
    reference = ReferenceRunner(lowered.program)
    for sample in samples[:4]:
        inputs = [tensor.numpy() for tensor in sample]
        wanted, got = reference(*inputs), runner(*inputs)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        got = got if isinstance(got, tuple) else (got,)
        for name, one, other in zip(lowered.program.output_names, got, wanted, strict=True):
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
            spec = lowered.program.quant.get(name)
            limit = 1e-5 if spec is None else steps * float(spec.scale[0]) * 1.01
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=limit, err_msg=name)
    runner.close()
    return lowered, artifact


def turned(model, x):
    y = model.l(x)
    return y + y.transpose(-1, -2)


@pytest.mark.parametrize("precision", ["int8", "float32"])
@pytest.mark.parametrize("last", [False, True])
def test_a_value_beside_its_own_transpose(precision, last):
    tail = nn.Linear(6, 3) if last else nn.Identity()
    check(
        Of(lambda m, x: m.t(turned(m, x)), l=nn.Linear(6, 6), t=tail), 1, 6, 6, precision=precision
    )


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_largest_numbers_along_any_axis(precision):
    model = Of(lambda m, x: torch.topk(m.l(x), 2, dim=1), l=nn.Linear(6, 4))
    check(model, 1, 5, 6, precision=precision)


def test_transposed_convolutions_with_groups():
    model = nn.Sequential(nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), nn.ReLU())
    check(model, 1, 4, 5, 5, precision="int8-dynamic")
    check(model, 1, 4, 5, 5, precision="float32")


@pytest.mark.parametrize("fill", [0.0, 10.0, -2.5])
def test_pads_whose_fill_widens_the_range(fill):
    def padded(m, x):
        return m.d(functional.pad(functional.relu(m.c(x)), (1, 1, 1, 1), value=fill))

    check(Of(padded, c=nn.Conv2d(3, 4, 3), d=nn.Conv2d(4, 3, 3)), 1, 3, 8, 8, steps=1)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_decomposed_operators_between_integers(mode):
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Upsample(scale_factor=2, mode=mode), nn.Conv2d(4, 3, 3)
    )
    check(model, 1, 3, 8, 8, steps=1)


def test_recurrent_layers():
    gru = Of(lambda m, x: m.h(m.g(x)[0]), g=nn.GRU(5, 8, batch_first=True), h=nn.Linear(8, 3))
    check(gru, 1, 6, 5, steps=1)
    check(gru, 1, 6, 5, precision="float32")


def test_outputs_without_dimensions():
    check(Of(lambda m, x: m.l(x).squeeze(), l=nn.Linear(4, 1)), 1, 4)
    check(Of(lambda m, x: (m.l(x).mean(), x), l=nn.Linear(4, 4)), 1, 4, precision="float32")


def test_infinities_in_the_self_test():
    _, artifact = check(
        Of(lambda m, x: torch.log(torch.relu(m.l(x))), l=nn.Linear(6, 6)), 1, 6, precision="float32"
    )
    assert b"__builtin_inff" in artifact.files["src/model_selftest.c"]


def test_functions_far_from_zero():
    samples = [(torch.tensor([[-95.0, -20.0, -1.0, 0.0, 3.0, 95.0]]),)]
    check(Of(lambda _, x: functional.logsigmoid(x)), samples=samples, precision="float32")


def test_numbers_that_are_no_numbers_are_sorted_within_memory():
    samples = [(torch.tensor([[3.0, float("nan"), 1.0, 2.0]]),)]
    program = edgeopt.capture(Of(lambda _, x: torch.sort(x, 1)[1]).eval(), samples[0])
    backend = find_backend("micro")
    lowered = backend.lower(program, find_target("generic-cortex-m4f"))
    runner = backend.load(backend.compile(lowered, CompileOptions()))
    places = runner(samples[0][0].numpy())
    runner.close()
    assert places.min() >= 0
    assert places.max() < 4


def test_whole_numbers_stay_whole():
    samples = [(torch.tensor([2**40 + 1, -(2**40) - 3, 0, -7]),)]
    check(Of(lambda _, x: (x.abs(), -x, x.sign())), samples=samples, precision="float32")
    pictures = [(torch.randint(-9, 9, (1, 2, 6, 6)),)]
    check(Of(lambda _, x: functional.max_pool2d(x, 2)), samples=pictures, precision="float32")


def test_softmax_at_the_end_of_a_core_without_float():
    model = nn.Sequential(nn.Linear(8, 5), nn.Softmax(-1))
    torch.manual_seed(1)
    samples = [(3 * torch.randn(1, 8),) for _ in range(8)]
    program = program_of(model, samples, "int8")
    backend = find_backend("micro")
    lowered = backend.lower(program, find_target("pico"))
    runner = backend.load(backend.compile(lowered, CompileOptions()))
    for (x,) in samples:
        wanted = ReferenceRunner(lowered.program)(x.numpy())
        np.testing.assert_allclose(runner(x.numpy()), wanted, atol=1 / 256)
    runner.close()


def test_a_refusal_says_why_a_value_is_float():
    torch.manual_seed(1)
    samples = [(torch.randn(1, 8),) for _ in range(8)]
    model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 2))
    backend = find_backend("micro")
    lowered = backend.lower(program_of(model, samples, "int8"), find_target("pico"))
    with pytest.raises(
        UnsupportedError, match=r"layer_norm.*no integer kernel.*no float instructions"
    ):
        backend.compile(lowered, CompileOptions())


def test_places_of_the_callers_own():
    """Inputs and outputs may lie anywhere: the numbers are those of the arena's places."""
    _, artifact = check(Of(turned, l=nn.Linear(6, 6)), 1, 6, 6)
    runner = find_backend("micro").load(artifact)
    model = runner._model
    x = np.random.default_rng(0).standard_normal((1, 6, 6)).astype(np.float32)
    wanted = runner(x)
    tensor, result = artifact.metadata["inputs"][0], artifact.metadata["outputs"][0]
    (stored,) = (np.array(place) for place in model._places("inputs"))
    stored[:] = np.frombuffer(Port(tensor).packed(x), np.uint8)
    output = np.zeros(Port(result).size, np.uint8)
    pointers = [(ctypes.c_void_p * 1)(array.ctypes.data) for array in (stored, output)]
    arena = model._arena.ctypes.data
    assert model._model.run_steps(arena, *pointers, 0, model._model.step_count) == 0
    np.testing.assert_array_equal(Port(result).unpacked(output.tobytes()), wanted)
    assert model._model.run_steps(arena + 1, None, None, 0, 1) == -1
    runner.close()


def test_names_of_outputs_are_macros(tmp_path):
    def function(m, x):
        y = m.l(x)
        return {"scores": y, '*/ "odd" näme': -y, "a.b": y + 1, "a_b": y + 2}

    _, artifact = check(Of(function, l=nn.Linear(6, 6)), 1, 6)
    header = artifact.files["src/model.h"].decode()
    assert "#define MODEL_OUTPUT_SCORES_INDEX 0" in header
    assert "#define MODEL_OUTPUT_SCORES_IN(arena) MODEL_OUTPUT0_IN(arena)" in header
    assert "#define MODEL_OUTPUT_____ODD__N_ME_COUNT MODEL_OUTPUT1_COUNT" in header
    assert "/* a.b: int8[1 x 6] */" in header
    assert "OUTPUT_A_B" not in header  # two would be one
    for name, content in artifact.files.items():
        if name.endswith((".h", ".c")) and name.startswith("src/"):
            (tmp_path / name.removeprefix("src/")).write_bytes(content)
    (tmp_path / "app.c").write_text(
        '#include "model.h"\nextern uint8_t arena[];\n'
        "int8_t *scores(void) { return MODEL_OUTPUT_SCORES_IN(arena) + MODEL_OUTPUT_SCORES_COUNT; }\n"
        "float scale(void) { return model_model.outputs[MODEL_OUTPUT_SCORES_INDEX].scale; }\n"
    )
    zig = [sys.executable, "-m", "ziglang", "cc", "-std=c11", "-Wall", "-Werror", "-c", "app.c"]
    subprocess.run(zig, cwd=tmp_path, check=True, timeout=120)


def chosen_of(m, x):
    return torch.where(m.a(x) > 0.1, m.a(x), m.b(x))


CHOICES = {
    "maximum": lambda m, x: torch.maximum(m.a(x), m.b(x)),
    "minimum": lambda m, x: torch.minimum(m.a(x), m.b(x)),
    "chosen": chosen_of,
    "a number": lambda m, x: torch.where(m.a(x) < m.a(x).flip(2), m.b(x), torch.tensor(-0.3)),
    "sum": lambda m, x: m.a(x).sum((2, 3), keepdim=True),
}


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("at_the_end", [False, True])
@pytest.mark.parametrize("target", ["pico", "generic-cortex-m4f"])
def test_choices_and_sums_of_integers(name, at_the_end, target):
    """On grids of their own, without an FPU too: in the middle of a model as integers, at its end as real numbers."""
    layers = {
        "a": nn.Conv2d(3, 4, 3),
        "b": nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()),
        "t": nn.Identity() if at_the_end else nn.Conv2d(4, 2, 1),
    }
    model = Of(lambda m, x: m.t(CHOICES[name](m, x)), **layers)
    exact = at_the_end or name != "sum"
    _, artifact = check(model, 1, 3, 8, 8, target=target, steps=0 if exact else 1)
    assert b"edgeopt_on_grid" not in artifact.files["src/model.c"]  # nothing is rounded by floats


def test_a_choice_of_real_numbers_is_refused_without_an_fpu():
    torch.manual_seed(1)
    samples = [(torch.randn(1, 8),) for _ in range(8)]
    model = Of(
        lambda m, x: m.l(torch.maximum(torch.exp(m.n(x)), x)), n=nn.LayerNorm(8), l=nn.Linear(8, 2)
    )
    backend = find_backend("micro")
    lowered = backend.lower(program_of(model, samples, "int8"), find_target("pico"))
    with pytest.raises(UnsupportedError, match="no float instructions") as caught:
        backend.compile(lowered, CompileOptions())
    assert "failed on it" not in str(caught.value)  # what reads its result is not blamed
