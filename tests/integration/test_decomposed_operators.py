"""Operators in the forms that people write: captured as the table has them, and right on runtimes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import edgeopt
from edgeopt.ir.decompositions import decompositions
from edgeopt.ir.operators import TABLE
from edgeopt.options import CompileOptions
from edgeopt.registry import find_backend, find_target

if TYPE_CHECKING:
    from collections.abc import Callable

aten = torch.ops.aten

RANK_TWO, PICTURE, LINE, VOLUME = (4, 6), (2, 3, 8, 9), (2, 3, 11), (2, 2, 4, 6, 6)
UNIT = "unit"
"""A matrix of numbers between -0.8 and 0.8."""


def _drawn(shape: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    if shape == UNIT:
        return 1.6 * torch.rand(*RANK_TWO, generator=generator) - 0.8
    if isinstance(shape, int):
        return torch.randint(0, shape, (4, 2), generator=generator)
    return torch.randn(*shape, generator=generator)


def _written(change: Callable[[torch.Tensor], object]) -> Callable[[torch.Tensor], torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        change(y)
        return y

    return run


def _turned(x: torch.Tensor) -> torch.Tensor:
    turn = torch.tensor([[0.8, -0.4, 0.1], [0.3, 0.9, -0.2]]).expand(2, 2, 3)
    return functional.affine_grid(turn, [2, 3, 8, 9], align_corners=False)


WINDOW = torch.hann_window(16)


def _spectrum(x: torch.Tensor) -> torch.Tensor:
    return torch.stft(x, 16, 4, window=WINDOW, return_complex=True)


class _Rotary(nn.Module):
    """Positions as turns of complex numbers (Su et al., "RoFormer", 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("turns", torch.polar(torch.ones(4, 3), torch.arange(12.0).view(4, 3)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        numbers = torch.view_as_complex(x.reshape(4, 3, 2))
        return torch.view_as_real(numbers * self.turns).flatten(1)


class _FourierOperator(nn.Module):
    """Few frequencies, mixed over channels (Li et al., 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4, 3, 2, dtype=torch.cfloat))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft2(x)
        mixed = torch.zeros(2, 4, *spectrum.shape[-2:], dtype=torch.cfloat)
        mixed[:, :, :3, :2] = torch.einsum("bixy,ioxy->boxy", spectrum[:, :, :3, :2], self.weight)
        return torch.fft.irfft2(mixed, s=x.shape[-2:])


CASES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    # layers
    "instance norm": (nn.InstanceNorm2d(3, affine=True), (PICTURE,)),
    "instance norm, tracked": (nn.InstanceNorm1d(3, track_running_stats=True), (LINE,)),
    "chosen and written back": (
        _written(lambda y: y.__setitem__(y < 0, 0.1 * y[y < 0].exp())),
        (PICTURE,),
    ),
    "the mean of what is chosen": (lambda x: x[x > 0].log().mean(), (PICTURE,)),
    "rows chosen": (lambda x: x[x.sum(-1) > 0].mean(0), (RANK_TWO,)),
    "LSTM cell": (nn.LSTMCell(6, 5), (RANK_TWO,)),
    "GRU cell": (nn.GRUCell(6, 5), (RANK_TWO,)),
    "RNN cell": (nn.RNNCell(6, 5), (RANK_TWO,)),
    "bilinear": (nn.Bilinear(6, 6, 3), (RANK_TWO, RANK_TWO)),
    "attention of a matrix": (
        lambda x: functional.scaled_dot_product_attention(x, x, x, is_causal=True),
        (RANK_TWO,),
    ),
    "embedding bag": (nn.EmbeddingBag(10, 4), (10,)),
    "standardized weights": (
        lambda x: functional.batch_norm(x[:1].reshape(1, 6, -1), None, None, training=True),
        (PICTURE,),
    ),
    "conv3d": (
        nn.Sequential(
            nn.Conv3d(
                2, 4, 3, stride=(2, 1, 1), padding=1, dilation=(1, 2, 1), groups=2, bias=False
            ),
            nn.BatchNorm3d(4),
            nn.ReLU(),
        ),
        (VOLUME,),
    ),
    "conv3d, same": (nn.Conv3d(2, 4, (2, 3, 3), padding="same"), (VOLUME,)),
    "conv_transpose3d": (nn.ConvTranspose3d(2, 3, 2, stride=2), (VOLUME,)),
    "max_pool3d": (nn.MaxPool3d(2, ceil_mode=True, padding=1), (VOLUME,)),
    "avg_pool3d": (nn.AvgPool3d((1, 2, 3), count_include_pad=False), (VOLUME,)),
    "local response norm": (nn.LocalResponseNorm(3), (PICTURE,)),
    # windows, pads, sizes
    "adaptive average": (nn.AdaptiveAvgPool2d((3, 4)), (PICTURE,)),
    "adaptive maximum": (nn.AdaptiveMaxPool2d((3, 4)), (PICTURE,)),
    "adaptive average 3d": (nn.AdaptiveAvgPool3d((1, 4, 3)), (VOLUME,)),
    "replicate": (nn.ReplicationPad2d((1, 2, 0, 3)), (PICTURE,)),
    "reflect": (nn.ReflectionPad2d((2, 1, 0, 3)), (PICTURE,)),
    "circular": (nn.CircularPad2d((1, 2, 2, 1)), (PICTURE,)),
    "unfold": (nn.Unfold(3, padding=1, stride=2), (PICTURE,)),
    "fold": (nn.Fold((8, 9), 3, padding=1), ((2, 27, 72),)),
    "windows": (lambda x: x.unfold(-1, 4, 2), (LINE,)),
    "bicubic": (
        lambda x: functional.interpolate(x, scale_factor=2, mode="bicubic"),
        (PICTURE,),
    ),
    "bilinear by a crooked factor": (
        lambda x: functional.interpolate(x, scale_factor=1.3, mode="bilinear"),
        (PICTURE,),
    ),
    "bicubic to the same size": (
        lambda x: functional.interpolate(x, scale_factor=1.03, mode="bicubic"),
        (PICTURE,),
    ),
    "nearest-exact": (
        lambda x: functional.interpolate(x, size=(5, 17), mode="nearest-exact"),
        (PICTURE,),
    ),
    "nearest of a line": (lambda x: functional.interpolate(x, scale_factor=2), (LINE,)),
    "linear": (lambda x: functional.interpolate(x, size=7, mode="linear"), (LINE,)),
    "trilinear": (
        lambda x: functional.interpolate(x, scale_factor=2, mode="trilinear"),
        (VOLUME,),
    ),
    "nearest of a volume": (lambda x: functional.interpolate(x, size=(3, 7, 12)), (VOLUME,)),
    "antialiased": (
        lambda x: functional.interpolate(x, size=(4, 20), mode="bicubic", antialias=True),
        (PICTURE,),
    ),
    "grid_sample": (
        lambda x: functional.grid_sample(x, _turned(x), align_corners=False),
        (PICTURE,),
    ),
    "grid_sample, reflected": (
        lambda x: functional.grid_sample(
            x, 2 * _turned(x), padding_mode="reflection", align_corners=False
        ),
        (PICTURE,),
    ),
    # writes
    "slice_scatter": (lambda x: torch.slice_scatter(x, x[:, :2] * 2, 1, 1, 5, 2), (RANK_TWO,)),
    "slice =": (_written(lambda y: y[:, 1:3].fill_(0.0)), (RANK_TWO,)),
    "row =": (_written(lambda y: y[..., 0].copy_(2 * y[..., 1])), (RANK_TWO,)),
    "mask =": (_written(lambda y: y.__setitem__(y < 0, 0.5)), (RANK_TWO,)),
    "columns =": (_written(lambda y: y.__setitem__((slice(None), [0, 3]), 1.0)), (RANK_TWO,)),
    "pairs =": (_written(lambda y: y.__setitem__(([0, 2], [1, 3]), y[0, :2].clone())), (RANK_TWO,)),
    "diagonal =": (_written(lambda y: y.diagonal().fill_(3.0)), (RANK_TWO,)),
    "index_add": (
        lambda x: torch.zeros(3, 6).index_add(0, torch.tensor([0, 2, 0, 1]), x),
        (RANK_TWO,),
    ),
    "scatter": (lambda x, i: torch.zeros(4, 6).scatter(1, i, x[:, :2]), (RANK_TWO, 6)),
    "scatter_add": (lambda x, i: torch.zeros(4, 6).scatter_add(1, i, x[:, :2]), (RANK_TWO, 6)),
    # reads
    "gather": (lambda x, i: x.gather(1, i), (RANK_TWO, 6)),
    "two indices": (lambda x, i: x[i[:, 0], i[:, 1]], (RANK_TWO, 4)),
    "computed, from the end": (lambda x, i: x[:, i - 6], (RANK_TWO, 6)),
    "index behind": (lambda x, i: x[:, i], (RANK_TWO, 6)),
    "one_hot": (lambda i: functional.one_hot(i, 5).float(), (5,)),
    "bucketize": (lambda x: torch.bucketize(x, torch.tensor([-1.0, 0.0, 1.0])), (RANK_TWO,)),
    "diagonal": (lambda x: x.diagonal(1), (RANK_TWO,)),
    "diag_embed": (torch.diag_embed, (RANK_TWO,)),
    "meshgrid": (
        lambda x: torch.stack(torch.meshgrid(torch.arange(4), torch.arange(6), indexing="ij")) * x,
        (RANK_TWO,),
    ),
    "block_diag": (lambda x: torch.block_diag(x[0, :1], x[0, :2], x[0, :3]), (RANK_TWO,)),
    "tril": (torch.tril, (RANK_TWO,)),
    # reductions, orders
    "max and min": (lambda x: x.max(1)[0] + x.min(1)[1], (RANK_TWO,)),
    "max of all": (lambda x: x.max() - x.min(), (RANK_TWO,)),
    "topk": (lambda x: x.topk(3, 0, largest=False), (RANK_TWO,)),
    "sort": (lambda x: x.sort(1, descending=True), (RANK_TWO,)),
    "kthvalue": (lambda x: x.kthvalue(2, 1)[0], (RANK_TWO,)),
    "median": (lambda x: x.median(1)[0], (RANK_TWO,)),
    "cumsum": (lambda x: x.cumsum(1), (RANK_TWO,)),
    "cumprod": (lambda x: x.cumprod(1), (RANK_TWO,)),
    "cummax": (lambda x: x.cummax(1), (RANK_TWO,)),
    "logcumsumexp": (lambda x: x.logcumsumexp(1), (RANK_TWO,)),
    "prod": (lambda x: x.prod(1), (RANK_TWO,)),
    "any": (lambda x: (x > 0).any(1).float(), (RANK_TWO,)),
    "var_mean": (lambda x: torch.var_mean(x, 1), (RANK_TWO,)),
    "std of all": (torch.std, (RANK_TWO,)),
    "logsumexp": (lambda x: x.logsumexp(1), (RANK_TWO,)),
    "log_softmax": (lambda x: x.log_softmax(1), (RANK_TWO,)),
    "norm": (lambda x: x.norm(dim=1, keepdim=True), (RANK_TWO,)),
    "cosine_similarity": (
        lambda x: functional.cosine_similarity(x, x.flip(0)),
        (RANK_TWO,),
    ),
    "pairwise_distance": (
        lambda x: functional.pairwise_distance(x, x.flip(0)),
        (RANK_TWO,),
    ),
    "cdist": (lambda x: torch.cdist(x, x), (RANK_TWO,)),
    # a constant behind a reduction of three axes, which OpenVINO 2026.4 gets wrong when it fuses them
    "sum and a constant": (lambda x: x.sum(-1) + torch.tensor([1.0, 2.0, 3.0]), (LINE,)),
    "mean of a batch": (lambda x: x.mean(0, keepdim=True) * torch.ones(3, 1) * 2, (LINE,)),
    "deviation and a constant": (lambda x: x.std(-1) * torch.tensor([1.0, 2.0, 3.0]), (LINE,)),
    # complex numbers
    "spectrogram": (lambda x: _spectrum(x).abs().pow(2).clamp(min=1e-5).log(), ((2, 64),)),
    "istft": (
        lambda x: torch.istft(_spectrum(x) * 0.5, 16, 4, window=WINDOW, length=64),
        ((2, 64),),
    ),
    "istft of wide windows": (  # of 256 and more, which torch's own identity counts in another type
        lambda x: torch.istft(
            torch.stft(x, 512, 128, window=torch.hann_window(512), return_complex=True) * 0.5,
            *(512, 128),
            window=torch.hann_window(512),
        ),
        ((1, 1024),),
    ),
    "identity": (lambda x: torch.eye(300)[:4, :6] * x, (RANK_TWO,)),
    "rotary": (_Rotary(), (RANK_TWO,)),
    "Fourier operator": (_FourierOperator(), (PICTURE,)),
    "FNet": (lambda x: torch.fft.fft(torch.fft.fft(x, dim=-1), dim=-2).real, (PICTURE,)),
    "convolution by FFT": (
        lambda x: torch.fft.irfft(torch.fft.rfft(x, n=32) * torch.fft.rfft(x.flip(0), n=32)),
        (LINE,),
    ),
    "phase": (lambda x: (torch.fft.rfft(x) / (1 + torch.fft.rfft(x).abs())).angle().cos(), (LINE,)),
    "a number added": (lambda x: aten.add.Scalar(torch.fft.rfft(x), 2.0).abs(), (LINE,)),
    "a padded spectrum": (lambda x: functional.pad(torch.fft.rfft(x), (1, 2)).abs(), (LINE,)),
    "zeros like a spectrum": (
        lambda x: (torch.zeros_like(torch.fft.rfft(x)) + torch.fft.rfft(x) ** 2).imag,
        (LINE,),
    ),
    # types
    "integers as a spectrum": (torch.fft.irfft, (5,)),
    "bucketize, 32 bits": (
        lambda x: torch.bucketize(x, torch.tensor([-1.0, 0.0, 1.0]), out_int32=True),
        (RANK_TWO,),
    ),
    "truth values added": (
        lambda x: torch.zeros(3, 6, dtype=torch.bool).index_add(
            0, torch.tensor([0, 2, 0, 1]), x > 0
        ),
        (RANK_TWO,),
    ),
    "truth values scattered": (
        lambda x, i: torch.zeros(4, 6, dtype=torch.bool).scatter_add(1, i, x[:, :2] > 0),
        (RANK_TWO, 6),
    ),
    "addbmm of integers": (
        lambda i: torch.addbmm(i, i.view(1, 4, 2), i[:2].view(1, 2, 2), beta=0.6, alpha=2),
        (5,),
    ),
    "largest truth value": (lambda x: (x > 0).max(1), (RANK_TWO,)),
    # functions
    **{
        name: (getattr(torch, name), (UNIT,))
        for name in (
            "exp2", "expm1", "log1p", "sinh", "cosh", "tan", "asin", "acos", "atan", "asinh",
            "atanh", "erf", "erfc", "sinc",
        )
    },
    "log2 and log10": (lambda x: torch.log2(x.abs() + 0.1) + torch.log10(x.abs() + 2), (UNIT,)),
    "acosh": (lambda x: torch.acosh(x.abs() + 1.1), (UNIT,)),
    "logit": (lambda x: torch.logit(x / 2 + 0.5), (UNIT,)),
    "atan2": (lambda x: torch.atan2(x, x[:1]), (RANK_TWO,)),
    "fmod": (lambda x: torch.fmod(x, 0.3), (UNIT,)),
    "floor_divide": (lambda x: torch.div(x, 0.3, rounding_mode="floor"), (UNIT,)),
    "trunc": (lambda x: torch.div(x, x.flip(0), rounding_mode="trunc"), (RANK_TWO,)),
    "integer division": (lambda i: (i - 40) // 7 + (i - 40) % 7, (80,)),
    "logaddexp": (lambda x: torch.logaddexp(x, x.flip(0)), (RANK_TWO,)),
    "hypot": (lambda x: torch.hypot(x, x.flip(0)), (RANK_TWO,)),
    "lerp": (lambda x: torch.lerp(x, x * 2, 0.3), (RANK_TWO,)),
    "CELU": (nn.CELU(0.7), (RANK_TWO,)),
    "SELU": (nn.SELU(), (RANK_TWO,)),
    "RReLU": (nn.RReLU(), (RANK_TWO,)),
    "softplus": (lambda x: functional.softplus(8 * x - 20) * 1e4, (RANK_TWO,)),
    "softplus, sharper": (lambda x: functional.softplus(x, 2, 3), (RANK_TWO,)),
    "mish": (nn.Mish(), (RANK_TWO,)),
    "log1p of little": (lambda x: torch.log1p(1e-4 * x) * 1e4, (UNIT,)),
    "log-sigmoid": (nn.LogSigmoid(), (RANK_TWO,)),
    "hardshrink": (nn.Hardshrink(), (RANK_TWO,)),
    "softshrink": (nn.Softshrink(), (RANK_TWO,)),
    "nan_to_num": (torch.nan_to_num, (RANK_TWO,)),
}  # fmt: skip


INTEGERS_ALONE = ("addbmm of integers", "largest truth value")
"""Cases that no runtime has kernels for: products of integers, extremes of truth values."""


class _Beside(nn.Module):
    """Several functions of inputs of their own, as one model."""

    def __init__(self, functions: list[Any], counts: list[int]) -> None:
        super().__init__()
        self.functions, self.counts = functions, counts
        self.parts = nn.ModuleList(f for f in functions if isinstance(f, nn.Module))

    def forward(self, *inputs: torch.Tensor) -> list[Any]:
        remaining = iter(inputs)
        return [
            function(*(next(remaining) for _ in range(count)))
            for function, count in zip(self.functions, self.counts, strict=True)
        ]


def _together(count: int) -> list[list[str]]:
    """Returns the names of all cases, ``count`` a model: to capture each alone takes a minute."""
    names = list(CASES)
    return [names[first : first + count] for first in range(0, len(names), count)]


def _model(names: list[str]) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    torch.manual_seed(0)
    functions = [CASES[name][0] for name in names]
    shapes = [CASES[name][1] for name in names]
    model = _Beside(functions, [len(s) for s in shapes]).eval()
    return model, tuple(_drawn(shape) for row in shapes for shape in row)


@pytest.mark.parametrize("names", _together(16), ids=lambda names: names[0])
def test_capture_leaves_operators_of_the_table_and_torchs_numbers(names: list[str]) -> None:
    model, inputs = _model(names)
    program = edgeopt.capture(model, inputs)
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    assert not [node.target for node in calls if node.target not in TABLE]
    assert not [node.target for node in calls if TABLE[node.target].captured]
    actual = iter(_listed(edgeopt.ir.ReferenceRunner(program)(*(x.numpy() for x in inputs))))
    with torch.no_grad():
        expected = model(*(x.clone() for x in inputs))
    for name, want in zip(names, expected, strict=True):
        leaves = torch.utils._pytree.tree_leaves(want)
        _compare([name], [next(actual) for _ in leaves], leaves)


@pytest.mark.parametrize(("backend", "target"), [("tflite", "rpi4"), ("openvino", "host")])
def test_a_backend_runs_all_of_them(backend: str, target: str) -> None:
    names = [name for name in CASES if name not in INTEGERS_ALONE]
    model, inputs = _model(names)
    plugin = find_backend(backend)
    lowered = plugin.lower(edgeopt.capture(model, inputs), find_target(target))
    runner = plugin.load(plugin.compile(lowered, CompileOptions()))
    actual = iter(_listed(runner(*(x.numpy() for x in inputs))))
    with torch.no_grad():
        expected = model(*(x.clone() for x in inputs))
    for name, want in zip(names, expected, strict=True):
        leaves = torch.utils._pytree.tree_leaves(want)
        _compare([name], [next(actual) for _ in leaves], leaves)


def _listed(results: Any) -> list[Any]:
    if isinstance(results, dict):
        return list(results.values())
    return list(results) if isinstance(results, (list, tuple)) else [results]


def _compare(names: list[str], actual: list[Any], expected: list[torch.Tensor]) -> None:
    for have, want in zip(actual, expected, strict=True):
        assert np.asarray(have).shape == tuple(want.shape), names
        np.testing.assert_allclose(have, want.numpy(), 1e-4, 1e-5, err_msg=str(names))


@pytest.mark.parametrize(
    ("function", "shape", "words"),
    [
        (torch.fft.fft, torch.zeros(2, 3), "is complex"),
        (lambda z: z.real, torch.zeros(2, 3, dtype=torch.cfloat), "is complex"),
        (lambda x: torch.log(torch.fft.fft(x)).real, torch.zeros(2, 3), "log.default of complex"),
    ],
)
def test_what_has_no_form_in_pairs_is_refused(function: Any, shape: Any, words: str) -> None:
    with pytest.raises(edgeopt.errors.CaptureError, match=words):
        edgeopt.capture(_Beside([function], [1]).eval(), (shape,))


@pytest.mark.parametrize("backend", ["tflite", "openvino", "tvm"])
def test_no_backend_has_a_rule_for_what_never_reaches_it(backend: str) -> None:
    emitter = import_module(f"edgeopt_{backend}.emitter").Emitter
    gone = [target for target in emitter.rules if target in decompositions()]
    rows = [TABLE[target] for target in emitter.rules if target in TABLE]
    rewritten = {row.operator for row in rows if row.captured == "rewritten"}
    assert not gone
    assert rewritten <= {aten.adaptive_max_pool2d.default, aten.max_pool2d_with_indices.default}


def test_what_remains_refused_is_the_models_own_operator() -> None:
    model, inputs = (
        _Beside([lambda x: torch.sinh(x) + torch.lgamma(x)], [1]).eval(),
        (torch.ones(2, 3),),
    )
    report = find_backend("tflite").support(edgeopt.capture(model, inputs), find_target("rpi4"))
    assert [node.operator for node in report.unsupported] == ["aten.lgamma.default"]
