"""Recurrent layers stay whole, and runtimes compute what torch does: every kind, spelled in every way."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.ir import ReferenceRunner, kernel_kind
from edgeopt.ir.operators import RECURRENT
from edgeopt.lowering.decomposition import decompose_operators
from edgeopt.options import CompileOptions, QuantizationConfig
from edgeopt.quantization import quantize_program
from edgeopt.registry import find_backend, find_target

if TYPE_CHECKING:
    from edgeopt.ir import Program

STEPS, BATCH, INPUTS, HIDDEN, PROJECTED = 6, 2, 4, 5, 3
KINDS = {
    "LSTM": nn.LSTM,
    "GRU": nn.GRU,
    "RNN": nn.RNN,
    "relu": lambda *sizes, **how: nn.RNN(*sizes, nonlinearity="relu", **how),
}
BACKENDS = {"tflite": "rpi4", "openvino": "host", "tvm": "host"}
EACH_BACKEND = ["tflite", "openvino", pytest.param("tvm", marks=pytest.mark.slow)]


class Spelling(NamedTuple):
    """How a layer is written; all at False: one layer, forwards, steps first, from zero, its output read."""

    two_layers: bool
    bidirectional: bool
    batch_first: bool
    without_bias: bool
    projected: bool
    states_given: bool
    ends_read: bool


SPELLINGS = [
    Spelling(*map(bool, (a, b, c, a ^ b, a ^ c, b ^ c, a ^ b ^ c)))
    for a, b, c in product((0, 1), repeat=3)
]
"""An orthogonal array: of any two choices all four combinations are among them."""


class Layer(nn.Module):
    """One layer; its results as a tuple."""

    def __init__(self, kind: str, spelling: Spelling) -> None:
        super().__init__()
        self.spelling = spelling
        projection = {"proj_size": PROJECTED} if spelling.projected and kind == "LSTM" else {}
        self.layer = KINDS[kind](
            INPUTS,
            HIDDEN,
            num_layers=2 if spelling.two_layers else 1,
            bidirectional=spelling.bidirectional,
            batch_first=spelling.batch_first,
            bias=not spelling.without_bias,
            **projection,
        )
        self.widths = [PROJECTED if projection else HIDDEN, *([HIDDEN] if kind == "LSTM" else [])]
        self.count = (1 + spelling.two_layers) * (1 + spelling.bidirectional)

    def inputs(self) -> list[torch.Tensor]:
        """Returns what it is called with."""
        first = (BATCH, STEPS) if self.spelling.batch_first else (STEPS, BATCH)
        states = [torch.randn(self.count, BATCH, width) for width in self.widths]
        return [torch.randn(*first, INPUTS), *(states if self.spelling.states_given else [])]

    def forward(self, x: torch.Tensor, *states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        begin = None if not states else states if len(states) > 1 else states[0]
        output, ends = self.layer(x, begin)
        ends = ends if isinstance(ends, tuple) else (ends,)
        return (output, *ends) if self.spelling.ends_read else (output,)


class Beside(nn.Module):
    """Layers of inputs of their own, as one model."""

    def __init__(self, layers: list[Layer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.counts = [len(layer.inputs()) for layer in layers]

    def forward(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        remaining = iter(inputs)
        results: list[torch.Tensor] = []
        for layer, count in zip(self.layers, self.counts, strict=True):
            results += layer(*(next(remaining) for _ in range(count)))
        return results


class Case(NamedTuple):
    """A model, what it is called with, what torch answers, and its program."""

    layers: list[Layer]
    inputs: tuple[torch.Tensor, ...]
    expected: list[torch.Tensor]
    program: Program


@cache
def _case(*kinds: str) -> Case:
    torch.manual_seed(0)
    layers = [Layer(kind, spelling) for kind in kinds for spelling in SPELLINGS]
    model = Beside(layers).eval()
    inputs = tuple(x for layer in layers for x in layer.inputs())
    with torch.no_grad():
        expected = model(*inputs)
    return Case(layers, inputs, expected, edgeopt.capture(model, inputs))


def _recurrent(program: Program) -> list[Any]:
    return [node for node in program.graph.nodes if node.target in RECURRENT]


def _answers(runner: Any, inputs: tuple[torch.Tensor, ...]) -> list[np.ndarray]:
    results = runner(*(x.numpy() for x in inputs))
    return list(results) if isinstance(results, tuple) else [results]


def _assert_close(actual: list[np.ndarray], expected: list[Any], tolerance: float = 1e-5) -> None:
    for number, (have, want) in enumerate(zip(actual, expected, strict=True)):
        np.testing.assert_allclose(have, want, 0, tolerance, err_msg=f"output {number}")


@pytest.mark.parametrize("kind", KINDS)
def test_capture_leaves_a_node_for_each_layer_and_direction(kind: str) -> None:
    case = _case(kind)
    assert len(_recurrent(case.program)) == sum(layer.count for layer in case.layers)
    _assert_close(_answers(ReferenceRunner(case.program), case.inputs), case.expected)


@pytest.mark.parametrize("kind", KINDS)
def test_decomposed_they_are_the_same(kind: str) -> None:
    case = _case(kind)
    program = decompose_operators(case.program, [n.name for n in _recurrent(case.program)])
    assert not _recurrent(program)
    _assert_close(_answers(ReferenceRunner(program), case.inputs), case.expected)


@pytest.mark.parametrize("precision", ["float32", "int8", "int8-dynamic", "float16"])
@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_a_backend_runs_all_of_them(backend: str, precision: str) -> None:
    case, plugin = _case(*KINDS), find_backend(backend)
    config = QuantizationConfig(precision=precision)  # type: ignore[arg-type]
    program = quantize_program(case.program, [case.inputs], config)
    lowered = plugin.lower(program, find_target(BACKENDS[backend]))
    assert len(_recurrent(lowered.program)) == len(_recurrent(program))
    runner = plugin.load(plugin.compile(lowered, CompileOptions()))
    first, second = (_answers(runner, case.inputs) for _ in range(2))
    reference = _answers(ReferenceRunner(lowered.program), case.inputs)
    if precision == "float32":
        _assert_close(first, case.expected)
    elif precision == "float16":
        _assert_close(first, reference)
    else:  # a projection is a linear, whose result may fall on the other side of a tie
        _assert_close(first, reference, 2e-2)
        _assert_close(first, case.expected, 5e-2)
    _assert_close(second, first, 0.0)  # no state is left from the call before


class Long(nn.Module):
    """An LSTM and a GRU in turn, and what a classifier makes of the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(16, 64, 2, batch_first=True)
        self.gru = nn.GRU(64, 64, batch_first=True)
        self.head = nn.Linear(64, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.gru(self.lstm(x)[0])[0])
        return result


@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_two_hundred_steps_in_int8_store_bytes_and_keep_the_numbers(backend: str) -> None:
    torch.manual_seed(0)
    model, x = Long().eval(), torch.randn(1, 200, 16)
    program = edgeopt.capture(model, (x,))
    assert sum(node.op == "call_function" for node in program.graph.nodes) < 12
    plugin, target, sizes = find_backend(backend), find_target(BACKENDS[backend]), {}
    for precision in ("float32", "int8"):
        config = QuantizationConfig(precision=precision)  # type: ignore[arg-type]
        quantized = quantize_program(program, [(x,)], config)
        (*_, gru) = _recurrent(quantized)
        kind = kernel_kind(quantized, gru)
        assert kind.kind == "float"
        assert precision != "int8" or "state needs more than 8 bits" in kind.reason
        artifact = plugin.compile(plugin.lower(quantized, target), CompileOptions())
        sizes[precision] = artifact.size_bytes
        with torch.no_grad():
            want = model(x).numpy()
        (have,) = _answers(plugin.load(artifact), (x,))
        noise = np.square(want - have).sum() / np.square(want).sum()
        assert -10 * np.log10(noise) > (100 if precision == "float32" else 30)
    parameters = sum(p.numel() for p in model.parameters())
    assert sizes["float32"] - sizes["int8"] > 2.5 * parameters  # of three bytes that each saves


@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_weights_that_the_model_computes_are_decomposed(backend: str) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(3, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            own = {
                name: value * x.mean() if "weight_hh" in name else value
                for name, value in self.gru.named_parameters()
            }
            result: torch.Tensor = torch.func.functional_call(self.gru, own, (x,))[0]
            return result

    torch.manual_seed(0)
    model, x = Scaled().eval(), torch.randn(3, 1, 3)
    program = edgeopt.capture(model, (x,))
    assert len(_recurrent(program)) == 1
    with torch.no_grad():
        want = model(x)
    plugin = find_backend(backend)
    lowered = plugin.lower(program, find_target(BACKENDS[backend]))
    runner = plugin.load(plugin.compile(lowered, CompileOptions()))
    _assert_close(_answers(runner, (x,)), [want])
