"""What a node runs as: one answer, that the reference, all backends and all reports give."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeopt.deployment.work import value_rows
from edgeopt.ir import KernelKind, Program, capture_module, kernel_kind
from edgeopt.ir.kernel_kind import kernel_kinds
from edgeopt.ir.reference import Simulation
from edgeopt.options import CompileOptions
from edgeopt.passes import run_core
from edgeopt.quantization import QuantizationConfig, quantize_program
from edgeopt.registry import find_backend, find_target


class ThreeConvolutions(nn.Module):
    """Three convolutions and a little arithmetic on indices."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a = nn.Conv2d(3, 8, 3)
        self.b = nn.Conv2d(8, 8, 3)
        self.c = nn.Conv2d(8, 4, 3)

    def forward(self, x: torch.Tensor, i: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.c(self.b(torch.relu(self.a(x)))), (i + 1) * 2


KEPT = KernelKind("float", "kept in float by keep_float='b'")
INT64 = KernelKind("integer", "int64 arithmetic")
EXPECTED = {
    "conv2d": KernelKind("integer"),
    "conv2d_1": KEPT,
    "conv2d_2": KernelKind("integer"),
    "add": INT64,
    "mul": INT64,
}


@pytest.fixture(scope="module")
def program() -> Program:
    example = (torch.randn(1, 3, 12, 12), torch.arange(4))
    captured = run_core(capture_module(ThreeConvolutions().eval(), example))
    return quantize_program(captured, [example], QuantizationConfig(keep_float=("b",)))


def test_the_core_says_it_with_its_reason(program: Program) -> None:
    kinds = kernel_kinds(program)
    assert {name: kinds[name] for name in EXPECTED} == EXPECTED
    assert kinds["relu"] == KernelKind("folded", "part of the kernel of conv2d")


def test_the_reference_computes_so(program: Program) -> None:
    exact = Simulation(program)
    on_integers = {n.name for n in program.graph.nodes if exact._is_exact(n)}
    assert {"conv2d", "conv2d_2"} <= on_integers
    assert "conv2d_1" not in on_integers


@pytest.mark.parametrize(
    "name", ["reference", "tflite", "openvino", pytest.param("tvm", marks=pytest.mark.slow)]
)
def test_backends_and_reports_agree(program: Program, name: str) -> None:
    backend = find_backend(name)
    if backend.available():
        pytest.skip(f"{name} is not installed")
    target = find_target("host")
    written = backend.lower(program, target)
    report = written.support
    verdicts = {n.node: KernelKind(n.verdict, n.reason) for n in report.nodes}  # type: ignore[arg-type]
    assert {value: verdicts[value] for value in EXPECTED} == EXPECTED
    lowered = written.program
    backend.compile(written, CompileOptions())
    rows = {row["value"]: row for row in value_rows(lowered, report)}
    for value, kind in EXPECTED.items():
        assert rows[value]["kind"] == kind.kind
        assert rows[value]["reason"] == (kind.reason if kind.kind == "float" else "")


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(torch.softmax(self.a(x).reshape(2, 4, 8).permute(1, 0, 2), -1) / 3)


def _kinds(precision: str) -> dict[str, KernelKind]:
    torch.manual_seed(0)
    example = (torch.randn(8, 8),)
    captured = run_core(capture_module(Parts().eval(), example))
    config = QuantizationConfig(precision=precision)  # type: ignore[arg-type]
    found = quantize_program(captured, [example], config)
    return {str(found.node(n).target): kind for n, kind in kernel_kinds(found).items()}


def test_what_only_moves_is_neither_integer_nor_float() -> None:
    for precision in ("float32", "int8"):
        kinds = _kinds(precision)
        assert kinds["aten.reshape.default"] == KernelKind("moves")
        assert kinds["aten.permute.default"] == KernelKind("moves")


def test_an_operator_without_an_integer_kernel_says_so() -> None:
    assert _kinds("int8")["aten.softmax.int"] == KernelKind("float", "no integer kernel")


def test_a_recurrent_layer_says_why_it_is_float() -> None:
    x = torch.randn(4, 1, 3)
    captured = run_core(capture_module(nn.GRU(3, 4).eval(), (x,)))
    (node,) = [n for n in captured.graph.nodes if "gru" in str(n.target)]
    assert kernel_kind(captured, node).reason == "the precision is float32"
    found = quantize_program(captured, [x], QuantizationConfig())
    kind = kernel_kind(found, found.node(node.name))
    assert (kind.kind, kind.reason[:33]) == ("float", "its state needs more than 8 bits:")
    report = find_backend("tflite").support(found, find_target("host"))
    (row,) = [row for row in value_rows(found, report) if row["value"] == node.name]
    assert row["kind"] == "float"
    assert row["macs"] == 4 * 3 * 4 * (3 + 4)  # steps, gates, hidden, columns of both weights


def test_the_precision_is_the_reason_where_nothing_is_quantized() -> None:
    for precision in ("float32", "float16", "int8-dynamic"):
        kind = _kinds(precision)["aten.linear.default"]
        assert kind == KernelKind("float", f"the precision is {precision}")


def test_a_weight_without_parameters_is_named(program: Program) -> None:
    from dataclasses import replace

    _, weight = program.node("conv2d").args[:2]
    quant = {k: v for k, v in program.quant.items() if k != weight.name}  # type: ignore[union-attr]
    bare = replace(program, quant=quant, history=())
    found = kernel_kind(bare, bare.node("conv2d"))
    assert found == KernelKind("float", f"its weight {weight} has no quantization parameters")


def test_a_weight_that_the_model_computes_is_a_float_operators(written):
    from edgeopt.api import capture, quantize

    def twice(_, x, w):
        eye = torch.eye(3)
        linear = torch.nn.functional.linear
        return linear(linear(linear(x, eye), linear(w, eye)), eye)

    data = [(torch.randn(2, 3), torch.randn(3, 3)) for _ in range(4)]
    program = quantize(capture(written(twice), data[0]), data, precision="int8")
    (product,) = [
        n
        for n in program.graph.nodes
        if n.op == "call_function" and n.args[1].op == "call_function"
    ]
    kind = kernel_kind(program, product)
    assert kind.kind == "float"
    assert "computed by the model" in kind.reason


def test_a_convolution_whose_weight_and_bias_are_computed_stays_in_float(written):
    from edgeopt.api import capture, quantize

    def between(_, *tensors):
        x, w, b = (torch.nn.functional.linear(t, torch.eye(t.shape[-1])) for t in tensors)
        return torch.nn.functional.conv2d(x, w, b)

    data = [(torch.randn(1, 2, 5, 5), torch.randn(3, 2, 2, 2), torch.randn(3)) for _ in range(4)]
    program = quantize(capture(written(between), data[0]), data, precision="int8")
    assert kernel_kind(program, program.node("conv2d")).kind == "float"
