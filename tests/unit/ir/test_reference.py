"""The simulation of integers, against integer arithmetic written out in numpy.

Sums are int64. The multiplier is applied in float64; where that leaves a result closer to a tie
than float32 can tell (1e-4 of a step), either neighbour is right.
"""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.errors import InputError
from edgeopt.ir import Editor, QuantSpec, ReferenceRunner, Step, capture_module, ops
from edgeopt.ir.reference import Simulation
from edgeopt.passes import run_core


def pad_spatial(x, padding):
    return np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])


def conv_int64(x, w, stride, padding, dilation, groups):
    """Returns the sums of a convolution of any rank; zeros are padded."""
    x = pad_spatial(x, padding)
    window = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilation, strict=True)]
    size = [(n - k) // s + 1 for n, k, s in zip(x.shape[2:], window, stride, strict=True)]
    out = np.zeros((x.shape[0], w.shape[0], *size), np.int64)
    per_in, per_out = x.shape[1] // groups, w.shape[0] // groups
    for b, o in itertools.product(range(x.shape[0]), range(w.shape[0])):
        first = (o // per_out) * per_in
        for at in np.ndindex(*size):
            part = x[b, first : first + per_in]
            for axis, (i, s, k, d) in enumerate(
                zip(at, stride, window, dilation, strict=True), start=1
            ):
                part = part.take(range(i * s, i * s + k, d), axis=axis)
            out[(b, o, *at)] = (part.astype(np.int64) * w[o].astype(np.int64)).sum()
    return out


def transpose_int64(x, w, stride, padding, extra, groups, dilation):
    """Returns the sums of a transposed 2-d convolution: every input is spread over the output."""
    per_in, per_out = x.shape[1] // groups, w.shape[1]
    full = [
        (n - 1) * s + (k - 1) * d + 1 + e
        for n, s, k, d, e in zip(x.shape[2:], stride, w.shape[2:], dilation, extra, strict=True)
    ]
    out = np.zeros((x.shape[0], per_out * groups, *full), np.int64)
    for b, i, o in itertools.product(range(x.shape[0]), range(x.shape[1]), range(per_out)):
        target = (i // per_in) * per_out + o
        for r, c in np.ndindex(*x.shape[2:]):
            for kr, kc in np.ndindex(*w.shape[2:]):
                at = (r * stride[0] + kr * dilation[0], c * stride[1] + kc * dilation[1])
                out[(b, target, *at)] += int(x[b, i, r, c]) * int(w[i, o, kr, kc])
    rows = slice(padding[0], full[0] - padding[0])
    columns = slice(padding[1], full[1] - padding[1])
    return out[:, :, rows, columns]


def linear_int64(x, w):
    return x.astype(np.int64) @ w.T.astype(np.int64)


def parts(program):
    """Returns the only weighted operator of a program with the integers of its weight and bias."""
    (node,) = [n for n in program.graph.nodes if ops.is_weighted(n)]
    value, weight, bias = ops.weighted_parts(node)
    specs = [program.quant[n.name] for n in (value, weight, bias)]
    w = specs[1].quantize(program.constants[weight.name]).numpy()
    scale = specs[0].scale.double().numpy() * specs[1].scale.double().numpy()
    b = np.rint(program.constants[bias.name].double().numpy() / scale).astype(np.int64)
    return node, specs[0], w, b, scale


def sums(program, x):
    """Returns what the weighted operator adds up for the real input ``x``, and the step of each channel."""
    node, grid, w, b, scale = parts(program)
    q = grid.quantize(torch.from_numpy(x)).numpy().astype(np.int64) - int(grid.zero_point)
    tail = [list(a) if isinstance(a, (list, tuple)) else a for a in node.args[3:]]
    if node.target is ops.aten.linear.default:
        return linear_int64(q, w) + b, scale
    spread = (-1, *[1] * (q.ndim - 2))
    if node.target is ops.aten.conv_transpose2d.input:
        stride, padding, extra, groups, dilation = tail
        total = transpose_int64(q, w, stride, padding, extra, groups, dilation)
    else:
        stride, padding, dilation, groups = tail
        total = conv_int64(q, w, stride, padding, dilation, groups)
    return total + b.reshape(spread), scale.reshape(spread)


def check(program, x, *, low=None, high=None):
    """Compares the program's output with integer arithmetic; ``low`` and ``high`` are clamps."""
    (output,) = program.output_names
    spec = program.quant[output]
    got = spec.quantize(torch.from_numpy(ReferenceRunner(program)(x))).numpy().astype(int)
    total, step = sums(program, x)
    zero, scale = int(spec.zero_point), float(spec.scale.double())
    exact = total * (step / scale)
    ends = [spec.q_min - zero, spec.q_max - zero]
    ends[0] = max(ends[0], -np.inf if low is None else np.rint(low / scale))
    ends[1] = min(ends[1], np.inf if high is None else np.rint(high / scale))
    wanted = np.clip(np.rint(exact), *ends) + zero
    near_tie = np.abs(np.abs(exact - np.trunc(exact)) - 0.5) < 1e-4
    assert got.shape == wanted.shape
    assert np.array_equal(got[~near_tie], wanted[~near_tie])
    assert np.abs(got - wanted).max() <= 1
    assert near_tie.mean() < 0.01
    inside = (got > ends[0] + zero) & (got < ends[1] + zero)
    assert inside.mean() > 0.2, "most of the results are clipped: the test tests nothing"


def integer(quantize, model, x, *, activation=None, bits=8):
    """Returns the int8 program of one layer; its grids span what is seen on ``x``."""
    layers = nn.Sequential(model, *([activation] if activation else [])).eval()
    program = run_core(capture_module(layers, (x,)))
    with torch.no_grad():
        y = layers(x)
    (output,) = program.output_names
    return quantize(
        program,
        {
            program.input_names[0]: QuantSpec.affine(float(x.min()), float(x.max()), method="t"),
            output: QuantSpec.affine(float(y.min()), float(y.max()), method="t", bits=bits),
        },
    )


LAYERS = {
    "linear": (lambda: nn.Linear(40, 7), (5, 40)),
    "linear on three axes": (lambda: nn.Linear(9, 4), (2, 3, 9)),
    "conv1d": (lambda: nn.Conv1d(3, 4, 5, stride=2, padding=2, dilation=2), (2, 3, 20)),
    "conv1d groups": (lambda: nn.Conv1d(4, 6, 3, groups=2), (1, 4, 12)),
    "conv2d": (lambda: nn.Conv2d(3, 5, 3, padding=1), (2, 3, 6, 6)),
    "conv2d rectangle": (
        lambda: nn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding=(0, 1), dilation=(1, 2)),
        (1, 3, 9, 7),
    ),
    "pointwise": (lambda: nn.Conv2d(16, 4, 1), (1, 16, 4, 4)),
    "grouped": (lambda: nn.Conv2d(4, 6, 3, groups=2, padding=1), (1, 4, 5, 5)),
    "depthwise": (lambda: nn.Conv2d(5, 5, 3, groups=5, stride=2, padding=1), (1, 5, 8, 8)),
    "depthwise, more out": (lambda: nn.Conv2d(3, 6, 3, groups=3), (1, 3, 6, 6)),
    "same": (lambda: nn.Conv2d(2, 3, 3, padding="same"), (1, 2, 5, 5)),
    "transpose": (
        lambda: nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1),
        (1, 3, 4, 4),
    ),
    "transpose wide": (lambda: nn.ConvTranspose2d(2, 3, (1, 4), dilation=(1, 2)), (1, 2, 3, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_weighted_operators_add_up_integers(quantize, name):
    make, shape = LAYERS[name]
    x = torch.randn(shape) * 2 + 0.3
    check(integer(quantize, make(), x), x.numpy())


@pytest.mark.parametrize("name", ["linear", "conv2d", "depthwise", "transpose"])
@pytest.mark.parametrize(
    ("activation", "low", "high"),
    [(nn.ReLU(), 0.0, None), (nn.ReLU6(), 0.0, 6.0), (nn.Hardtanh(-0.4, 0.7), -0.4, 0.7)],
    ids=["relu", "relu6", "hardtanh"],
)
def test_an_activation_behind_a_weighted_operator_rounds_once(
    quantize, name, activation, low, high
):
    make, shape = LAYERS[name]
    x = torch.randn(shape)
    program = integer(quantize, make(), x, activation=activation)
    (layer,) = [n for n in program.graph.nodes if ops.is_weighted(n)]
    assert layer.name not in program.quant
    check(program, x.numpy(), low=low, high=high)


def test_seven_bit_results(quantize):
    x = torch.randn(5, 40)
    program = integer(quantize, nn.Linear(40, 7), x, bits=7)
    check(program, x.numpy())


def test_inputs_beyond_the_range_are_clipped(quantize):
    x = torch.randn(5, 40)
    check(integer(quantize, nn.Linear(40, 7), x), (x * 3).clamp(-4, 4).numpy())


def by_scales(quantize, weight, bias, grids):
    """Returns linear + grids with scales that are powers of two, so that sums are exact reals."""
    layer = nn.Linear(weight.shape[1], weight.shape[0]).eval()
    layer.weight.data, layer.bias.data = weight, bias
    program = run_core(capture_module(layer, (torch.ones(1, weight.shape[1]),)))
    zero = torch.zeros(weight.shape[0], dtype=torch.int32)
    spec = QuantSpec("int8", torch.full((weight.shape[0],), 1.0), zero, 0)
    made = {
        name: QuantSpec("int8", torch.tensor([s]), torch.tensor([z], dtype=torch.int32))
        for name, (s, z) in zip((program.input_names[0], "linear"), grids, strict=True)
    }
    return quantize(program, made, {"p_weight": spec})


def test_exact_ties_go_to_even(quantize):
    """The sum is the input; the result's step is two: odd sums are ties."""
    program = by_scales(quantize, torch.ones(1, 1), torch.zeros(1), ((1.0, 0), (2.0, 0)))
    run = ReferenceRunner(program)
    got = [run(np.array([[v]], np.float32)).item() for v in (-3, -1, 1, 3, 5, 7)]
    assert got == [-4.0, 0.0, 0.0, 4.0, 4.0, 8.0]


def test_ties_are_rounded_without_the_zero_point(quantize):
    """With an odd zero point, rounding after adding it would give the odd neighbour."""
    program = by_scales(quantize, torch.ones(1, 1), torch.zeros(1), ((1.0, 0), (2.0, 5)))
    run = ReferenceRunner(program)
    got = [run(np.array([[v]], np.float32)).item() for v in (-3, -1, 1, 3, 5, 7)]
    assert got == [-4.0, 0.0, 0.0, 4.0, 4.0, 8.0]


def test_large_sums_are_exact(quantize):
    """2**24 + 1 is no float32: a sum of that size minus its neighbour shows every unit."""
    width = 2048
    weight = torch.full((1, width), 127.0)
    bias = torch.tensor([-float(width * 127 * 127 - 8)])
    program = by_scales(quantize, weight, bias, ((1.0, 0), (1.0, 0)))
    x = np.full((1, width), 127, np.float32)
    assert ReferenceRunner(program)(x).item() == 8
    x[0, 0] = 126
    assert ReferenceRunner(program)(x).item() == 8 - 127
    assert Simulation(program, exact=True)._exact


def test_padding_adds_real_zeros(quantize):
    """With a zero point, the integers in the margin are the zero point, not 0."""
    conv = nn.Conv2d(1, 1, 3, padding=1)
    conv.weight.data.fill_(1.0)
    conv.bias.data.zero_()
    x = torch.full((1, 1, 3, 3), 5.0)
    program = run_core(capture_module(conv.eval(), (x,)))
    quantized = quantize(
        program,
        {
            "input": QuantSpec.affine(0.0, 5.0, method="t"),
            "conv2d": QuantSpec.affine(0.0, 45.0, method="t"),
        },
    )
    got = ReferenceRunner(quantized)(x.numpy())[0, 0]
    np.testing.assert_allclose(got, [[20, 30, 20], [30, 45, 30], [20, 30, 20]], atol=0.18)


def test_a_residual_add_rounds_once(quantize, written):
    model = written(lambda _, a, b: torch.relu(a + b))
    a, b = torch.randn(4, 9), torch.randn(4, 9)
    program = run_core(capture_module(model, (a, b)))
    names = [*program.input_names, *program.output_names]
    ranges = [(-3.0, 3.1), (-2.0, 2.53), (0.0, 3.97)]
    grids = {n: QuantSpec.affine(*r, method="t") for n, r in zip(names, ranges, strict=True)}
    program = quantize(program, grids)
    got = ReferenceRunner(program)(a.numpy(), b.numpy())
    real = grids[names[0]].fake(a).double() + grids[names[1]].fake(b).double()
    steps = (real.clamp_min(0) / grids[names[2]].scale.double()).numpy()
    clear = np.abs(steps % 1 - 0.5) > 1e-4
    wanted = grids[names[2]].fake(real.clamp_min(0)).numpy()
    np.testing.assert_allclose(got[clear], wanted[clear], atol=1e-6)
    assert clear.mean() > 0.9


def test_values_that_only_move_keep_their_integers(small_int8):
    seen = {}
    x = torch.linspace(-3, 3, 32).reshape(1, 2, 4, 4)
    Simulation(small_int8, observe=lambda n, v: seen.setdefault(n.name, v)).outputs([x])
    spec = small_int8.quant["clamp_default"]
    inside = spec.quantize(seen["clamp_default"])
    pooled = nn.functional.max_pool2d(inside.float(), 2)
    assert torch.equal(spec.quantize(seen["max_pool2d"]).float(), pooled)
    assert torch.equal(seen["reshape_default"].flatten(), seen["max_pool2d"].flatten())


def test_every_value_with_a_grid_lies_on_it(small_int8):
    seen = {}
    x = torch.linspace(-3, 3, 32).reshape(1, 2, 4, 4)
    Simulation(small_int8, observe=lambda n, v: seen.setdefault(n.name, v)).outputs([x])
    for name, spec in small_int8.quant.items():
        if name in seen:
            assert torch.allclose(spec.fake(seen[name]), seen[name], atol=1e-6)
            assert seen[name].dtype is torch.float32


def test_a_float_value_between_integers(small_int8):
    """A result without a grid is the exact real sum, as float32."""
    program = replace(
        small_int8, quant={k: v for k, v in small_int8.quant.items() if k != "linear"}
    )
    seen = {}
    x = torch.linspace(-3, 3, 32).reshape(1, 2, 4, 4)
    Simulation(program, observe=lambda n, v: seen.setdefault(n.name, v)).outputs([x])
    spec, w = program.quant["reshape_default"], program.quant["p_4_weight"]
    q = spec.quantize(seen["reshape_default"]).long() - int(spec.zero_point)
    step = spec.scale.double() * w.scale.double()
    bias = torch.round(program.constants["p_4_bias"].double() / step)
    total = q @ w.quantize(program.constants["p_4_weight"]).long().T + bias
    assert torch.allclose(seen["linear"].double(), total * step, rtol=1e-6)
    assert seen["linear"].dtype is torch.float32


def test_fast_and_exact_agree_within_a_step(small_int8):
    x = np.linspace(-2, 2, 32, dtype=np.float32).reshape(1, 2, 4, 4)
    exact, fast = (ReferenceRunner(small_int8, exact=e)(x) for e in (True, False))
    assert np.abs(exact - fast).max() <= float(small_int8.quant["linear"].scale) * 1.001


def test_float_programs_run_as_the_model_does(small):
    x = torch.randn(1, 2, 4, 4)
    assert Simulation(small).outputs([x])[0].dtype is torch.float32
    wanted = small.exported.module()(x)
    np.testing.assert_allclose(ReferenceRunner(small)(x.numpy()), wanted.detach(), atol=1e-6)


def test_half_precision_constants(small):
    editor = Editor(small)
    for name in small.constants:
        editor.quant[name] = QuantSpec("float16")
        editor.set_tensor(editor.node(name), editor.constants[name].half().float())
    program = editor.finish(Step("halve"), precision="float16")
    x = np.linspace(-2, 2, 32, dtype=np.float32).reshape(1, 2, 4, 4)
    near = ReferenceRunner(program)(x)
    assert near.dtype == np.float32
    np.testing.assert_allclose(near, ReferenceRunner(small)(x), atol=0.02)
    assert program.size_bytes * 2 == small.size_bytes


def test_size_counts_what_is_stored(small, small_int8):
    weights = 3 * 2 * 9 + 2 * 12
    assert small.size_bytes == 4 * (weights + 3 + 2)
    assert small_int8.size_bytes == weights + 4 * (3 + 2)


def test_the_runner_checks_what_it_is_given(small):
    run = ReferenceRunner(small)
    with pytest.raises(InputError, match="expected float32"):
        run(np.zeros((1, 2, 4, 4)))
    with pytest.raises(InputError, match="0 inputs"):
        run()
    assert run.facts()["runtime"] == "torch"
    run.close()
    run.close()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((1, 4, 4, 2), np.float32).transpose(0, 3, 1, 2),
        np.zeros((1, 2, 4, 4), np.float32)[:, ::-1],
        np.broadcast_to(np.float32(0), (1, 2, 4, 4)),
    ],
    ids=["transposed", "reversed", "read-only"],
)
def test_arrays_of_any_layout(small, array):
    plain = ReferenceRunner(small)(np.zeros((1, 2, 4, 4), np.float32))
    assert (ReferenceRunner(small)(array) == plain).all()


def test_a_number_goes_in_and_comes_out(written):
    program = run_core(capture_module(written(lambda _, x: x * 2), (torch.tensor(3.0),)))
    got = ReferenceRunner(program)(np.array(4.0, np.float32))
    assert got.shape == ()
    assert got == 8.0


@pytest.mark.parametrize("descending", [True, False])
def test_equal_values_are_sorted_in_their_order(descending):
    class Sorts(nn.Module):
        def forward(self, x):
            return torch.sort(x, dim=-1, descending=descending, stable=True).indices

    x = torch.randint(0, 4, (3, 200)).float()
    program = run_core(capture_module(Sorts().eval(), (x,)))
    wanted = torch.sort(x, dim=-1, descending=descending, stable=True).indices
    assert torch.equal(torch.as_tensor(ReferenceRunner(program)(x.numpy())), wanted)
